import { Observable, type Observer, type Subscriber } from 'rxjs';
import { apart } from './apart.ts';

/**
 * Subscribes `observer` to `source` as a child of `parent`.
 *
 * The child is known to `parent` before the first item: a synchronous source that is unsubscribed from inside its own
 * `next` stops at once, which a subscription assigned after `subscribe` returns cannot do. It subscribes apart, so that
 * what `source` emits at once is not taken for an item of whoever is emitting now.
 */
export function relay<Value>(source: Observable<Value>, parent: Subscriber<never>, observer: Observer<Value>): void {
  const known = new Observable<Value>((subscriber) => {
    parent.add(subscriber);
    source.subscribe(subscriber);
  });
  apart(() => known.subscribe(observer));
}
