import { map, type OperatorFunction } from 'rxjs';
import { mergeMapBounded } from '../flow/mergeMapBounded.ts';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import { PipelineError, PublishError } from '../model/errors.ts';
import type { Publisher } from '../model/ports.ts';

export interface PublishCompletionOptions<S, E> {
  /** Where the events go. */
  publisher: Publisher<E>;
  /** Makes the event, mostly from a `Summary`. Default: the value itself is the event. */
  toCompletion?: ((summary: S) => E) | undefined;
}

const resolveOptions = defineOptions<PublishCompletionOptions<unknown, unknown>>('publishCompletion')({
  publisher: port<Publisher<unknown>>('a publisher', 'publish'),
  toCompletion: callback<(summary: unknown) => unknown>().optional(),
});

/**
 * Publishes each event and emits it once it is safely out, one after the other.
 *
 * For runs without a delivery: a delivery announces through its own `ack`, so that announcing and acknowledging are one
 * act. Errors with a `PublishError` when the publisher rejects, and with whatever `toCompletion` throws. On complete, the
 * event under way is finished; on unsubscribe, an event under way may still go out, and is not emitted.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { memoryBus, publishCompletion } from 'fintrack-pipelines';
 *
 * const bus = memoryBus<{ status: string }>();
 * of({ failures: [] })
 *   .pipe(publishCompletion({ publisher: bus, toCompletion: ({ failures }) => ({ status: failures.length === 0 ? 'complete' : 'partial' }) }))
 *   .subscribe((event) => console.log(event, bus.events.length));
 * // { status: 'complete' } 1
 * ```
 */
export function publishCompletion<E>(options: {
  publisher: Publisher<E>;
  toCompletion?: undefined;
}): OperatorFunction<E, E>;
export function publishCompletion<S, E>(options: PublishCompletionOptions<S, E>): OperatorFunction<S, E>;
export function publishCompletion<S, E>(options: PublishCompletionOptions<S, E>): OperatorFunction<S, E> {
  resolveOptions(options as PublishCompletionOptions<unknown, unknown>);
  const { publisher, toCompletion = (value: S) => value as unknown as E } = options;
  return (source) =>
    source.pipe(
      map((summary) => toCompletion(summary)),
      mergeMapBounded((event) => publish(publisher, event), { concurrency: 1 }),
    );
}

async function publish<E>(publisher: Publisher<E>, event: E): Promise<E> {
  try {
    await publisher.publish(event);
    return event;
  } catch (error) {
    if (PipelineError.isInstance(error) && ['publish_failed', 'record_too_large'].includes(error.code)) throw error;
    // The text of a foreign error is not shown: it may hold the address and password of a server.
    throw new PublishError('the completion event could not be published', { cause: error });
  }
}
