import { CompressionTypes, ConfigResourceTypes } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { OptionsError } from '../../src/model/errors.ts';
import { kafkaSink } from '../../src/kafka/kafkaSink.ts';
import { zstdCompress } from '../../src/kafka/client/compression/zstd.ts';
import { Reader } from '../../src/testing/recordCases/Reader.ts';
import { kafkaBroker } from '../support/kafka.ts';
import { track } from '../support/track.ts';
import { openKafka, type KafkaBench } from './harness.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];
const stop = (source: { stop(): Promise<void> }): Promise<void> => source.stop();
const close = (sink: { close(): Promise<void> }): Promise<void> => sink.close();

const values = ['a', 'b'.repeat(100_000), '{"symbol":"AAPL","asset_type":"STOCK"},'.repeat(10_000), ''];

/** A topic whose records the broker itself compresses that way, with the libraries of Java. */
async function compressedTopic(kafka: KafkaBench, type: string): Promise<string> {
  const topic = await kafka.createTopic(1);
  await kafka.admin.alterConfigs({
    validateOnly: false,
    resources: [
      { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'compression.type', value: type }] },
    ],
  });
  return topic;
}

async function readBack(kafka: KafkaBench, topic: string): Promise<readonly string[]> {
  await using source = track(kafka.source(topic, [topic]), stop);
  const reader = await new Reader(source).run();
  await reader.read(values.length);
  return reader.values();
}

// issue 10, 8
describe.skipIf(broker === undefined)('records that are compressed', () => {
  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('are read: by a broker with %s', async (type) => {
    await using kafka = track(await openKafka(brokers));
    const topic = await compressedTopic(kafka, type);
    await using sink = track(kafkaSink({ brokers }), close);
    await sink.send(values.map((value) => ({ topic, value })));
    expect(await readBack(kafka, topic)).toEqual(values);
  });

  // Issue 10, 11.
  it('are read each once, in their order, when a batch holds more than is handed out of a fetch', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    const producer = kafka.plain.producer();
    await producer.connect();
    // 25,200 records and headers together, in one batch.
    const headers = { h: Array.from({ length: 11 }, () => 'v') };
    const sent = Array.from({ length: 2_100 }, (_, index) => String(index));
    const messages = sent.map((value) => ({ value, headers }));
    await producer.send({ topic, compression: CompressionTypes.GZIP, messages });
    await producer.disconnect();
    await using source = track(kafka.open({ groupId: topic, topics: [topic], sessionTimeoutMs: 30_000 }), stop);
    const reader = await new Reader(source).run();
    await reader.read(sent.length);
    expect(reader.values()).toEqual(sent);
  });

  // The broker decompresses what comes, to look at it, and refuses what it cannot read, and what is larger than 1 MiB.
  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('are sent: with %s', async (compression) => {
    if (compression === 'zstd' && zstdCompress === undefined) {
      const refused = /^kafkaSink: compression: expected another one than zstd/;
      expect(() => kafkaSink({ brokers, compression })).toThrow(refused);
      expect(() => kafkaSink({ brokers, compression })).toThrow(OptionsError);
      return;
    }
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafkaSink({ brokers, compression }), close);
    const large = 'c'.repeat(1_500_000);
    const records = [large, ...values.slice(1)].map((value) => ({ topic, value }));
    await sink.send(records.slice(0, 2));
    const announcer = await sink.own(topic, 0, topic);
    await announcer.announce(records.slice(2), { offset: 0n, announced: new Set() });
    expect(await readBack(kafka, topic)).toEqual([large, ...values.slice(1)]);
  });
});
