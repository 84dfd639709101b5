import type { Subscriber } from 'rxjs';
import { Emitter } from './Emitter.ts';
import type { OpenPull } from './pull.ts';

/**
 * One subscription of a pull source: asks the iterator for a page, emits the page's items one by one, and does neither
 * while a gate that the items reach is full. What was asked for and may not be emitted yet stays in hand.
 */
export class Puller<Page, Value> {
  readonly #subscriber: Subscriber<Value>;
  readonly #itemsOf: (page: Page) => readonly Value[];
  readonly #emitter = new Emitter();
  readonly #abort = new AbortController();
  #source: OpenPull<Page> | undefined;
  #inHand: readonly Value[] = [];
  #at = 0;
  /** The iterator said so itself, by `done` or by an error: there is nothing to close. */
  #exhausted = false;
  #completed = false;
  /** Inside a synchronous `next()`: a generator that is running cannot be closed. */
  #asking = false;

  constructor(subscriber: Subscriber<Value>, itemsOf: (page: Page) => readonly Value[]) {
    this.#subscriber = subscriber;
    this.#itemsOf = itemsOf;
  }

  start(open: (signal: AbortSignal) => OpenPull<Page>): void {
    this.#subscriber.add(() => {
      this.#close();
    });
    try {
      this.#source = open(this.#abort.signal);
    } catch (error) {
      this.#subscriber.error(error);
      return;
    }
    if (this.#subscriber.closed) this.#closeIterator();
    this.#run();
  }

  readonly #run = (): void => {
    const subscriber = this.#subscriber;
    const emitter = this.#emitter;
    while (!subscriber.closed && !emitter.mustWait(this.#run)) {
      if (this.#at < this.#inHand.length) emitter.emit(subscriber, this.#inHand[this.#at++] as Value);
      else if (!this.#ask()) return;
    }
  };

  /** Asks for the next page; true when it is in hand. */
  #ask(): boolean {
    const source = this.#source;
    if (source === undefined) return false;
    if (source.kind === 'async') return this.#askAndGoOnLater(source.iterator);
    let result: IteratorResult<Page, unknown>;
    this.#asking = true;
    try {
      result = source.iterator.next();
    } catch (error) {
      this.#iteratorFailed(error);
      return false;
    } finally {
      this.#asking = false;
    }
    return this.#accept(result);
  }

  #askAndGoOnLater(iterator: AsyncIterator<Page, unknown>): false {
    this.#emitter.busy = true;
    try {
      // Not `async`: one promise for each item, and no more, is what an asynchronous source costs.
      void Promise.resolve(iterator.next()).then(this.#answered, this.#iteratorFailed);
    } catch (error) {
      this.#iteratorFailed(error);
    }
    return false;
  }

  readonly #answered = (result: IteratorResult<Page, unknown>): void => {
    this.#emitter.busy = false;
    if (this.#accept(result)) this.#run();
  };

  #accept(result: IteratorResult<Page, unknown>): boolean {
    let items: readonly Value[] | undefined;
    try {
      items = result.done === true ? undefined : this.#itemsOf(result.value);
    } catch (error) {
      this.#subscriber.error(error);
      return false;
    }
    if (items === undefined) {
      this.#exhausted = this.#completed = true;
      this.#subscriber.complete();
      return false;
    }
    if (this.#subscriber.closed) {
      this.#closeIterator(); // unsubscribed by its own `next()`, inside which a generator cannot be closed
      return false;
    }
    this.#inHand = items;
    this.#at = 0;
    return true;
  }

  readonly #iteratorFailed = (error: unknown): void => {
    this.#emitter.busy = false;
    this.#exhausted = true;
    this.#subscriber.error(error);
  };

  #close(): void {
    this.#emitter.close();
    this.#inHand = [];
    if (!this.#completed) this.#abort.abort();
    if (!this.#asking) this.#closeIterator();
  }

  #closeIterator(): void {
    if (this.#exhausted) return;
    this.#exhausted = true;
    try {
      const closing: unknown = this.#source?.iterator.return?.();
      Promise.resolve(closing).catch(() => undefined);
    } catch {
      // Nobody is subscribed anymore who could be told.
    }
  }
}
