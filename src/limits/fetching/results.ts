import type { PipelineError } from '../../model/errors.ts';
import type { Fetched } from '../../model/ports.ts';

export const canceled = { status: 'skipped', reason: 'canceled' } as const;
export const late = { status: 'skipped', reason: 'deadline' } as const;

/** What an error that is not tried again makes of its input; `now` is the wall clock. */
export function outcomeOf<T>(error: PipelineError, now: number): Fetched<T> {
  if (error.code === 'canceled') return canceled;
  if (error.code !== 'quota_exhausted') return { status: 'failed', error };
  const until = new Date(now + Math.max(0, error.retryAfterMs ?? NaN));
  const isKnown = !Number.isNaN(until.getTime());
  return { status: 'skipped', reason: 'quota', ...(isKnown && { until }) };
}

interface Placed {
  /** The places of its input in the batch. */
  readonly indexes: readonly number[];
}

/** The results of a work batch, each in its input's places. */
export class Results<T> {
  readonly #results: (Fetched<T> | undefined)[];
  #open: number;

  constructor(length: number) {
    this.#results = Array.from({ length }, () => undefined);
    this.#open = length;
  }

  get isComplete(): boolean {
    return this.#open === 0;
  }

  has({ indexes }: Placed): boolean {
    return indexes.every((index) => this.#results[index] !== undefined);
  }

  /** The first result of an input stands. */
  put(entries: readonly Placed[], result: Fetched<T>): void {
    for (const index of entries.flatMap(({ indexes }) => indexes)) {
      if (this.#results[index] !== undefined) continue;
      this.#results[index] = result;
      this.#open -= 1;
    }
  }

  /** To be called once complete. */
  list(): readonly Fetched<T>[] {
    return this.#results.filter((result) => result !== undefined);
  }
}
