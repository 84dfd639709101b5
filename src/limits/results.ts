import type { PipelineError } from '../model/errors.ts';
import type { Fetched } from '../model/ports.ts';

export const canceled = { status: 'skipped', reason: 'canceled' } as const;

/** What an error that is not tried again makes of its input. */
export function outcomeOf<T>(error: PipelineError): Fetched<T> {
  if (error.code === 'quota_exhausted') return { status: 'skipped', reason: 'quota' };
  return error.code === 'canceled' ? canceled : { status: 'failed', error };
}

/** The results of a work batch, each in its input's place. */
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

  has(entry: { readonly index: number }): boolean {
    return this.#results[entry.index] !== undefined;
  }

  /** The first result of an input stands. */
  put(entries: readonly { readonly index: number }[], result: Fetched<T>): void {
    for (const entry of entries) {
      if (this.has(entry)) continue;
      this.#results[entry.index] = result;
      this.#open -= 1;
    }
  }

  /** To be called once complete. */
  list(): readonly Fetched<T>[] {
    return this.#results.filter((result) => result !== undefined);
  }
}
