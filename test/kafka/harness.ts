import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { CompressionTypes, Kafka, logLevel, type Admin, type ISocketFactory } from 'kafkajs';
import { GroupMember } from '../../src/kafka/client/consumer/GroupMember.ts';
import { kafkaClient } from '../../src/kafka/client/kafkaClient.ts';
import { kafkaSink } from '../../src/kafka/kafkaSink.ts';
import { resolveSourceOptions, type KafkaSourceOptions } from '../../src/kafka/kafkaSource.ts';
import type { RecordSource, SourceRecord } from '../../src/model/recordPorts.ts';
import { toSourceRecord } from '../../src/kafka/client/consumer/sourceRecord.ts';
import type { RecordsUnderTest } from '../../src/testing/recordContract.ts';

/** Sessions that end soon, and heartbeats to match. */
export const short = {
  sessionTimeoutMs: 1_500,
  rebalanceTimeoutMs: 1_500,
  heartbeatIntervalMs: 150,
  maxWaitMs: 100,
  heldCheckMs: 100,
};

/** A broker for the tests of the adapter: topics, and sources whose connection can be cut. */
export interface KafkaBench extends RecordsUnderTest {
  readonly brokers: readonly string[];
  readonly admin: Admin;
  /** A client of kafkajs without any of our care. */
  readonly plain: Kafka;
  /** A source whose connection can be cut. */
  open(options: Partial<KafkaSourceOptions> & Pick<KafkaSourceOptions, 'groupId' | 'topics'>): RecordSource;
}

export async function openKafka(brokers: readonly string[]): Promise<KafkaBench> {
  const plain = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } });
  const admin = plain.admin();
  await admin.connect();
  const cuts = new Map<RecordSource, () => void>();

  const open: KafkaBench['open'] = (options) => {
    const settings = resolveSourceOptions({ brokers, ...short, ...options });
    const { socketFactory, cut } = cuttable();
    const source = new GroupMember(kafkaClient(settings, socketFactory), settings);
    cuts.set(source, cut);
    return source;
  };

  return {
    brokers,
    admin,
    plain,
    open,
    async createTopic(partitions, { maxRecordBytes } = {}) {
      const topic = `topic-${randomUUID()}`;
      const configEntries =
        maxRecordBytes === undefined ? [] : [{ name: 'max.message.bytes', value: String(maxRecordBytes) }];
      await admin.createTopics({
        waitForLeaders: true,
        topics: [{ topic, numPartitions: partitions, configEntries }],
      });
      return topic;
    },
    source: (groupId, topics) => open({ groupId, topics }),
    sink: () => kafkaSink({ brokers }),
    sendUndecodable: (topic, partition) => sendTooLarge(plain, topic, partition),
    records: (topic) => readCommitted(plain, admin, topic),
    crash: (source) => cuts.get(source)?.(),
    [Symbol.asyncDispose]: () => admin.disconnect(),
  };
}

/** A record that is compressed to 64 kB, and becomes more than a batch may become. */
export async function sendTooLarge(plain: Kafka, topic: string, partition: number): Promise<void> {
  const producer = plain.producer();
  await producer.connect();
  const messages = [{ partition, value: Buffer.alloc(65 * 1024 * 1024) }];
  await producer.send({ topic, messages, compression: CompressionTypes.GZIP });
  await producer.disconnect();
}

/** Sockets of one client, all of which end at once and for ever. */
function cuttable(): { readonly socketFactory: ISocketFactory; readonly cut: () => void } {
  const sockets = new Set<Socket>();
  let isCut = false;
  const cut = (): void => {
    isCut = true;
    // With an error, as from a reset: kafkajs does not hear of a socket that only closes.
    for (const socket of sockets) socket.destroy(new Error('cut'));
  };
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = isCut ? connect({ host, port: 1 }) : connect({ host, port }, onConnect);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  return { socketFactory, cut };
}

/** What a reader of committed records finds, by partition and offset: all before a mark that is sent to each partition. */
async function readCommitted(plain: Kafka, admin: Admin, topic: string): Promise<SourceRecord[]> {
  const mark = `mark-${randomUUID()}`;
  const partitions = (await admin.fetchTopicOffsets(topic)).map(({ partition }) => partition);
  const producer = plain.producer({ idempotent: true });
  await producer.connect();
  await producer.send({ topic, messages: partitions.map((partition) => ({ partition, key: mark, value: null })) });
  await producer.disconnect();

  const consumer = plain.consumer({ groupId: mark, maxWaitTimeInMs: 50, sessionTimeout: 6_000 });
  const records: SourceRecord[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    let marks = 0;
    const eachMessage: NonNullable<Parameters<typeof consumer.run>[0]>['eachMessage'] = async (payload) => {
      const record = toSourceRecord(payload, payload.message);
      if (!String(payload.message.key).startsWith('mark-')) records.push(record);
      else if (String(payload.message.key) === mark && ++marks === partitions.length) resolve();
    };
    consumer.run({ eachMessage }).catch(reject);
  });
  await consumer.disconnect();
  return records.sort((one, other) => one.partition - other.partition || Number(one.offset - other.offset));
}
