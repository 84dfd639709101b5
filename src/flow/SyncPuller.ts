import type { Subscriber } from 'rxjs';
import { Emitter } from './Emitter.ts';
import type { IteratorLease } from './IteratorLease.ts';

/** Asks an iterator and emits what it answers, one item after the other, and not while a gate that they reach is full. */
export class SyncPuller<Value> {
  readonly #subscriber: Subscriber<Value>;
  readonly #iterator: Iterator<Value, unknown>;
  readonly #lease: IteratorLease<unknown>;
  readonly #emitter = new Emitter();

  constructor(subscriber: Subscriber<Value>, iterator: Iterator<Value, unknown>, lease: IteratorLease<unknown>) {
    this.#subscriber = subscriber;
    this.#iterator = iterator;
    this.#lease = lease;
  }

  /** The hot path: what stands here is paid for every item. */
  readonly run = (): void => {
    const subscriber = this.#subscriber;
    const emitter = this.#emitter;
    while (!subscriber.closed && !emitter.mustWait(this.run)) {
      const result = this.#ask();
      if (result === undefined) return;
      emitter.emit(subscriber, result.value);
    }
  };

  close(): void {
    this.#emitter.close();
    this.#lease.giveBack();
  }

  /** Undefined when there is nothing to emit: it has ended, failed or been unsubscribed by its own `next()`. */
  #ask(): { value: Value } | undefined {
    let result: IteratorResult<Value, unknown>;
    this.#lease.asking = true;
    try {
      result = this.#iterator.next();
      if (result.done !== true && !this.#subscriber.closed) return result;
    } catch (error) {
      this.#lease.failed();
      this.#subscriber.error(error);
      return undefined;
    } finally {
      this.#lease.asking = false;
    }
    if (result.done === true) this.#lease.completed();
    else this.#lease.giveBack();
    this.#subscriber.complete();
    return undefined;
  }
}
