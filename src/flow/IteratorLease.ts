import type { OpenPull } from './pull.ts';

/** The iterator of one subscription: opened once, and given back once if it does not end by itself. */
export class IteratorLease<Page> {
  /** True inside a synchronous `next()`: a generator that is running cannot be closed. */
  asking = false;
  readonly #abort = new AbortController();
  #iterator: { return?(): unknown } | undefined;
  #completed = false;

  open(open: (signal: AbortSignal) => OpenPull<Page>): OpenPull<Page> {
    const opened = open(this.#abort.signal);
    this.#iterator = opened.iterator;
    return opened;
  }

  /** It ended by `done`: nothing is left to abort or to close. */
  completed(): void {
    this.#completed = true;
    this.#iterator = undefined;
  }

  /** It threw: it counts as closed, but what it has begun elsewhere may still run, and is aborted. */
  failed(): void {
    this.#iterator = undefined;
  }

  /** Aborts the signal, then closes the iterator; while it is `asking`, has to be called again after that. */
  giveBack(): void {
    if (!this.#completed) this.#abort.abort();
    if (this.asking) return;
    const iterator = this.#iterator;
    this.#iterator = undefined;
    try {
      Promise.resolve(iterator?.return?.()).catch(() => undefined);
    } catch {
      // Nobody is subscribed anymore who could be told, as with the rejection above.
    }
  }
}
