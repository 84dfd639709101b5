import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { PipelineError } from '../../src/model/errors.ts';
import { kafkaSink } from '../../src/kafka/kafkaSink.ts';
import { kafkaSource } from '../../src/kafka/kafkaSource.ts';
import type { KafkaLog } from '../../src/kafka/client/kafkaLog.ts';
import { Reader, until } from '../../src/testing/recordCases/Reader.ts';
import { createTopics } from '../support/broker/createTopics.ts';
import { kafkaBroker } from '../support/kafka.ts';
import { kafkaSaslPassword } from '../support/kafkaBroker.ts';
import { track } from '../support/track.ts';
import { openKafka, short } from './harness.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];
const stop = (source: { stop(): Promise<void> }): Promise<void> => source.stop();
const close = (sink: { close(): Promise<void> }): Promise<void> => sink.close();

// The numbers are those of docs/kafka.md. Traps 1, 3, 4 and 7 also stand in the contract, which every adapter keeps.
describe.skipIf(broker === undefined)('the traps of kafkajs', () => {
  it('1: work that takes longer than a session holds up neither the membership nor the other partitions', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(2);
    await using sink = track(kafka.sink(), close);
    await sink.send([{ topic, partition: 0, value: 'long' }]);
    await using source = track(kafka.source(topic, [topic]), stop);
    const reader = new Reader(source);
    const long = pause(short.sessionTimeoutMs + 1_000);
    await reader.run({ onRecord: (record) => record.partition === 0 && reader.source.pause([record]) });
    await reader.read(1);
    await sink.send([{ topic, partition: 1, value: 'other' }]);
    await reader.read(2);
    await long;
    await reader.commit(reader.record('long'));
    expect(reader.told.filter((told) => told.startsWith('assigned'))).toEqual(['assigned in epoch 1']);
  });

  it('2: a consumer that has crashed is replaced, and goes on where the group was', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafka.sink(), close);
    await using source = track(kafka.source(topic, [topic]), stop);
    const states: boolean[] = [];
    const reader = await new Reader(source).run({ onInterrupted: () => states.push(source.joined) });
    await kafka.admin.deleteTopics({ topics: [topic] });
    await until('the interruption', () => reader.told.includes('interrupted'));
    expect(states[0]).toBe(false);
    expect(reader.told.slice(0, 3)).toEqual(['assigned in epoch 1', 'revoked of epoch 1', 'interrupted']);
    await createTopics(kafka.admin, [{ topic, numPartitions: 1 }]);
    await sink.send([{ topic, partition: 0, value: 'after' }]);
    await reader.read(1);
    expect(source.joined).toBe(true);
    await reader.commit(reader.record('after'));
  }, 40_000);

  it('2, 3: an expelled member loses all it had, and its late commits', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafka.sink(), close);
    await sink.send(['a', 'b'].map((value) => ({ topic, partition: 0, value })));
    await using source = track(kafka.source(topic, [topic]), stop);
    const reader = await new Reader(source).run();
    await reader.read(2);
    // The whole process stands still, as under SIGSTOP.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, short.sessionTimeoutMs + 1_500);
    const late = source.commit(reader.record('b'), 1);
    await expect(late).rejects.toMatchObject({ code: 'fenced' });
    await reader.read(4);
    expect(reader.told).toContain('revoked of epoch 1');
    await source.commit(reader.record('b'), 2);
    expect(reader.values()).toEqual(['a', 'b', 'a', 'b']);
  });

  it('5: stopping does not wait for a fetch of 5 s', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    // With the defaults of the options.
    await using source = track(kafkaSource({ brokers, groupId: topic, topics: [topic] }), stop);
    await new Reader(source).run();
    const first = await Promise.race([source.stop().then(() => 'stopped'), pause(3_000, 'a long fetch')]);
    expect(first).toBe('stopped');
  });

  it('6: nothing is printed, and rebalances and transactions are no errors in the log', async () => {
    await using kafka = track(await openKafka(brokers));
    const [topic, done] = [await kafka.createTopic(2), await kafka.createTopic(1)];
    const log: KafkaLog[] = [];
    const onLog = (entry: KafkaLog): void => void log.push(entry);
    const printed = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
    await using sink = track(kafkaSink({ brokers, onLog }), close);
    await using one = track(kafka.open({ groupId: topic, topics: [topic], onLog }), stop);
    await using other = track(kafka.open({ groupId: topic, topics: [topic], onLog }), stop);
    const first = await new Reader(one).run();
    const second = await new Reader(other).run();
    await Promise.all([first.owns(1), second.owns(1)]);
    const announcer = await sink.own(topic, 0, topic);
    for (const offset of [1n, 2n, 3n]) {
      await announcer.announce([{ topic: done, partition: 0, value: 'x' }], { offset, announced: new Set() });
    }
    await sink.send([{ topic: done, partition: 0, value: 'x' }]);
    const written = printed.flatMap((spy) => spy.mock.calls.map(([text]) => String(text)));
    expect(written.filter((text) => text.includes('kafkajs'))).toEqual([]);
    expect(log.length).toBeGreaterThan(0);
    expect(log.map(({ level }) => level)).toContain('debug');
    expect(log.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });

  it('7, 8: an owner fences the one before, also in the middle of its transaction, at the first call', async () => {
    await using kafka = track(await openKafka(brokers));
    const [topic, done] = [await kafka.createTopic(1), await kafka.createTopic(1)];
    // A former owner that is cut off between send and commit: by hand, since an announcer never stops there.
    const former = kafka.plain.producer({ transactionalId: `${topic}-${topic}-0`, maxInFlightRequests: 1 });
    await former.connect();
    const transaction = await former.transaction();
    await transaction.send({ topic: done, messages: [{ value: 'late' }] });
    await using sink = track(kafka.sink(), close);
    const owner = await sink.own(topic, 0, topic);
    await expect(transaction.commit()).rejects.toThrow();
    await owner.announce([{ topic: done, partition: 0, value: 'a' }], { offset: 1n, announced: new Set() });
    expect((await kafka.records(done)).map(({ value }) => String(value))).toEqual(['a']);
    await former.disconnect();
  });

  it('8: transactions follow each other without a pause of 300 ms', async () => {
    await using kafka = track(await openKafka(brokers));
    const [topic, done] = [await kafka.createTopic(1), await kafka.createTopic(1)];
    await using sink = track(kafka.sink(), close);
    const announcer = await sink.own(topic, 0, topic);
    const announceAll = async (): Promise<string> => {
      for (let offset = 1n; offset <= 30n; offset++) {
        await announcer.announce([{ topic: done, partition: 0, value: 'x' }], { offset, announced: new Set() });
      }
      return 'announced';
    };
    // 30 of them take 9 s with the retries that kafkajs has by default, and less than one with ours.
    expect(await Promise.race([announceAll(), pause(6_000, 'too slow')])).toBe('announced');
  });

  it('9: what was announced is known behind another owner that has left its transaction open', async () => {
    await using kafka = track(await openKafka(brokers));
    const [topic, done] = [await kafka.createTopic(2), await kafka.createTopic(1)];
    await using sink = track(kafka.sink(), close);
    const open = kafka.plain.producer({ transactionalId: `other-${topic}`, maxInFlightRequests: 1 });
    await open.connect();
    const transaction = await open.transaction();
    await transaction.send({ topic: done, messages: [{ value: 'open' }] });
    const announcer = await sink.own(topic, 0, topic);
    const next = { offset: 1n, announced: new Set([3n]) };
    await announcer.announce([{ topic: done, partition: 0, value: 'a' }], next);
    // The completion topic shows nothing of it yet: whoever looked there would announce it once more.
    expect((await kafka.admin.fetchTopicOffsets(done))[0]?.offset).toBe('0');
    expect((await sink.own(topic, 0, topic)).committed).toEqual(next);
    await transaction.abort();
    await open.disconnect();
  });
});

describe.skipIf(broker?.saslBrokers === undefined)('authentication', () => {
  const connection = { brokers: broker?.saslBrokers ?? ['127.0.0.1:1'], ...short };
  const sasl = { mechanism: 'plain', username: 'tester', password: kafkaSaslPassword } as const;

  it('11, 12: headers of any name and number hold nobody up', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafka.sink(), close);
    const names = ['toString', '__proto__', ...Array.from({ length: 30_000 }, (_, index) => `h${index % 20_000}`)];
    const headers = names.map((name) => ({ name, value: 'v' }));
    await sink.send([
      { topic, partition: 0, value: 'many', headers },
      { topic, partition: 0, value: 'after' },
    ]);
    await using source = track(kafka.source(topic, [topic]), stop);
    const reader = await new Reader(source).run();
    await reader.read(2);
    const read = reader.record('many').headers.map(({ name }) => name);
    expect(read).toHaveLength(10_000);
    expect(read.slice(0, 2)).toEqual(['toString', '__proto__']);
    expect(new Set(names)).toEqual(new Set([...names, ...read]));
  });

  it('lets in whoever has the password', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafkaSink({ brokers: connection.brokers, sasl }), close);
    await sink.send([{ topic, partition: 0, value: 'a' }]);
    await using source = track(kafkaSource({ ...connection, sasl, groupId: topic, topics: [topic] }), stop);
    const reader = await new Reader(source).run();
    await reader.read(1);
    expect(reader.values()).toEqual(['a']);
  });

  it('is refused for good with a wrong password, which is nowhere to be read', async () => {
    const password = 'canary-41d7-wrong';
    const log: KafkaLog[] = [];
    const onLog = (entry: KafkaLog): void => void log.push(entry);
    const wrong = { ...connection, sasl: { ...sasl, password }, onLog };
    await using source = track(kafkaSource({ ...wrong, groupId: 'group', topics: ['topic'] }), stop);
    const failed: unknown = await new Reader(source).run().catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'broker_error', retryable: false });
    const text = JSON.stringify([failed, log, String(failed), (failed as PipelineError).stack]);
    expect(text).toContain('authentication failed');
    expect(text).not.toContain(password);
  });
});
