import type { Subscriber } from 'rxjs';
import { Emitter } from './Emitter.ts';
import type { IteratorLease } from './IteratorLease.ts';

/**
 * Asks an asynchronous iterator for a page and emits the items of the page one by one, and does neither while a gate that
 * they reach is full. A gate may fill up while a page is on its way: what may not be emitted yet stays in hand.
 */
export class AsyncPuller<Page, Value> {
  readonly #subscriber: Subscriber<Value>;
  readonly #iterator: AsyncIterator<Page, unknown>;
  readonly #lease: IteratorLease<Page>;
  readonly #itemsOf: (page: Page) => readonly Value[];
  readonly #emitter = new Emitter();
  #inHand: readonly Value[] = [];
  #at = 0;

  constructor(
    subscriber: Subscriber<Value>,
    iterator: AsyncIterator<Page, unknown>,
    lease: IteratorLease<Page>,
    itemsOf: (page: Page) => readonly Value[],
  ) {
    this.#subscriber = subscriber;
    this.#iterator = iterator;
    this.#lease = lease;
    this.#itemsOf = itemsOf;
  }

  readonly run = (): void => {
    const subscriber = this.#subscriber;
    const emitter = this.#emitter;
    while (!subscriber.closed && !emitter.mustWait(this.run)) {
      if (this.#at === this.#inHand.length) {
        this.#ask();
        return;
      }
      emitter.emit(subscriber, this.#inHand[this.#at++] as Value);
    }
  };

  close(): void {
    this.#emitter.close();
    this.#inHand = [];
    this.#at = 0;
    this.#lease.giveBack();
  }

  #ask(): void {
    this.#emitter.busy = true;
    try {
      // Not an `async` function: one promise an item is what an asynchronous source costs, and no more.
      void Promise.resolve(this.#iterator.next()).then(this.#answered, this.#failed);
    } catch (error) {
      this.#failed(error);
    }
  }

  readonly #answered = (result: IteratorResult<Page, unknown>): void => {
    this.#emitter.busy = false;
    try {
      this.#inHand = result.done === true ? [] : this.#itemsOf(result.value);
      this.#at = 0;
    } catch (error) {
      this.#subscriber.error(error);
      return;
    }
    if (result.done !== true) this.run();
    else {
      this.#lease.completed();
      this.#subscriber.complete();
    }
  };

  readonly #failed = (error: unknown): void => {
    this.#emitter.busy = false;
    this.#lease.failed();
    this.#subscriber.error(error);
  };
}
