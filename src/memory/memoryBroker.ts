import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import type { RecordSink, RecordSource, RecordTopics, SourceRecord } from '../model/recordPorts.ts';
import { BrokerState, type TopicLimits } from './broker/BrokerState.ts';
import { MemoryRecordSink } from './broker/MemoryRecordSink.ts';
import { MemoryRecordSource } from './broker/MemoryRecordSource.ts';
import { MemoryTopics } from './broker/MemoryTopics.ts';

export interface MemoryBrokerOptions {
  /** The topics, and how many partitions each has. Default: none, see `createTopic`. */
  topics?: Readonly<Record<string, number>> | undefined;
  /** The time of records sent without one, in milliseconds since 1970. Default: Date.now. */
  now?: (() => number) | undefined;
}

/** A message broker within the process. */
export interface MemoryBroker {
  /** Adds an empty topic. One that is there already stays as it is. */
  createTopic(topic: string, partitions: number, limits?: TopicLimits): void;
  /** A new member of the group; all of it but `run` is as with Kafka. */
  source(options: { readonly groupId: string; readonly topics: readonly string[] }): RecordSource;
  sink(): RecordSink;
  /** The topics, as `kafkaTopics` has them. */
  topics(): RecordTopics;
  /** Stores a record that nobody can decode, as a broken disk or an unknown compression leaves it; the answer is its offset. */
  sendUndecodable(topic: string, partition: number, bytes: Uint8Array | string): bigint;
  /** The committed records of a topic, by partition and offset; not those that cannot be decoded. */
  records(topic: string): readonly SourceRecord[];
  /**
   * Ends a source as a killed process ends: none of its handlers is called any more, not even `onRevoked`, its commits are
   * refused, and its partitions go to the rest of the group with all that was not committed.
   */
  crash(source: RecordSource): void;
}

const resolveOptions = defineOptions<MemoryBrokerOptions>('memoryBroker')({
  topics: z.record(z.string().min(1), z.int().min(1)).default({}),
  now: callback<() => number>().default(() => Date.now),
});

/**
 * The twin of Kafka in memory, for tests, demos and simulated crashes: topics with partitions, consumer groups that share them
 * out, committed offsets, and transactions that fence. It passes the same contract as `kafkaSource` and `kafkaSink`.
 *
 * Records are handed out in microtasks, so that no clock is needed. Nothing is ever deleted.
 *
 * @example
 * ```ts
 * import { memoryBroker } from 'fintrack-pipelines';
 *
 * const broker = memoryBroker({ topics: { REQUESTS: 1, ANSWERS: 1 } });
 * await broker.sink().send([{ topic: 'REQUESTS', key: 'a', value: 'AAPL' }]);
 *
 * const announcer = await broker.sink().own('REQUESTS', 0, 'workers');
 * const source = broker.source({ groupId: 'workers', topics: ['REQUESTS'] });
 * const seen = new Promise<bigint>((resolve) => {
 *   void source.run({
 *     onAssigned: (epoch, partitions) => console.log('assigned:', partitions.length),
 *     onRecord: ({ offset, value }) => {
 *       console.log('read:', String(value && Buffer.from(value)));
 *       resolve(offset);
 *     },
 *     onRevoked: () => console.log('revoked'),
 *     onFatal: (error) => console.log(error.message),
 *   });
 * });
 * const offset = await seen;
 * // assigned: 1
 * // read: AAPL
 * await announcer.announce([{ topic: 'ANSWERS', value: 'done' }], { offset: offset + 1n, announced: new Set() });
 * console.log(broker.records('ANSWERS').length);
 * // 1
 * await source.stop();
 * // revoked
 * ```
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  const { topics, now } = resolveOptions(options);
  const state = new BrokerState(now);
  for (const [topic, partitions] of Object.entries(topics)) state.createTopic(topic, partitions);
  return {
    createTopic: (topic, partitions, limits) => state.createTopic(topic, partitions, limits),
    source: ({ groupId, topics: wanted }) => new MemoryRecordSource(state, groupId, wanted),
    sink: () => new MemoryRecordSink(state),
    topics: () => new MemoryTopics(state),
    sendUndecodable: (topic, partition, bytes) => state.appendUndecodable({ topic, partition }, Buffer.from(bytes)),
    records: (topic) =>
      state
        .partitionsOf(topic)
        .flatMap((place) => state.recordsOf(place))
        .filter(({ isUndecodable }) => isUndecodable !== true),
    crash(source) {
      if (source instanceof MemoryRecordSource) source.crash();
    },
  };
}
