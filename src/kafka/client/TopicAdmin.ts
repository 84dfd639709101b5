import type { Admin } from 'kafkajs';
import { BrokerError } from '../../model/errors.ts';
import type { PartitionEnds, RecordTopics, TopicSize } from '../../model/recordPorts.ts';
import { connected, disconnected } from './connected.ts';
import { describeTopics } from './describeTopics.ts';
import type { KafkaClient } from './kafkaClient.ts';
import { brokerError } from './kafkaErrors.ts';

/** How often, and after how long, a topic that was created is looked for again. */
const appearing = { attempts: 100, pauseMs: 50 };

/** The topics of a cluster. It connects when it is first used, and again after a failure. */
export class TopicAdmin implements RecordTopics {
  readonly #client: KafkaClient;
  #admin: Promise<Admin> | undefined;
  #isClosed = false;

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  describe(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#ask('looking for topics', (admin) => describeTopics(admin, topics));
  }

  create(topics: readonly TopicSize[]): Promise<readonly string[]> {
    const names = topics.map(({ topic }) => topic);
    return this.#ask('creating topics', async (admin) => {
      const there = await describeTopics(admin, names);
      const missing = topics.filter(({ topic }) => !there.has(topic));
      // One by one: of several kafkajs does not say which of them were there.
      const created = await Promise.all(missing.map((topic) => this.#createOne(admin, topic)));
      if (missing.length > 0) await appeared(admin, names);
      return missing.flatMap(({ topic }, index) => (created[index] === true ? [topic] : []));
    });
  }

  ends(topic: string): Promise<readonly PartitionEnds[]> {
    return this.#ask(`the ends of ${topic}`, async (admin) => {
      // kafkajs would look for a missing one for 10 s.
      const there = await describeTopics(admin, [topic]);
      if (!there.has(topic)) throw new BrokerError('broker_error', `Kafka: there is no topic ${topic}`);
      const offsets = await admin.fetchTopicOffsets(topic);
      return offsets.map(({ partition, low, high }) => ({ topic, partition, first: BigInt(low), end: BigInt(high) }));
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await disconnected(this.#admin);
    this.#client.close();
  }

  async #createOne(admin: Admin, { topic, partitions }: TopicSize): Promise<boolean> {
    try {
      // It is waited for below: kafkajs would reject when the broker that it asks has not heard of the topic yet.
      return await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: false });
    } catch (error) {
      // An error of kafkajs for several topics, whose class Node.js cannot import by its name.
      const [reason = error] = (error as { readonly errors?: readonly unknown[] }).errors ?? [];
      throw brokerError(`creating the topic ${topic}`, reason, this.#client.secrets);
    }
  }

  async #ask<Answer>(what: string, question: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    if (this.#isClosed) throw new BrokerError('broker_error', `Kafka: ${what}: the connection was closed`);
    try {
      this.#admin ??= connected(this.#client.kafka.admin());
      return await question(await this.#admin);
    } catch (error) {
      const broken = this.#admin;
      this.#admin = undefined;
      await disconnected(broken);
      throw brokerError(what, error, this.#client.secrets);
    }
  }
}

/** Waits until the broker that was asked knows of the topics, also of one that somebody else is creating. */
async function appeared(admin: Admin, names: readonly string[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const there = await describeTopics(admin, names);
    const missing = names.filter((name) => !there.has(name));
    if (missing.length === 0) return;
    if (attempt === appearing.attempts) {
      throw new BrokerError('broker_error', `Kafka: ${missing.join(', ')}: created, but not there yet`, {
        retryable: true,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, appearing.pauseMs));
  }
}
