import { connect, merge, Observable, takeWhile, type OperatorFunction } from 'rxjs';

/** Gives each item to every route, and merges what comes of it: a route begins with a filter for what is its own. */
export function routed<Item, Result>(
  ...routes: readonly OperatorFunction<Item, Result>[]
): OperatorFunction<Item, Result> {
  return (source) =>
    new Observable((subscriber) =>
      source
        .pipe(
          // `connect` subscribes its source last and cannot be stopped while that emits synchronously.
          takeWhile(() => !subscriber.closed),
          connect((items) => merge(...routes.map((route) => items.pipe(route)))),
        )
        .subscribe(subscriber),
    );
}
