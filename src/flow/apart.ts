import { emitting } from './stack.ts';

/**
 * Runs `run` with an empty stack of emitters and returns what it returns.
 *
 * An operator of your own subscribes its source and its inner Observables inside `apart`: what they emit at once is then
 * theirs, and not an item of the pull source whose `next` happens to be running. Without it, an inner Observable could
 * wait for its own outer one.
 *
 * @example
 * ```ts
 * import { Observable, of } from 'rxjs';
 * import { apart } from 'fintrack-pipelines';
 *
 * const subscribedApart = new Observable<string>((subscriber) => apart(() => of('AAPL').subscribe(subscriber)));
 * subscribedApart.subscribe((symbol) => console.log(symbol));
 * // AAPL
 * ```
 */
export function apart<Result>(run: () => Result): Result {
  emitting.push(null);
  try {
    return run();
  } finally {
    emitting.pop();
  }
}
