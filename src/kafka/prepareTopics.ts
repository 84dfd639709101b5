import { z } from 'zod';
import { defineOptions, port } from '../model/defineOptions.ts';
import { BrokerError } from '../model/errors.ts';
import type { RecordTopics, TopicSize } from '../model/recordPorts.ts';
import type { AnyRequestTopic } from './requests/requestTopic.ts';

export interface PrepareTopicsOptions {
  /** The topics of the broker, mostly `kafkaTopics`. It is not closed. */
  topics: RecordTopics;
  /** What a worker reads, and where its answers go. */
  requestTopics: readonly AnyRequestTopic[];
  /** Further topics that are needed, such as those of progress events; they get one partition. Default: none. */
  others?: readonly string[] | undefined;
  /** How many partitions a new work topic gets: so many workers can share a request. Default: 12. */
  workPartitions?: number | undefined;
  /** Whether missing topics are created; otherwise they are an error. Default: true. */
  create?: boolean | undefined;
}

const resolveOptions = defineOptions<PrepareTopicsOptions>('prepareTopics')({
  topics: port<RecordTopics>('topics of a broker', 'describe', 'create'),
  requestTopics: z.array(z.custom<AnyRequestTopic>((value) => typeof value === 'object' && value !== null)).min(1),
  others: z.array(z.string().min(1)).default([]),
  workPartitions: z.int().min(1).max(1_000).default(12),
  create: z.boolean().default(true),
});

/**
 * Sees to it that every topic of a worker is there, and resolves with those that were created: completion topics, dead letters
 * with as many partitions as their request topic, work topics, and also request topics, without which no worker can start, with
 * one partition. A topic that is there is never altered.
 *
 * Rejects with a `BrokerError` that names what is missing when nothing may be created, or a topic for dead letters with fewer
 * partitions than its request topic: a dead letter keeps the number of its partition, and a record that cannot be put away
 * would hold up its partition for ever.
 *
 * @example
 * ```ts
 * import { memoryBroker } from 'fintrack-pipelines';
 * import { marketDataTopic, prepareTopics } from 'fintrack-pipelines/kafka';
 *
 * const broker = memoryBroker({ topics: { MARKET_DATA_UPDATE_REQUEST: 3 } });
 * const created = await prepareTopics({ topics: broker.topics(), requestTopics: [marketDataTopic()] });
 * for (const { topic, partitions } of created) console.log(topic, partitions);
 * // MARKET_DATA_UPDATE_COMPLETE 1
 * // MARKET_DATA_UPDATE_REQUEST-dlt 3
 * // MARKET_DATA_UPDATE_WORK 12
 * ```
 */
export async function prepareTopics(options: PrepareTopicsOptions): Promise<readonly TopicSize[]> {
  const { topics, requestTopics, others, workPartitions, create } = resolveOptions(options);
  const names = new Set([...requestTopics.flatMap(namesOf), ...others]);
  const there = await topics.describe([...names]);
  const sizes = new Map<string, number>();
  const want = (topic: string, partitions: number): void => {
    sizes.set(topic, Math.max(partitions, sizes.get(topic) ?? 0));
  };
  for (const { topic, completionTopic, deadLetterTopic, workTopic } of requestTopics) {
    want(topic, there.get(topic) ?? 1);
    want(completionTopic, 1);
    want(deadLetterTopic, there.get(topic) ?? 1);
    if (workTopic !== undefined) want(workTopic, workPartitions);
  }
  for (const topic of others) want(topic, 1);

  const missing = [...sizes]
    .filter(([topic]) => !there.has(topic))
    .map(([topic, partitions]) => ({ topic, partitions }));
  if (missing.length > 0 && !create) throw missingTopics(missing);
  const created = await topics.create(missing);
  demandRoom(requestTopics, await topics.describe([...names]));
  return missing.filter(({ topic }) => created.includes(topic));
}

function namesOf({ topic, completionTopic, deadLetterTopic, workTopic }: AnyRequestTopic): string[] {
  return [topic, completionTopic, deadLetterTopic, ...(workTopic === undefined ? [] : [workTopic])];
}

function missingTopics(missing: readonly TopicSize[]): BrokerError {
  const list = missing.map(({ topic, partitions }) => `${topic} (${counted(partitions)})`).join(', ');
  return new BrokerError('broker_error', `topics are missing: ${list}`);
}

/** Looks at what is there in the end: somebody else may have created it, with another size. */
function demandRoom(requestTopics: readonly AnyRequestTopic[], there: ReadonlyMap<string, number>): void {
  for (const { topic, deadLetterTopic } of requestTopics) {
    const wanted = there.get(topic) ?? 0;
    const found = there.get(deadLetterTopic) ?? 0;
    if (found >= wanted) continue;
    throw new BrokerError(
      'broker_error',
      `${deadLetterTopic} has ${counted(found)} and ${topic} ${wanted}: a dead letter keeps the number of its partition; ` +
        `give ${deadLetterTopic} ${counted(wanted)}`,
    );
  }
}

function counted(partitions: number): string {
  return `${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`;
}
