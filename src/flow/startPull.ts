import type { Subscriber } from 'rxjs';
import { AsyncPuller } from './AsyncPuller.ts';
import { IteratorLease } from './IteratorLease.ts';
import { SyncPuller } from './SyncPuller.ts';
import type { OpenPull } from './pull.ts';

/** How the pages of a source become items: `one` for an asynchronous page, `all` for a synchronous iterator of pages. */
export interface PageItems<Page, Value> {
  readonly one: (page: Page) => readonly Value[];
  readonly all: (pages: Iterator<Page, unknown>) => Iterator<Value, unknown>;
}

/** Opens a pull source for one subscription and emits its items; the subscriber's end gives the iterator back. */
export function startPull<Page, Value>(
  subscriber: Subscriber<Value>,
  open: (signal: AbortSignal) => OpenPull<Page>,
  items: PageItems<Page, Value>,
): void {
  const lease = new IteratorLease<Page>();
  let puller: { run(): void; close(): void } | undefined;
  subscriber.add(() => {
    if (puller === undefined) lease.giveBack();
    else puller.close();
  });
  try {
    const opened = lease.open(open);
    puller =
      opened.kind === 'sync'
        ? new SyncPuller(subscriber, items.all(opened.iterator), lease)
        : new AsyncPuller(subscriber, opened.iterator, lease, items.one);
  } catch (error) {
    subscriber.error(error);
    return;
  }
  // The factory itself may have unsubscribed, when there was nothing to close yet.
  if (subscriber.closed) puller.close();
  else puller.run();
}
