import { randomUUID } from 'node:crypto';
import type { Admin, Consumer, Kafka, KafkaMessage } from 'kafkajs';
import { lanes, topics } from './requests.ts';

/** A record of a topic that workers answer on, as a reader of committed records sees it. */
export interface SeenRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly key: string;
  readonly value: Buffer | null;
  readonly headers: KafkaMessage['headers'];
}

const answerTopics = lanes.flatMap((lane) => [topics[lane].completion, `${topics[lane].request}-dlt`]);

/** Reads completions and dead letters as they are committed: with a plain client, whose reading is put right. */
export class Answers implements AsyncDisposable {
  readonly records: SeenRecord[] = [];
  readonly #kafka: Kafka;
  readonly #admin: Admin;
  readonly #consumer: Consumer;
  readonly #waiting = new Set<() => void>();
  readonly #marks = new Map<string, number>();
  readonly #places = new Set<string>();

  constructor(kafka: Kafka, admin: Admin) {
    this.#kafka = kafka;
    this.#admin = admin;
    this.#consumer = kafka.consumer({
      groupId: `answers-${randomUUID()}`,
      maxWaitTimeInMs: 50,
      sessionTimeout: 30_000,
    });
  }

  async start(): Promise<void> {
    await this.#consumer.connect();
    await this.#consumer.subscribe({ topics: answerTopics, fromBeginning: true });
    await this.#consumer.run({
      eachMessage: async ({ topic, partition, message }) => {
        const { key, value, headers, offset } = message;
        const name = String(key);
        // A plain client reads some of it again after a rebalance of its own.
        const place = `${topic}-${partition}-${offset}`;
        if (this.#places.has(place)) return;
        this.#places.add(place);
        if (name.startsWith('mark-')) this.#marks.set(name, (this.#marks.get(name) ?? 0) + 1);
        else this.records.push({ topic, partition, offset, key: name, value, headers });
        for (const look of this.#waiting) look();
      },
    });
  }

  /** Resolves once it is so, which is looked at with every record. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSo()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Reads all that there is by now: up to a mark in each partition. */
  async toTheEnd(): Promise<void> {
    const mark = `mark-${randomUUID()}`;
    const producer = this.#kafka.producer({ idempotent: true });
    await producer.connect();
    let partitions = 0;
    for (const topic of answerTopics) {
      const found = await this.#admin.fetchTopicOffsets(topic);
      partitions += found.length;
      await producer.send({ topic, messages: found.map(({ partition }) => ({ partition, key: mark, value: 'mark' })) });
    }
    await producer.disconnect();
    await this.until(() => this.#marks.get(mark) === partitions);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#consumer.disconnect();
  }
}
