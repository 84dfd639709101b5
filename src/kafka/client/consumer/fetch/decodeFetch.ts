import type { UndecodableRecord } from '../../../../model/recordPorts.ts';
import { maxBatchBytes } from '../../compression/bound.ts';
import { ByteReader } from './ByteReader.ts';
import { decodeBatch, nextBatch, type BatchHead, type FetchedMessage } from './recordBatch.ts';

/** An answer of a broker in the words of kafkajs (protocol/requests/fetch). */
export interface FetchResponse {
  readonly throttleTime: number;
  readonly clientSideThrottleTime?: number | undefined;
  readonly errorCode: number;
  readonly sessionId: number;
  readonly responses: readonly { readonly topicName: string; readonly partitions: readonly FetchedPartition[] }[];
}

export interface FetchedPartition {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: string;
  readonly abortedTransactions: readonly { readonly producerId: string; readonly firstOffset: string }[];
  readonly preferredReadReplica?: number | undefined;
  readonly messages: readonly unknown[];
}

export interface FetchContext {
  /** The version of the protocol: from 4 to 11. */
  readonly version: number;
  /** Where the fetch of a partition began. */
  readonly fetchedFrom: (topic: string, partition: number) => bigint;
  /** The batches of a partition in a form of before Kafka 0.11, read by kafkajs from an answer that holds nothing else. */
  readonly decodeOld: (raw: Buffer) => Promise<FetchResponse>;
  /** A partition goes on with a batch that cannot be decoded. */
  readonly onUndecodable: (record: UndecodableRecord, reason: Error) => void;
}

/** Most records and headers of an answer that are handed out, shared among its partitions; the rest is fetched again. */
const mostItems = 20_000;

/** The broker has found that what it stores is corrupt (CORRUPT_MESSAGE). */
const corrupt = 2;
const newForm = 2;

/**
 * Decodes the answer to a fetch. kafkajs fails the answer as a whole, with all its topics and partitions, for one batch that it
 * cannot decode, and looks at no checksum; here each partition stands by itself, and hands out what stands before such a batch.
 */
export async function decodeFetch(raw: Buffer, context: FetchContext): Promise<FetchResponse> {
  const { version } = context;
  const reader = new ByteReader(raw);
  const throttleMs = reader.int32();
  const [errorCode, sessionId] = version >= 7 ? [reader.int16(), reader.int32()] : [0, 0];
  const prefix = raw.subarray(0, reader.place);
  const topics = reader.array(() => ({
    topicName: reader.string(),
    partitions: reader.array(() => readPartition(reader, version, raw)),
  }));
  const responses = [];
  const count = topics.reduce((sum, { partitions }) => sum + partitions.length, 0);
  const answer = { ...context, prefix, decompressedBytes: 0, mostItems: Math.ceil(mostItems / count) };
  for (const { topicName, partitions } of topics) {
    const decoded: FetchedPartition[] = [];
    for (const partition of partitions) decoded.push(await decodePartition(topicName, partition, answer));
    responses.push({ topicName, partitions: decoded });
  }
  // From version 8 on it is the client that is to wait (KIP-219).
  const throttle =
    version >= 8 ? { throttleTime: 0, clientSideThrottleTime: throttleMs } : { throttleTime: throttleMs };
  return { ...throttle, errorCode, sessionId, responses };
}

/** One answer while it is decoded. */
interface Answer extends FetchContext {
  /** What stands before its topics. */
  readonly prefix: Buffer;
  /** How much all that was compressed in it has become. */
  decompressedBytes: number;
  /** Most records and headers of a partition. */
  readonly mostItems: number;
}

interface RawPartition extends Omit<FetchedPartition, 'messages'> {
  /** All that the answer holds of it. */
  readonly raw: Buffer;
  readonly records: Buffer;
}

function readPartition(reader: ByteReader, version: number, raw: Buffer): RawPartition {
  const start = reader.place;
  const partition = reader.int32();
  const errorCode = reader.int16();
  const highWatermark = String(reader.int64());
  reader.int64(); // the end of the last transaction that is over
  if (version >= 5) reader.int64(); // the oldest offset
  const abortedTransactions = reader.array(() => ({
    producerId: String(reader.int64()),
    firstOffset: String(reader.int64()),
  }));
  const preferred = version >= 11 ? { preferredReadReplica: reader.int32() } : {};
  const records = reader.take(Math.max(0, reader.int32()));
  const whole = raw.subarray(start, reader.place);
  return { partition, errorCode, highWatermark, abortedTransactions, ...preferred, records, raw: whole };
}

async function decodePartition(
  topic: string,
  { raw, records, ...partition }: RawPartition,
  answer: Answer,
): Promise<FetchedPartition> {
  const from = answer.fetchedFrom(topic, partition.partition);
  const messages: FetchedMessage[] = [];
  const hold = (place: { offset: bigint; next: bigint }, bytes: Buffer, reason: unknown): FetchedPartition => {
    // What comes before it is handed out first, and kafkajs would go on behind what was asked for if that is not among it.
    if (messages.some(({ offset }) => BigInt(offset) >= from)) return { ...partition, messages };
    const record = { topic, partition: partition.partition, ...place, bytes };
    answer.onUndecodable(record, reason instanceof Error ? reason : new Error(String(reason)));
    return { ...partition, errorCode: 0, messages: [] };
  };
  if (partition.errorCode === corrupt) {
    return hold({ offset: from, next: from + 1n }, Buffer.alloc(0), new Error('the broker: CORRUPT_MESSAGE'));
  }
  let items = 0;
  // What is left of an answer that becomes too large is fetched again.
  for (let rest = records; answer.decompressedBytes < maxBatchBytes && items < answer.mostItems;) {
    const batch = nextBatch(rest);
    if (batch === undefined) break;
    rest = rest.subarray(batch.bytes.length);
    try {
      if (batch.magic < newForm) return { ...partition, messages: await decodeOld(topic, raw, answer) };
      const decoded = await decodeBatch(batch, { from, most: answer.mostItems - items });
      items += decoded.items;
      answer.decompressedBytes += decoded.decompressedBytes;
      for (const message of decoded.messages) messages.push(message);
    } catch (error) {
      return hold(placeOf(batch, from, BigInt(partition.highWatermark)), batch.bytes, error);
    }
  }
  return { ...partition, messages };
}

/** Which offsets a batch takes up. What says so may be what is broken in it. */
function placeOf({ first, next }: BatchHead, from: bigint, end: bigint): { offset: bigint; next: bigint } {
  const offset = first > from && first < end ? first : from;
  return { offset, next: next > offset && next <= end ? next : offset + 1n };
}

/** As if the answer held this partition and nothing else. */
async function decodeOld(
  topic: string,
  raw: Buffer,
  { prefix, decodeOld: decode }: Answer,
): Promise<readonly unknown[]> {
  const name = Buffer.from(topic);
  const one = Buffer.from([0, 0, 0, 1]);
  const length = Buffer.alloc(2);
  length.writeInt16BE(name.length);
  const { responses } = await decode(Buffer.concat([prefix, one, length, name, one, raw]));
  return responses[0]?.partitions[0]?.messages ?? [];
}
