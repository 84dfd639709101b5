import { setTimeout as pause } from 'node:timers/promises';
import type { Admin, ITopicConfig } from 'kafkajs';

/**
 * Makes topics, and waits until each has its leaders. With `waitForLeaders` kafkajs would reject when the broker that it asks has
 * not heard of a topic yet.
 */
export async function createTopics(admin: Admin, topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false });
  for (let attempts = 200; ; attempts--) {
    try {
      await admin.fetchTopicMetadata({ topics: topics.map(({ topic }) => topic) });
      return;
    } catch (error) {
      if (attempts === 1) throw error;
      await pause(50);
    }
  }
}
