import type { Kafka } from 'kafkajs';
import type { KafkaBroker } from '../kafkaBroker.ts';
import { untilItWorks } from '../within.ts';
import { createTopics } from './createTopics.ts';

/**
 * Makes a broker that has just started ready for its first client: its own topics for groups and transactions come with their
 * first use, and for a moment clients are then told that it is not their coordinator.
 */
export async function useOnce({ brokers }: Pick<KafkaBroker, 'brokers'>): Promise<void> {
  // Read here only: what replaces a part of kafkajs has to be read before it.
  const { Kafka, logLevel } = await import('kafkajs');
  const kafka = new Kafka({ clientId: 'first-use', brokers: [...brokers], logLevel: logLevel.NOTHING });
  await untilItWorks(() => sendInTransaction(kafka), 200);
}

async function sendInTransaction(kafka: Kafka): Promise<void> {
  const topic = 'first-use';
  const admin = kafka.admin();
  const producer = kafka.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 });
  try {
    await admin.connect();
    await createTopics(admin, [{ topic, numPartitions: 1 }]);
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value: 'first' }] });
    const topics = [{ topic, partitions: [{ partition: 0, offset: '0' }] }];
    await transaction.sendOffsets({ consumerGroupId: topic, topics });
    await transaction.commit();
    await admin.deleteTopics({ topics: [topic] });
  } finally {
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  }
}
