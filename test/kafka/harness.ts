import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import kafkajs, {
  CompressionTypes,
  Kafka,
  logLevel,
  PartitionAssigners,
  type Admin,
  type ISocketFactory,
  type PartitionAssigner,
} from 'kafkajs';
import { readFetches } from '../../src/kafka/client/consumer/fetch/readFetches.ts';
import { GroupMember } from '../../src/kafka/client/consumer/GroupMember.ts';
import { kafkaClient } from '../../src/kafka/client/kafkaClient.ts';
import { kafkaSink } from '../../src/kafka/kafkaSink.ts';
import { resolveSourceOptions, type KafkaSourceOptions } from '../../src/kafka/kafkaSource.ts';
import type { RecordSource, SourceRecord } from '../../src/model/recordPorts.ts';
import { toSourceRecord } from '../../src/kafka/client/consumer/sourceRecord.ts';
import type { RecordsUnderTest } from '../../src/testing/recordContract.ts';
import { createTopics } from '../support/broker/createTopics.ts';

const { CompressionCodecs } = kafkajs;

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
      await createTopics(admin, [{ topic, numPartitions: partitions, configEntries }]);
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

/** A record that would become more than a batch may become: a broker takes it, and it is refused by what it says of its size. */
async function sendTooLarge(plain: Kafka, topic: string, partition: number): Promise<void> {
  const codec = CompressionCodecs[CompressionTypes.ZSTD];
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async () => tooLarge(),
    decompress: async () => tooLarge(),
  });
  try {
    const producer = plain.producer();
    await producer.connect();
    const messages = [{ partition, value: 'takes the place of another' }];
    await producer.send({ topic, messages, compression: CompressionTypes.ZSTD });
    await producer.disconnect();
  } finally {
    CompressionCodecs[CompressionTypes.ZSTD] = codec;
  }
}

/** A frame of Zstandard that holds one record with a value of 65 MiB of zeros. */
function tooLarge(): Buffer {
  const valueBytes = 65 * 1024 * 1024;
  const value = varInt(valueBytes);
  const record = Buffer.concat([Buffer.from([0, 0, 0, 1]), value]);
  const start = Buffer.concat([varInt(record.length + valueBytes + 1), record]);
  const runBytes = 128 * 1024;
  const runs = valueBytes / runBytes;
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0]);
  head.writeUInt32LE(start.length + valueBytes + 1, 5);
  const block = (kind: 0 | 2, bytes: number, isLast = false): Buffer => {
    const number = Buffer.alloc(3);
    number.writeUIntLE(bytes * 8 + kind + (isLast ? 1 : 0), 0, 3);
    return number;
  };
  const zero = Buffer.alloc(1);
  const run = Buffer.concat([block(2, runBytes), zero]);
  // The last zero says that it has no headers.
  return Buffer.concat([
    head,
    block(0, start.length),
    start,
    ...new Array<Buffer>(runs).fill(run),
    block(2, 1, true),
    zero,
  ]);
}

function varInt(value: number): Buffer {
  const bytes: number[] = [];
  let rest = 2 * value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 0x80);
  return Buffer.from([...bytes, rest]);
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

/** Has a consumer read what that of kafkajs cannot: a header named `toString` ends it. */
const readEverything: PartitionAssigner = (config) => {
  readFetches(config.cluster, () => () => undefined);
  return PartitionAssigners.roundRobin(config);
};

/** What a reader of committed records finds, by partition and offset: all before a mark that is sent to each partition. */
async function readCommitted(plain: Kafka, admin: Admin, topic: string): Promise<SourceRecord[]> {
  const mark = `mark-${randomUUID()}`;
  const partitions = (await admin.fetchTopicOffsets(topic)).map(({ partition }) => partition);
  const producer = plain.producer({ idempotent: true });
  await producer.connect();
  await producer.send({ topic, messages: partitions.map((partition) => ({ partition, key: mark, value: null })) });
  await producer.disconnect();

  const consumer = plain.consumer({
    ...{ groupId: mark, maxWaitTimeInMs: 50, sessionTimeout: 6_000 },
    partitionAssigners: [readEverything],
  });
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
