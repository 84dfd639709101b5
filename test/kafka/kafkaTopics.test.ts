import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { kafkaTopics } from '../../src/kafka/kafkaTopics.ts';
import { recordPublisher } from '../../src/kafka/records/recordPublisher.ts';
import { kafkaSink } from '../../src/kafka/kafkaSink.ts';
import type { ProgressEvent } from '../../src/model/events/progress.ts';
import { createTopics } from '../support/broker/createTopics.ts';
import { kafkaBroker } from '../support/kafka.ts';
import { track } from '../support/track.ts';
import { openKafka } from './harness.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];
const close = (opened: { close(): Promise<void> }): Promise<void> => opened.close();

describe.skipIf(broker === undefined)('the topics of Kafka', () => {
  it('are created where they are missing, by one of several workers, and never altered', async () => {
    await using kafka = track(await openKafka(brokers));
    const there = await kafka.createTopic(2);
    const [one, other] = [`new-${randomUUID()}`, `new-${randomUUID()}`];
    const wanted = [
      { topic: there, partitions: 5 },
      { topic: one, partitions: 3 },
      { topic: other, partitions: 1 },
    ];
    await using first = track(kafkaTopics({ brokers }), close);
    await using second = track(kafkaTopics({ brokers }), close);
    const created = await Promise.all([first.create(wanted), second.create(wanted)]);
    expect(created.flat().sort()).toEqual([one, other].sort());
    const names = [there, one, other, `missing-${randomUUID()}`];
    for (const topics of [first, second]) {
      expect(await topics.describe(names)).toEqual(new Map([[there, 2], [one, 3], [other, 1]])); // prettier-ignore
    }
    expect(await first.create(wanted)).toEqual([]);
  }, 30_000);

  it('end before a transaction that is open', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(2);
    await using topics = track(kafkaTopics({ brokers }), close);
    await using sink = track(kafkaSink({ brokers }), close);
    await sink.send(['a', 'b'].map((value) => ({ topic, partition: 1, value })));
    const producer = kafka.plain.producer({ transactionalId: topic, maxInFlightRequests: 1 });
    await producer.connect();
    const open = await producer.transaction();
    await open.send({ topic, messages: [{ partition: 1, value: 'c' }] });
    const byPartition = async () => (await topics.ends(topic)).toSorted((x, y) => x.partition - y.partition);
    expect(await byPartition()).toEqual([
      { topic, partition: 0, first: 0n, end: 0n },
      { topic, partition: 1, first: 0n, end: 2n },
    ]);
    await open.abort();
    await producer.disconnect();
  }, 30_000);

  it('say what is wrong, with the name of the topic', async () => {
    await using topics = track(kafkaTopics({ brokers }), close);
    await expect(topics.ends('missing')).rejects.toMatchObject({
      code: 'broker_error',
      message: 'Kafka: there is no topic missing',
    });
    const wrong = topics.create([{ topic: 'no name', partitions: 1 }]);
    await expect(wrong).rejects.toMatchObject({ code: 'broker_error', retryable: false });
    await expect(wrong).rejects.toThrow(/creating the topic no name: INVALID_TOPIC_EXCEPTION/);
    expect(await topics.describe(['missing'])).toEqual(new Map());
  }, 30_000);

  it('that are missing fail a publisher at once, and nobody else', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafkaSink({ brokers }), close);
    const progress: ProgressEvent = { requestId: 'request-1', batch: 1, ok: 1, failed: 0, elapsedMs: 1 };
    const missing = recordPublisher<ProgressEvent>({ sink, topic: `missing-${topic}` });
    const there = recordPublisher<ProgressEvent>({ sink, topic });
    const connected: unknown[] = [];
    const send = async () => {
      await there.publish(progress);
      connected.push(await missing.publish(progress).catch((error: unknown) => error));
    };
    await Promise.all(Array.from({ length: 20 }, send));
    expect(connected).toHaveLength(20);
    for (const error of connected) {
      // Without the text of kafkajs: it was not asked to send.
      expect(error).toMatchObject({ code: 'publish_failed', message: `Kafka: there is no topic missing-${topic}` });
    }
    expect(await kafka.records(topic)).toHaveLength(20);
    await createTopics(kafka.admin, [{ topic: `missing-${topic}` }]);
    await missing.publish(progress);
    expect(await kafka.records(`missing-${topic}`)).toHaveLength(1);
  }, 30_000);

  it('begin with their end for a group that starts with the latest, and only at its first start', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafkaSink({ brokers, startAt: 'latest' }), close);
    await sink.send(['a', 'b'].map((value) => ({ topic, value })));
    const first = await sink.own(topic, 0, topic);
    expect(first.committed).toEqual({ offset: 2n, announced: new Set() });
    await sink.send([{ topic, value: 'c' }]);
    const second = await sink.own(topic, 0, topic);
    expect(second.committed.offset).toBe(2n);
    await using earliest = track(kafka.sink(), close);
    expect((await earliest.own(topic, 0, `other-${topic}`)).committed.offset).toBe(0n);
  }, 30_000);
});

describe('the topics of a broker that does not answer', () => {
  it('end in an error that may be tried again', async () => {
    await using topics = track(kafkaTopics({ brokers: ['127.0.0.1:1'], connectionTimeoutMs: 100 }), close);
    await expect(topics.describe(['a'])).rejects.toMatchObject({ code: 'broker_unavailable', retryable: true });
    await topics.close();
    await expect(topics.describe(['a'])).rejects.toMatchObject({ code: 'broker_error' });
  });
});
