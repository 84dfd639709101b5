import { kafkaTopics, prepareTopics, type KafkaConnectionOptions } from '../../kafka/index.ts';
import { progressTopicOf, type OpenPipeline } from './pipelines.ts';

export interface PrepareKafkaOptions {
  readonly connection: KafkaConnectionOptions;
  readonly pipelines: readonly OpenPipeline[];
  /** Whether topics that are missing are created. */
  readonly createTopics: boolean;
  readonly log: (line: string) => void;
}

/**
 * Sees to it that the topics are there. Resolves with those of progress events that are not, and may not be created: without
 * them requests are answered all the same. Rejects when any other is missing.
 */
export async function prepareKafka(options: PrepareKafkaOptions): Promise<ReadonlySet<string>> {
  const { connection, pipelines, createTopics, log } = options;
  const topics = kafkaTopics(connection);
  const requestTopics = pipelines.map(({ topic }) => topic);
  const progressTopics = requestTopics.map(progressTopicOf);
  try {
    const others = createTopics ? progressTopics : [];
    for (const { topic, partitions } of await prepareTopics({ topics, requestTopics, others, create: createTopics })) {
      log(`kafka: created the topic ${topic} with ${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`);
    }
    const there = await topics.describe(progressTopics);
    const absent = progressTopics.filter((topic) => !there.has(topic));
    for (const topic of absent) log(`kafka: there is no topic ${topic}: no progress is told on it`);
    return new Set(absent);
  } finally {
    await topics.close();
  }
}
