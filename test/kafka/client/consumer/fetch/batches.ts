import { createRequire } from 'node:module';

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
