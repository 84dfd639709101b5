import { describe, expect, it } from 'vitest';
import { kafkaSink } from '../../../src/kafka/kafkaSink.ts';
import { kafkaTopics } from '../../../src/kafka/kafkaTopics.ts';
import { deadLetterRecord } from '../../../src/kafka/records/deadLetterRecord.ts';
import { redrive, type RedriveOptions } from '../../../src/kafka/redrive/redrive.ts';
import { RequestError } from '../../../src/model/errors.ts';
import { createTopics } from '../../support/broker/createTopics.ts';
import { kafkaBroker } from '../../support/kafka.ts';
import { track } from '../../support/track.ts';
import { openKafka } from '../harness.ts';
import { header, headersOf, requestRecord } from '../records/records.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];
const close = (opened: { close(): Promise<void> }): Promise<void> => opened.close();

describe.skipIf(broker === undefined)('a redrive on Kafka', () => {
  it('ends behind the marks of transactions, before one that is open, and sends each record once', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(2);
    const deadLetterTopic = `${topic}-dlt`;
    await createTopics(kafka.admin, [{ topic: deadLetterTopic, numPartitions: 2 }]);
    await using sink = track(kafkaSink({ brokers }), close);
    await using topics = track(kafkaTopics({ brokers }), close);
    const options: RedriveOptions = {
      topic: deadLetterTopic,
      groupId: topic,
      openSource: (groupId, name) => kafka.source(groupId, [name]),
      sink,
      topics,
    };
    expect(await redrive(options)).toEqual({ partitions: 2, sent: 0, cut: 0 });

    const letters = ['a', 'b', 'c'].map((value) => {
      const record = requestRecord({
        topic,
        partition: 1,
        value: Buffer.from(value),
        headers: [header('kept', value)],
      });
      return deadLetterRecord(record, new RequestError('timeout', 'no progress'), {
        topic: deadLetterTopic,
        groupId: topic,
      });
    });
    const announcer = await sink.own(topic, 0, topic);
    for (const letter of letters) await announcer.announce([letter], { offset: 1n, announced: new Set() });
    const producer = kafka.plain.producer({ transactionalId: topic, maxInFlightRequests: 1 });
    await producer.connect();
    const message = { topic: deadLetterTopic, messages: [{ partition: 1, value: 'never committed' }] };
    const aborted = await producer.transaction();
    await aborted.send(message);
    await aborted.abort();
    const open = await producer.transaction();
    await open.send(message);

    expect(await redrive({ ...options, limit: 1 })).toEqual({ partitions: 2, sent: 1, cut: 0 });
    expect(await redrive(options)).toEqual({ partitions: 2, sent: 2, cut: 0 });
    expect(await redrive(options)).toEqual({ partitions: 2, sent: 0, cut: 0 });
    const sent = await kafka.records(topic);
    expect(sent.map(({ partition, value }) => [partition, String(value)])).toEqual([[1, 'a'], [1, 'b'], [1, 'c']]); // prettier-ignore
    expect(sent.map(headersOf)).toEqual(['a', 'b', 'c'].map((value) => [['kept', value]]));
    await open.abort();
    await producer.disconnect();
  }, 30_000);

  // issue 10, item 5: the topic takes each of them, and not all at once
  it('sends one by one what its topic does not take together', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1, { maxRecordBytes: 10_000 });
    const deadLetterTopic = `${topic}-dlt`;
    await createTopics(kafka.admin, [{ topic: deadLetterTopic, numPartitions: 1 }]);
    await using sink = track(kafkaSink({ brokers }), close);
    await using topics = track(kafkaTopics({ brokers }), close);
    const values = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(4_000));
    await sink.send(values.map((value) => ({ topic: deadLetterTopic, partition: 0, value })));
    const openSource: RedriveOptions['openSource'] = (groupId, name) => kafka.source(groupId, [name]);
    const result = await redrive({ topic: deadLetterTopic, groupId: topic, openSource, sink, topics });
    expect(result).toEqual({ partitions: 1, sent: 4, cut: 0 });
    expect((await kafka.records(topic)).map(({ value }) => String(value))).toEqual(values);
  }, 30_000);
});
