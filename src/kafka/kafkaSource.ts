import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import type { RecordSource } from '../model/recordPorts.ts';
import { connectionChecks, type KafkaConnectionOptions } from './client/kafkaConnectionOptions.ts';
import { GroupMember } from './client/consumer/GroupMember.ts';
import { kafkaClient } from './client/kafkaClient.ts';

export interface KafkaSourceOptions extends KafkaConnectionOptions {
  /** The consumer group; its members share the partitions out among themselves. */
  groupId: string;
  /** The topics to read; all have to be there. */
  topics: readonly string[];
  /** After how long without a sign of life the group gives this member's partitions away, in milliseconds. Default: 30,000. */
  sessionTimeoutMs?: number | undefined;
  /** How long a member may take to join again when the group is shared out anew, in milliseconds. Default: 60,000. */
  rebalanceTimeoutMs?: number | undefined;
  /** How often it gives a sign of life, in milliseconds. Default: a tenth of the session, at most 3,000. */
  heartbeatIntervalMs?: number | undefined;
  /** How long a fetch waits for records, in milliseconds: `stop` takes as long. Default: 250. */
  maxWaitMs?: number | undefined;
  /** Most bytes fetched of one partition at once. Default: 1,048,576. */
  maxBytesPerPartition?: number | undefined;
  /** Longest pause between two attempts to join the group again, in milliseconds. Default: 5,000. */
  maxRejoinDelayMs?: number | undefined;
  /**
   * How often a partition is looked at again that is held by what cannot be decoded, in milliseconds: whether it can be now, or
   * the group's offset has got past it. Default: 10,000.
   */
  heldCheckMs?: number | undefined;
}

/** Checks the options and fills in the defaults. */
export const resolveSourceOptions = defineOptions<KafkaSourceOptions>('kafkaSource')({
  ...connectionChecks,
  groupId: z.string().min(1),
  topics: z.array(z.string().min(1)).min(1),
  sessionTimeoutMs: z.int().min(1_000).max(1_800_000).default(30_000),
  rebalanceTimeoutMs: z.int().min(1_000).max(3_600_000).default(60_000),
  heartbeatIntervalMs: z.int().min(50).optional(),
  maxWaitMs: z.int().min(1).max(10_000).default(250),
  maxBytesPerPartition: z.int().min(1).default(1_048_576),
  maxRejoinDelayMs: z.int().min(1).default(5_000),
  heldCheckMs: z.int().min(1).max(3_600_000).default(10_000),
});

/** Source options with their defaults. */
export type KafkaSourceSettings = ReturnType<typeof resolveSourceOptions>;

/**
 * Reads Kafka topics as a member of a consumer group: see `RecordSource`. Records of transactions that were not committed
 * are left out. Records that are compressed with gzip, snappy, lz4 or zstd are read; what would become more than 64 MiB, or is
 * broken, holds its partition (`onUndecodable`), and no other.
 *
 * Nothing is committed but by `commit`. When the client dies or the group expels it, `onRevoked` and `onInterrupted` are
 * called, and it joins again until it succeeds. An error names brokers, topics and groups, and never a password.
 *
 * @example
 * ```ts
 * import { kafkaSource } from 'fintrack-pipelines/kafka';
 *
 * const source = kafkaSource({
 *   brokers: ['localhost:9092'],
 *   groupId: 'fintrack-etl',
 *   topics: ['MARKET_DATA_REQUEST'],
 * });
 * console.log(source.joined);
 * // false
 * ```
 */
export function kafkaSource(options: KafkaSourceOptions): RecordSource {
  const settings = resolveSourceOptions(options);
  return new GroupMember(kafkaClient(settings), settings);
}
