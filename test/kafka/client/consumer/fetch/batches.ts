import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';

const nodeRequire = createRequire(import.meta.url);

interface Encoded {
  readonly buffer: Buffer;
}

interface Sent {
  readonly offsetDelta?: number;
  readonly key?: string | null;
  readonly value: string | Buffer | null;
  readonly headers?: object;
}

const encodeRecord = nodeRequire('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => Encoded;
const recordBatch = nodeRequire('kafkajs/src/protocol/recordBatch/v0/index.js') as {
  RecordBatch: (options: object) => Promise<Encoded>;
};
const messageSet = nodeRequire('kafkajs/src/protocol/messageSet/index.js') as (options: object) => Encoded;
const crc32c = nodeRequire('kafkajs/src/protocol/recordBatch/crc32C/index.js') as (bytes: Buffer) => number;

/** A batch as kafkajs writes it. */
export async function batchOf(firstOffset: number, records: readonly Sent[], options: object = {}): Promise<Buffer> {
  const { buffer } = await recordBatch.RecordBatch({
    firstOffset,
    firstTimestamp: 1_000,
    maxTimestamp: 2_000,
    producerId: 7,
    lastOffsetDelta: records.length - 1,
    records: records.map(({ headers = {}, key = null, value }, index) =>
      encodeRecord({ offsetDelta: index, timestampDelta: index, key, value, headers }),
    ),
    ...options,
  });
  return Buffer.from(buffer);
}

/** The batch with its checksum set right again, whatever was done to it. */
export function withChecksum(batch: Buffer): Buffer {
  batch.writeInt32BE(crc32c(batch.subarray(21)) | 0, 17);
  return batch;
}

/** A batch of as many records as there are, each of nothing but so many headers of one name, compressed with gzip. */
export function emptyRecords(firstOffset: number, count: number, headers = 0): Buffer {
  const body = Buffer.alloc(count * (13 + 3 * headers));
  let end = 0;
  const varInt = (value: number, bytes: number): void => {
    // Of as many bytes as is said, whatever the number: 0 in the lowest bit, as it is not negative.
    for (let byte = 0, rest = value * 2; byte < bytes; byte++, rest = Math.floor(rest / 128)) {
      body[end++] = (rest & 0x7f) | (byte === bytes - 1 ? 0 : 0x80);
    }
  };
  const nothing = 1; // the length -1
  for (let index = 0; index < count; index++) {
    varInt(10 + 3 * headers, 3);
    body[end++] = 0; // attributes
    body[end++] = 0; // no time after that of the batch
    varInt(index, 3);
    body[end++] = nothing;
    body[end++] = nothing;
    varInt(headers, 3);
    for (let header = 0; header < headers; header++) {
      body[end++] = 2; // a name of one letter
      body[end++] = 104;
      body[end++] = nothing;
    }
  }
  const compressed = gzipSync(body, { level: 1 });
  const head = Buffer.alloc(61);
  head.writeBigInt64BE(BigInt(firstOffset));
  head.writeInt32BE(head.length - 12 + compressed.length, 8);
  head.writeInt8(2, 16);
  head.writeInt16BE(1, 21);
  head.writeInt32BE(count - 1, 23);
  head.writeInt32BE(count, 57);
  return withChecksum(Buffer.concat([head, compressed]));
}

/** Records in the form of before Kafka 0.11. */
export function oldSet(values: readonly string[]): Buffer {
  const { buffer } = messageSet({
    messageVersion: 1,
    entries: values.map((value) => ({ key: null, value, timestamp: 5, compression: 0 })),
  });
  return Buffer.from(buffer);
}

export interface SentPartition {
  readonly partition: number;
  readonly errorCode?: number;
  readonly end?: number;
  readonly records: Buffer;
}

/** An answer of a broker to a fetch, of version 11. */
export function answerOf(topics: Readonly<Record<string, readonly SentPartition[]>>): Buffer {
  const parts: Buffer[] = [int(4, 0), int(2, 0), int(4, 0), int(4, Object.keys(topics).length)];
  for (const [topic, partitions] of Object.entries(topics)) {
    parts.push(int(2, topic.length), Buffer.from(topic), int(4, partitions.length));
    for (const { partition, errorCode = 0, end = 100, records } of partitions) {
      parts.push(int(4, partition), int(2, errorCode), int(8, end), int(8, end), int(8, 0));
      parts.push(int(4, 1), int(8, 9), int(8, 90), int(4, -1), int(4, records.length), records);
    }
  }
  return Buffer.concat(parts);
}

function int(bytes: 2 | 4 | 8, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 8) buffer.writeBigInt64BE(BigInt(value));
  else buffer.writeIntBE(value, 0, bytes);
  return buffer;
}
