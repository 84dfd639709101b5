import { Observable } from 'rxjs';
import { pullOpener, type Pull } from './pull.ts';
import { startPull } from './startPull.ts';

/**
 * Emits the items of an iterable, and waits while a bounded operator that they reach is full.
 *
 * `source` is an iterable or async iterable, or a factory of one. A generator object works for one subscription only (a
 * second one gets a `FlowError`): for `retry`, `repeat` and several subscribers give the factory, which is called for
 * each subscription with an `AbortSignal`.
 *
 * Completes when the iterable ends. An error it throws, or the factory throws, is passed on. Unsubscribing aborts the
 * signal and calls the iterator's `return()`, whose own failure is swallowed: nobody is left to hear it. While an
 * asynchronous generator awaits something, `return()` runs no `finally`; the signal reaches it, so an asynchronous
 * source with something to clean up takes the factory form.
 *
 * Without a bounded operator below, a synchronous iterable is emitted in one go, which blocks the event loop and cannot
 * be canceled from outside.
 *
 * @example
 * ```ts
 * import { bufferCount } from 'rxjs';
 * import { fromPull } from 'fintrack-pipelines';
 *
 * function* symbols() {
 *   yield 'AAPL';
 *   yield 'MSFT';
 *   yield 'IBM';
 * }
 *
 * fromPull(() => symbols())
 *   .pipe(bufferCount(2))
 *   .subscribe((batch) => console.log(batch));
 * // [ 'AAPL', 'MSFT' ]
 * // [ 'IBM' ]
 * ```
 */
export function fromPull<Value>(source: Pull<Value> | ((signal: AbortSignal) => Pull<Value>)): Observable<Value> {
  const open = pullOpener('fromPull', source);
  return new Observable<Value>((subscriber) => {
    const slot: Value[] = []; // one array for the whole subscription: each item is a page of its own
    startPull<Value, Value>(subscriber, open, {
      one: (value) => {
        slot[0] = value;
        return slot;
      },
      all: (values) => values,
    });
  });
}
