import { Subject, type Observable } from 'rxjs';
import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import type { Publisher } from '../model/ports.ts';

export interface MemoryBusOptions {
  /** Most events kept in `events`; the oldest are dropped beyond it. Default: 10,000. */
  maxEvents?: number | undefined;
}

/** A publisher whose events stay in the process. */
export interface MemoryBus<E> extends Publisher<E> {
  /** The events published so far, oldest first. */
  readonly events: readonly E[];
  /** Emits each event when it is published, and those published before never. Ends never. */
  readonly events$: Observable<E>;
}

const resolveOptions = defineOptions<MemoryBusOptions>('memoryBus')({
  maxEvents: z.int().min(1).default(10_000),
});

/**
 * A publisher that keeps its events in memory: the twin of a message broker for tests, demos and use within one process.
 *
 * `publish` hands the event to the subscribers of `events$` before it returns, and never rejects. An error thrown by a
 * subscriber is reported by RxJS as unhandled and concerns nobody else.
 *
 * @example
 * ```ts
 * import { memoryBus } from 'fintrack-pipelines';
 *
 * const bus = memoryBus<{ status: string }>();
 * bus.events$.subscribe(({ status }) => console.log('seen:', status));
 * await bus.publish({ status: 'complete' });
 * // seen: complete
 * console.log(bus.events);
 * // [ { status: 'complete' } ]
 * ```
 */
export function memoryBus<E>(options: MemoryBusOptions = {}): MemoryBus<E> {
  const { maxEvents } = resolveOptions(options);
  const events: E[] = [];
  const subject = new Subject<E>();
  return {
    events,
    events$: subject.asObservable(),
    publish(event) {
      events.push(event);
      if (events.length > maxEvents) events.shift();
      subject.next(event);
      return Promise.resolve();
    },
  };
}
