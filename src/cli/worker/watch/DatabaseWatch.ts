import type { PipelineError } from '../../../index.ts';
import { duration } from '../../output/duration.ts';
import { sentence } from '../../output/sentence.ts';

/** Somebody who may wait for the database. */
export interface DatabaseWaiter {
  readonly onAway: (error: PipelineError) => void;
  readonly onBack: () => void;
}

/** Knows whether anybody waits for the database, and says so once, however many do. */
export class DatabaseWatch {
  readonly #log: (line: string) => void;
  readonly #waiting = new Set<DatabaseWaiter>();
  #awaySince = 0;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  get isAway(): boolean {
    return this.#waiting.size > 0;
  }

  waiter(): DatabaseWaiter {
    const waiter: DatabaseWaiter = {
      onAway: (error) => {
        if (!this.isAway) {
          this.#awaySince = performance.now();
          this.#log(`postgresql: away, requests wait for it: ${sentence(error)}`);
        }
        this.#waiting.add(waiter);
      },
      onBack: () => {
        if (!this.#waiting.delete(waiter) || this.isAway) return;
        this.#log(`postgresql: back after ${duration(performance.now() - this.#awaySince)}`);
      },
    };
    return waiter;
  }
}
