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

export interface DecodedBatch {
  readonly messages: readonly FetchedMessage[];
  /** How large its records became; 0 where they were not compressed. */
  readonly decompressedBytes: number;
}

/** The length of what says how long a batch is. */
const lengthBytes = 12;
/** What stands before the records, of which the checksum covers all but the beginning. */
const headBytes = 61;
const checkedFrom = 21;
const magicAt = 16;
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

/** The records of a batch of today's form (magic 2). Rejects with the reason why they cannot be decoded. */
export async function decodeBatch({ bytes }: BatchHead): Promise<DecodedBatch> {
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
  const messages: FetchedMessage[] = [];
  for (let left = count; left > 0; left--) {
    const record = new ByteReader(records.take(records.varInt()));
    messages.push({ ...readRecord(record, { first, firstTimestamp, appended }), isControlRecord, batchContext });
    if (record.left > 0) throw new Error('a record is longer than what it holds');
  }
  if (records.left > 0) throw new Error('there is more in the batch than its records');
  return { messages, decompressedBytes: decompressed?.length ?? 0 };
}

interface Base {
  readonly first: bigint;
  readonly firstTimestamp: bigint;
  /** When the broker stored it, where that counts. */
  readonly appended: bigint | undefined;
}

function readRecord(
  record: ByteReader,
  { first, firstTimestamp, appended }: Base,
): Omit<FetchedMessage, 'isControlRecord' | 'batchContext'> {
  const attributes = record.int8();
  const timestamp = firstTimestamp + record.varLong();
  const offset = first + BigInt(record.varInt());
  const key = record.varBytes();
  const value = record.varBytes();
  const headers = readHeaders(record);
  return {
    magicByte: 2,
    attributes,
    timestamp: String(appended ?? timestamp),
    offset: String(offset),
    key,
    value,
    headers,
  };
}

/**
 * By their names, those of one name in a list. In a time that grows with their number: kafkajs copies all that came before for
 * each (12,000 headers, which are 83 kB, take it 48 s), and takes what every object inherits for an earlier header of that name.
 */
function readHeaders(record: ByteReader): FetchedMessage['headers'] {
  const byName = new Map<string, Buffer | null | (Buffer | null)[]>();
  for (let left = record.varInt(); left > 0; left--) {
    const name = record.varBytes()?.toString() ?? '';
    const value = record.varBytes();
    const known = byName.get(name);
    if (known === undefined) byName.set(name, value);
    else if (Array.isArray(known)) known.push(value);
    else byName.set(name, [known, value]);
  }
  return Object.fromEntries(byName);
}
