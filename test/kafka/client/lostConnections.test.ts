// Issue 10, item 20: no `MaxListenersExceededWarning` when Kafka is killed (trap 15 of docs/kafka.md).
import { connect } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GroupMember } from '../../../src/kafka/client/consumer/GroupMember.ts';
import { kafkaClient } from '../../../src/kafka/client/kafkaClient.ts';
import { RecordProducer } from '../../../src/kafka/client/producer/RecordProducer.ts';
import { TopicAdmin } from '../../../src/kafka/client/TopicAdmin.ts';
import { resolveSinkOptions } from '../../../src/kafka/kafkaSink.ts';
import { resolveSourceOptions } from '../../../src/kafka/kafkaSource.ts';
import { Reader, until } from '../../../src/testing/recordCases/Reader.ts';
import { deferred } from '../../support/deferred.ts';
import { kafkaBroker } from '../../support/kafka.ts';
import { startTcpProxy } from '../../support/tcpProxy.ts';
import { track } from '../../support/track.ts';
import { kafkaWire, type KafkaRequestName } from '../../support/wire/kafkaWire.ts';
import { openKafka, short } from '../harness.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];

/** More than the listeners that an emitter takes without a warning. */
const many = 12;
const numbers = Array.from({ length: many }, (_, number) => number);

const warnings: Error[] = [];
const onWarning = (warning: Error): void => {
  // From Node 24 on kafkajs causes this one, once: docs/kafka.md.
  if (warning.name !== 'TimeoutNegativeWarning') warnings.push(warning);
};

beforeEach(() => {
  warnings.length = 0;
  process.on('warning', onWarning);
});
afterEach(() => {
  process.off('warning', onWarning);
});

/** The network between a client and the broker: once that many requests of a kind are under way on a connection, it ends. */
async function openNetwork() {
  const port = Number(brokers[0]?.split(':')[1]);
  const waiting = new Map<number, number>();
  let fatal: { readonly name: KafkaRequestName; readonly count: number } | undefined;
  let held: Promise<void> | undefined;
  let fetches = 0;
  const proxy = await startTcpProxy({
    target: () => port,
    protocol: kafkaWire,
    onClientMessage: ({ name }, connection) => {
      if (name === 'Fetch' && held !== undefined) fetches += 1;
      if (name !== fatal?.name) return undefined;
      const count = (waiting.get(connection.number) ?? 0) + 1;
      waiting.set(connection.number, count);
      if (count === fatal.count) {
        fatal = undefined;
        connection.hangUp();
      }
      return 'drop';
    },
    onServerMessage: async ({ name }) => {
      if (name === 'Fetch') await held;
      return undefined;
    },
  });
  const socketFactory: ISocketFactory = ({ onConnect }) => connect({ host: '127.0.0.1', port: proxy.port }, onConnect);
  return {
    proxy,
    socketFactory,
    /** The next requests of this kind are not answered, and the connection ends when there are that many of them. */
    endWith: (name: KafkaRequestName, count = many) => (fatal = { name, count }),
    hasEnded: () => fatal === undefined,
    /** Fetches get no answer until then. */
    holdFetches: (end: Promise<void>) => void (held = end),
    isFetching: () => fetches > 0,
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

describe.skipIf(broker === undefined)('a connection that ends with many requests under way', () => {
  it('of a consumer, beside a fetch that goes on, is no leak of listeners', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using sink = track(kafka.sink(), (open) => open.close());
    await sink.send(numbers.map((number) => ({ topic, partition: 0, value: String(number) })));
    await using network = track(await openNetwork());
    const settings = resolveSourceOptions({ brokers, ...short, groupId: topic, topics: [topic] });
    const member = new GroupMember(kafkaClient(settings, network.socketFactory), settings);
    await using source = track(member, (open) => open.stop());
    const reader = await new Reader(source).run();
    await reader.read(many);
    const answered = deferred();
    network.holdFetches(answered.promise);
    await until('a fetch', () => network.isFetching());
    network.endWith('OffsetCommit');

    const commits = Promise.all(reader.records.map((record) => reader.commit(record)));
    const open = network.proxy.open;
    await until('the end of the connection', () => network.hasEnded() && network.proxy.open === open - 1);
    answered.resolve();

    await commits;
    expect(warnings).toEqual([]);
  });

  it('of a producer is no leak of listeners', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using network = track(await openNetwork());
    const settings = resolveSinkOptions({ brokers });
    const producer = new RecordProducer(kafkaClient(settings, network.socketFactory), settings);
    await using sink = track(producer, (open) => open.close());
    const send = (value: number) => sink.send([{ topic, partition: 0, value: String(value) }]);
    await send(-1);
    // One that numbers its records sends nothing else to a broker meanwhile.
    network.endWith('Produce', 1);

    await Promise.all(numbers.map((number) => send(number)));

    expect(network.hasEnded()).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('of an admin is no leak of listeners', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    await using network = track(await openNetwork());
    const admin = new TopicAdmin(kafkaClient(resolveSinkOptions({ brokers }), network.socketFactory));
    await using topics = track(admin, (open) => open.close());
    await topics.describe([topic]);
    network.endWith('Metadata');

    const found = await Promise.allSettled(numbers.map(() => topics.describe([topic])));

    expect(found).toHaveLength(many);
    expect(network.hasEnded()).toBe(true);
    expect(warnings).toEqual([]);
  });
});
