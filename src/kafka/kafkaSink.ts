import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import type { RecordSink } from '../model/recordPorts.ts';
import { connectionChecks, type KafkaConnectionOptions } from './client/kafkaConnectionOptions.ts';
import { canCompress } from './client/compression/codecs.ts';
import { kafkaClient } from './client/kafkaClient.ts';
import { RecordProducer } from './client/producer/RecordProducer.ts';

export interface KafkaSinkOptions extends KafkaConnectionOptions {
  /** After how long the broker aborts a transaction whose owner has gone silent, in milliseconds. Default: 10,000. */
  transactionTimeoutMs?: number | undefined;
  /**
   * Where a group begins in a partition in which it has never committed anything: at the oldest record, or with those that come
   * from then on. The latter is committed as soon as a partition is owned, so that no later start leaves anything out.
   * Default: 'earliest'.
   */
  startAt?: 'earliest' | 'latest' | undefined;
  /**
   * What records are compressed with when they are sent: 'none', 'gzip', 'snappy', 'lz4' or 'zstd', the last of which Node.js has
   * from 22.15 and 23.8 on. Default: 'none'.
   */
  compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd' | undefined;
}

/** Checks the options of a sink and fills in their defaults; exported for tests, which give its client sockets of their own. */
export const resolveSinkOptions = defineOptions<KafkaSinkOptions>('kafkaSink')({
  ...connectionChecks,
  transactionTimeoutMs: z.int().min(1_000).max(900_000).default(10_000),
  startAt: z.enum(['earliest', 'latest']).default('earliest'),
  compression: z
    .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    .refine(canCompress, { error: 'expected another one than zstd: this Node.js cannot write it, 22.15 or newer can' })
    .default('none'),
});

/** Sink options with their defaults. */
export type KafkaSinkSettings = ReturnType<typeof resolveSinkOptions>;

/**
 * Sends records to Kafka topics, and owns offsets: see `RecordSink`. It connects when it is first used.
 *
 * `own` takes one transactional producer per group, topic and partition, under the id `<group>-<topic>-<partition>`: only
 * that fences, membership of the group does not. An error names brokers, topics and groups, and never a password.
 *
 * @example
 * ```ts
 * import { kafkaSink } from 'fintrack-pipelines/kafka';
 *
 * const sink = kafkaSink({ brokers: ['localhost:9092'] });
 * await sink.close(); // it never had to connect
 * ```
 */
export function kafkaSink(options: KafkaSinkOptions): RecordSink {
  const settings = resolveSinkOptions(options);
  return new RecordProducer(kafkaClient(settings), settings);
}
