import type { Admin } from 'kafkajs';

/** How many partitions each of the topics has; those that are not there are not in the answer. */
export async function describeTopics(admin: Admin, wanted: readonly string[]): Promise<ReadonlyMap<string, number>> {
  // All topics, because asking for one that is not there creates it where brokers allow that (auto.create.topics.enable), and
  // the admin of kafkajs cannot ask in another way (index.js: admin has no allowAutoTopicCreation).
  const { topics } = await admin.fetchTopicMetadata();
  const sizes = topics.map(({ name, partitions }) => [name, partitions.length] as const);
  return new Map(sizes.filter(([name]) => wanted.includes(name)));
}
