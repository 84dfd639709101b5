import { z } from 'zod';
import { callback, defineOptions, port } from '../../model/defineOptions.ts';
import { BrokerError, OptionsError, type PipelineError } from '../../model/errors.ts';
import type { RecordSink, RecordSource, RecordTopics, TopicSize } from '../../model/recordPorts.ts';
import { RedriveRun, type Redriven } from './RedriveRun.ts';

export interface RedriveOptions {
  /** The topic of dead letters. It ends in `-dlt`; what stands before that is the topic that the records go to again. */
  topic: string;
  /** The group of the worker. How far redrives came is kept under `<groupId>-redrive`. */
  groupId: string;
  /** Opens a source that reads the topic as a member of the group, mostly a `kafkaSource`; it is stopped at the end. */
  openSource: (groupId: string, topic: string) => RecordSource;
  /** What sends the records, mostly a `kafkaSink`. It is not closed. */
  sink: RecordSink;
  /** The topics of the broker, mostly `kafkaTopics`. It is not closed. */
  topics: RecordTopics;
  /** Most records to send again. Default: all. */
  limit?: number | undefined;
  /** Ends it after the transactions that are under way; the next redrive goes on there. Default: it ends by itself. */
  signal?: AbortSignal | undefined;
}

const resolveOptions = defineOptions<RedriveOptions>('redrive')({
  topic: z.string().min(1),
  groupId: z.string().min(1),
  openSource: callback<(groupId: string, topic: string) => RecordSource>(),
  sink: port<RecordSink>('a record sink', 'own'),
  topics: port<RecordTopics>('topics of a broker', 'describe', 'ends'),
  limit: z.int().min(1).default(Number.MAX_SAFE_INTEGER),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
});

const suffix = '-dlt';

/**
 * Sends the dead letters of a topic again to where they came from, from where the last redrive came to, up to what is there now.
 * What becomes a dead letter meanwhile is for the next one.
 *
 * Each goes in one transaction with the place it had, so that a crash neither loses nor doubles any. It has its original key,
 * value, headers (without those of dead letters), and the partition of the same number; it is a new request all the same. One
 * whose value was cut is left out and counted. The name of the topic comes from `topic` and from nowhere else.
 *
 * Several at once share the partitions. Resolves once all partitions that this one got are done. Rejects with an `OptionsError`
 * when the name does not end in `-dlt`, with a `BrokerError` when one of the topics is missing, and with whatever the broker fails
 * with; it may then be run again.
 *
 * @example
 * ```ts
 * import { memoryBroker, RequestError } from 'fintrack-pipelines';
 * import { deadLetterRecord, redrive } from 'fintrack-pipelines/kafka';
 *
 * const broker = memoryBroker({ topics: { REQUESTS: 1, 'REQUESTS-dlt': 1 } });
 * const record = { topic: 'REQUESTS', partition: 0, offset: 0n, timestampMs: 0, key: null, value: Buffer.from('{}'), headers: [] };
 * const target = { topic: 'REQUESTS-dlt', groupId: 'workers' };
 * await broker.sink().send([deadLetterRecord(record, new RequestError('timeout', 'no progress'), target)]);
 *
 * const openSource = (groupId: string, topic: string) => broker.source({ groupId, topics: [topic] });
 * const options = { topic: 'REQUESTS-dlt', groupId: 'workers', openSource, sink: broker.sink(), topics: broker.topics() };
 * console.log(await redrive(options), await redrive(options));
 * // { partitions: 1, sent: 1, cut: 0 } { partitions: 1, sent: 0, cut: 0 }
 * console.log(broker.records('REQUESTS').map(({ value }) => String(value)));
 * // [ '{}' ]
 * ```
 */
export async function redrive(options: RedriveOptions): Promise<Redriven> {
  const { topic, groupId, openSource, sink, topics, limit, signal } = resolveOptions(options);
  const target = await targetOf(topic, topics);
  const ends = await topics.ends(topic);
  const group = `${groupId}-redrive`;
  const run = new RedriveRun({ source: openSource(group, topic), sink, group, ends, target, limit });
  const stop = (): void => run.stop();
  signal?.addEventListener('abort', stop);
  try {
    if (signal?.aborted === true) stop();
    return await run.done();
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

async function targetOf(topic: string, topics: RecordTopics): Promise<TopicSize> {
  const original = topic.slice(0, -suffix.length);
  if (!topic.endsWith(suffix) || original === '') {
    throw new OptionsError(
      `redrive: topic: expected a name that ends in ${suffix}, got ${JSON.stringify(topic.slice(0, 100))}`,
    );
  }
  const there = await topics.describe([topic, original]);
  const partitions = there.get(original);
  if (!there.has(topic)) throw missing(topic);
  if (partitions === undefined) throw missing(original);
  return { topic: original, partitions };
}

function missing(topic: string): PipelineError {
  return new BrokerError('broker_error', `redrive: there is no topic ${topic}`);
}
