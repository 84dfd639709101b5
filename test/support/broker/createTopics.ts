import type { Admin, ITopicConfig } from 'kafkajs';
import { untilItWorks } from '../within.ts';

/**
 * Makes topics, and waits until each has its leaders. With `waitForLeaders` kafkajs would reject when the broker that it asks has
 * not heard of a topic yet.
 */
export async function createTopics(admin: Admin, topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false });
  const names = topics.map(({ topic }) => topic);
  await untilItWorks(() => admin.fetchTopicMetadata({ topics: names }), 100);
}
