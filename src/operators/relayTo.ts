import { Subject } from 'rxjs';

/**
 * A function that hands values to an observer of the user's, if there is one.
 *
 * What the observer throws must not change what becomes of a batch, and must not be hidden either: the subject reports
 * it like any error thrown in a `next` handler, through `config.onUnhandledError` or as an uncaught exception.
 */
export function relayTo<Value>(observer: { next(value: Value): void } | undefined): (value: Value) => void {
  if (observer === undefined) return () => undefined;
  const relay = new Subject<Value>();
  relay.subscribe((value) => {
    observer.next(value);
  });
  return (value) => {
    relay.next(value);
  };
}
