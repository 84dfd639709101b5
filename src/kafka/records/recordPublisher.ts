import { z } from 'zod';
import { callback, defineOptions, port } from '../../model/defineOptions.ts';
import { PipelineError, PublishError } from '../../model/errors.ts';
import type { CompletionEvent } from '../../model/events/completion.ts';
import type { ProgressEvent } from '../../model/events/progress.ts';
import { serializeEvent } from '../../model/events/serializeEvent.ts';
import type { Publisher } from '../../model/ports.ts';
import type { RecordSink } from '../../model/recordPorts.ts';
import { completionRecords } from './completionRecords.ts';
import { sendFitting } from './sendFitting.ts';

export interface RecordPublisherOptions<E> {
  /** What sends the records, mostly a `kafkaSink`. It is shared, and not closed by the publisher. */
  sink: RecordSink;
  /** Where the events go; the topic has to be there. */
  topic: string;
  /** Makes the key of an event's record, of a completion its `ce_id`, too. Default: its `requestId`. */
  key?: ((event: E) => string) | undefined;
  /** The clock, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<RecordPublisherOptions<never>>('recordPublisher')({
  sink: port<RecordSink>('a record sink', 'send'),
  topic: z.string().min(1),
  key: callback<(event: never) => string>().optional(),
  now: callback<() => number>().default(() => Date.now),
});

/**
 * Publishes events to a topic: those on progress, and completions of runs without a delivery (a delivery announces by itself).
 *
 * A completion goes out as `completionRecords` makes it, in smaller parts where the topic takes no larger ones. Resolves once the event is stored. Rejects with a `PublishError`,
 * at once where the topic is not there; whether that matters is for the caller to say.
 *
 * @example
 * ```ts
 * import { memoryBroker, type ProgressEvent } from 'fintrack-pipelines';
 * import { recordPublisher } from 'fintrack-pipelines/kafka';
 *
 * const broker = memoryBroker({ topics: { MARKET_DATA_UPDATE_PROGRESS: 1 } });
 * const publisher = recordPublisher<ProgressEvent>({ sink: broker.sink(), topic: 'MARKET_DATA_UPDATE_PROGRESS' });
 * await publisher.publish({ requestId: 'request-1', batch: 1, totalBatches: 3, ok: 100, failed: 0, elapsedMs: 250 });
 * const [record] = broker.records('MARKET_DATA_UPDATE_PROGRESS');
 * console.log(String(record?.key), String(record?.value));
 * // request-1 {"requestId":"request-1","batch":1,"totalBatches":3,"ok":100,"failed":0,"elapsedMs":250}
 * ```
 */
export function recordPublisher<E extends CompletionEvent | ProgressEvent>(
  options: RecordPublisherOptions<E>,
): Publisher<E> {
  const { sink, topic, now } = resolveOptions(options);
  const { key: keyOf = ({ requestId }: E) => requestId } = options;
  const send = async (event: E): Promise<void> => {
    const key = keyOf(event);
    if ('status' in event) {
      await sendFitting(sink, () =>
        completionRecords(event, { topic, key, now, maxBytes: sink.maxRecordBytes(topic) }),
      );
    } else {
      const headers = [{ name: 'content-type', value: 'application/json' }];
      await sink.send([{ topic, key, value: serializeEvent(event), headers }]);
    }
  };
  return {
    async publish(event) {
      try {
        await send(event);
      } catch (error) {
        throw publishErrorOf(error, topic);
      }
    },
  };
}

function publishErrorOf(error: unknown, topic: string): PipelineError {
  if (!PipelineError.isInstance(error)) {
    // The text of a foreign error is not shown: it may hold the address and password of a server.
    return new PublishError(`an event could not be published to ${topic}`, { cause: error });
  }
  if (error.code === 'publish_failed' || error.code === 'record_too_large') return error;
  return new PublishError(error.message, { retryable: error.retryable, cause: error });
}
