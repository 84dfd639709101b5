import type { PipelineError } from '../../../index.ts';
import { duration } from '../../output/duration.ts';
import { sentence } from '../../output/sentence.ts';

/** Somebody who may wait for the database. */
export interface DatabaseWaiter {
  readonly onAway: (error: PipelineError) => void;
  readonly onBack: () => void;
}

/** Why somebody waits, as it is logged: of errors with these codes; with any other the database is away. */
const states: Readonly<Record<string, string>> = { database_busy: 'busy', database_not_ready: 'not ready' };

/** Knows whether anybody waits for the database, and says so once for each reason, however many do. */
export class DatabaseWatch {
  readonly #log: (line: string) => void;
  /** The codes that each of them waits for. */
  readonly #waiting = new Map<DatabaseWaiter, Set<string>>();
  #awaySince = 0;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  get isAway(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether somebody waits for what the deployment lacks. */
  get isNotReady(): boolean {
    return this.#isWaitingFor('database_not_ready');
  }

  waiter(): DatabaseWaiter {
    const waiter: DatabaseWaiter = {
      onAway: (error) => {
        const { code } = error;
        if (!this.isAway) this.#awaySince = performance.now();
        if (!this.#isWaitingFor(code)) {
          this.#log(`postgresql: ${states[code] ?? 'away'}, requests wait for it: ${sentence(error)}`);
        }
        this.#waiting.set(waiter, (this.#waiting.get(waiter) ?? new Set()).add(code));
      },
      onBack: () => {
        if (!this.#waiting.delete(waiter) || this.isAway) return;
        this.#log(`postgresql: back after ${duration(performance.now() - this.#awaySince)}`);
      },
    };
    return waiter;
  }

  #isWaitingFor(code: string): boolean {
    return [...this.#waiting.values()].some((codes) => codes.has(code));
  }
}
