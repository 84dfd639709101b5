import type { Closable } from './track.ts';

/** What was opened so far, to be closed in the reverse order: also when opening the rest fails. */
export class Closing implements AsyncDisposable {
  #closers: (() => unknown)[] = [];

  use<Resource extends Closable>(resource: Resource): Resource {
    const { [Symbol.asyncDispose]: closeLater, [Symbol.dispose]: close } = resource as Partial<
      AsyncDisposable & Disposable
    >;
    this.defer(() => (closeLater ?? close)?.call(resource));
    return resource;
  }

  defer(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** Everything goes to the one returned, and this one closes nothing any more. */
  handOver(): Closing {
    const other = new Closing();
    other.#closers = this.#closers;
    this.#closers = [];
    return other;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'closing failed');
  }
}
