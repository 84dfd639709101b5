import { decompress } from '../../compression/codecs.ts';
import { ByteReader } from './ByteReader.ts';
import { crc32c } from './crc32c.ts';

/** A record in the words of kafkajs (consumer/batch.js). */
export interface FetchedMessage {
  readonly magicByte: number;
  readonly attributes: number;
  readonly timestamp: string;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null | (Buffer | null)[]>>;
  readonly isControlRecord: boolean;
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean };
}

/** What stands before the records of a batch, and can be had whatever they are. */
export interface BatchHead {
  readonly first: bigint;
  /** The place behind its last record. */
  readonly next: bigint;
  readonly magic: number;
  /** The whole batch, with what stands before its records. */
  readonly bytes: Buffer;
}

/** How much of a batch is wanted. */
export interface BatchPart {
  /** The offset from which on: of what stands before it, nothing is made. */
  readonly from: bigint;
  /** Most records and headers together, but for the last record, which comes with its headers. */
  readonly most: number;
}

export interface DecodedBatch {
  /** Those that are wanted; where there is none, the last one before them, which shows the client that all of it was seen. */
  readonly messages: readonly FetchedMessage[];
  /** How many records and headers that is. */
  readonly items: number;
  /** How large its records became; 0 where they were not compressed. */
  readonly decompressedBytes: number;
}

/** The length of what says how long a batch is. */
const lengthBytes = 12;
/** What stands before the records, of which the checksum covers all but the beginning. */
const headBytes = 61;
const checkedFrom = 21;
const magicAt = 16;
/** Most headers of a record that are read. */
const mostHeaders = 10_000;
const attributeBits = { compression: 0x07, appendTime: 0x08, transaction: 0x10, control: 0x20 };

/** The next batch; undefined where the broker has cut it off, and it is to be fetched again. */
export function nextBatch(bytes: Buffer): BatchHead | undefined {
  if (bytes.length <= magicAt) return undefined;
  const first = bytes.readBigInt64BE(0);
  const length = lengthBytes + bytes.readInt32BE(8);
  const magic = bytes.readInt8(magicAt);
  if (bytes.length < length) return undefined;
  if (length < headBytes) return { first, next: first + 1n, magic, bytes };
  return { first, next: first + BigInt(bytes.readInt32BE(23)) + 1n, magic, bytes: bytes.subarray(0, length) };
}

/**
 * The records of a batch of today's form (magic 2), or a part of them: a batch of 1 MB may hold millions, which no process could
 * keep at once. Rejects with the reason why they cannot be decoded.
 */
export async function decodeBatch({ bytes }: BatchHead, { from, most }: BatchPart): Promise<DecodedBatch> {
  if (bytes.length < headBytes) throw new Error('the batch is shorter than it can be');
  const head = new ByteReader(bytes);
  const first = head.int64();
  head.take(9); // its length, the epoch of the leader, and its form
  if (head.uint32() !== crc32c(bytes.subarray(checkedFrom))) throw new Error('the checksum of the batch is wrong');
  const attributes = head.int16();
  head.int32();
  const firstTimestamp = head.int64();
  const maxTimestamp = head.int64();
  const producerId = String(head.int64());
  head.take(6); // the epoch of the producer, and its number of the first record
  const count = head.int32();
  const rest = head.take(head.left);
  const compression = attributes & attributeBits.compression;
  const decompressed = compression === 0 ? undefined : await decompress(compression, rest);
  const records = new ByteReader(decompressed ?? rest);
  const isControlRecord = (attributes & attributeBits.control) !== 0;
  const appended = (attributes & attributeBits.appendTime) === 0 ? undefined : maxTimestamp;
  const batchContext = { producerId, inTransaction: (attributes & attributeBits.transaction) !== 0 };
  const messageOf = (place: Place): FetchedMessage => ({ ...readRecord(place), isControlRecord, batchContext });
  const decompressedBytes = decompressed?.length ?? 0;
  const messages: FetchedMessage[] = [];
  let before: Place | undefined;
  let items = 0;
  for (let left = count; left > 0; left--) {
    if (items >= most) return { messages, items, decompressedBytes };
    const place = readPlace(new ByteReader(records.take(records.varInt())), { first, firstTimestamp, appended });
    if (place.offset < from) {
      before = place;
      continue;
    }
    const message = messageOf(place);
    messages.push(message);
    items += 1 + Object.values(message.headers).flat().length;
  }
  if (records.left > 0) throw new Error('there is more in the batch than its records');
  if (messages.length === 0 && before !== undefined) messages.push(messageOf(before));
  return { messages, items, decompressedBytes };
}

interface Base {
  readonly first: bigint;
  readonly firstTimestamp: bigint;
  /** When the broker stored it, where that counts. */
  readonly appended: bigint | undefined;
}

/** What stands in a record before its key. */
interface Place {
  /** At the key. */
  readonly record: ByteReader;
  readonly attributes: number;
  readonly timestamp: bigint;
  readonly offset: bigint;
}

function readPlace(record: ByteReader, { first, firstTimestamp, appended }: Base): Place {
  const attributes = record.int8();
  const timestamp = firstTimestamp + record.varLong();
  const offset = first + BigInt(record.varInt());
  return { record, attributes, timestamp: appended ?? timestamp, offset };
}

function readRecord({
  record,
  attributes,
  timestamp,
  offset,
}: Place): Omit<FetchedMessage, 'isControlRecord' | 'batchContext'> {
  const key = record.varBytes();
  const value = record.varBytes();
  const headers = readHeaders(record);
  if (record.left > 0) throw new Error('a record is longer than what it holds');
  return { magicByte: 2, attributes, timestamp: String(timestamp), offset: String(offset), key, value, headers };
}

/**
 * By their names, those of one name in a list. In a time that grows with their number: kafkajs copies all that came before for
 * each (12,000 headers, which are 83 kB, take it 48 s), and takes what every object inherits for an earlier header of that name.
 * Those beyond the first 10,000 are left out.
 */
function readHeaders(record: ByteReader): FetchedMessage['headers'] {
  const byName = new Map<string, Buffer | null | (Buffer | null)[]>();
  for (let left = record.varInt(), read = 0; left > 0; left--, read++) {
    const name = record.varBytes()?.toString() ?? '';
    const value = record.varBytes();
    if (read >= mostHeaders) continue;
    const known = byName.get(name);
    if (known === undefined) byName.set(name, value);
    else if (Array.isArray(known)) known.push(value);
    else byName.set(name, [known, value]);
  }
  return Object.fromEntries(byName);
}
