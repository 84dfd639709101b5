import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  decodeFetch,
  type FetchedPartition,
  type FetchResponse,
} from '../../../../../src/kafka/client/consumer/fetch/decodeFetch.ts';
import type { UndecodableRecord } from '../../../../../src/model/recordPorts.ts';
import { answerOf, batchOf, emptyRecords, oldSet, withChecksum, type SentPartition } from './batches.ts';

const response = createRequire(import.meta.url)('kafkajs/src/protocol/requests/fetch/v11/response.js') as {
  decode(raw: Buffer): Promise<FetchResponse>;
};

/** What is handed out of the answer, and what is said of the rest, where every fetch began at that offset. */
async function read(topics: Readonly<Record<string, readonly SentPartition[]>>, from = 0n) {
  const undecodable: (UndecodableRecord & { readonly reason: string })[] = [];
  const answer = await decodeFetch(answerOf(topics), {
    version: 11,
    fetchedFrom: () => from,
    decodeOld: (raw) => response.decode(raw),
    onUndecodable: (record, { message: reason }) => undecodable.push({ ...record, reason }),
  });
  const values = Object.fromEntries(
    answer.responses.flatMap(({ topicName, partitions }) =>
      partitions.map((partition) => [`${topicName}-${partition.partition}`, valuesOf(partition)]),
    ),
  );
  return { answer, values, undecodable };
}

const valuesOf = ({ messages }: FetchedPartition): string[] =>
  messages.map((message) => String((message as { readonly value: Buffer }).value));

const offsetsOf = (partition: FetchedPartition | undefined): number[] =>
  (partition?.messages ?? []).map((message) => Number((message as { readonly offset: string }).offset));

async function broken(first: number, ...values: string[]): Promise<Buffer> {
  const batch = await batchOf(
    first,
    values.map((value) => ({ value })),
  );
  batch[batch.length - 2]! ^= 1;
  return batch;
}

describe('the answer to a fetch', () => {
  it('is what kafkajs makes of it', async () => {
    const records = Buffer.concat([
      await batchOf(0, [{ value: 'a' }, { value: 'b' }]),
      await batchOf(2, [{ value: 'c' }]),
    ]);
    const topics = { A: [{ partition: 1, records }], B: [{ partition: 0, records: Buffer.alloc(0) }] };
    const ours = (await read(topics)).answer;
    const theirs = await response.decode(answerOf(topics));
    const shapeOf = ({ responses, ...rest }: FetchResponse) => ({
      ...rest,
      responses: responses.map(({ topicName, partitions }) => ({
        topicName,
        partitions: partitions.map((partition) => ({ ...partition, messages: valuesOf(partition) })),
      })),
    });
    expect(shapeOf(theirs)).toMatchObject(shapeOf(ours));
    expect((await read(topics)).values).toEqual({ 'A-1': ['a', 'b', 'c'], 'B-0': [] });
  });

  // issue 10, 8: kafkajs fails the answer with all its topics.
  it('holds what cannot be decoded against its partition alone', async () => {
    const records = await batchOf(0, [{ value: 'a' }]);
    const { values, undecodable } = await read({
      A: [
        { partition: 0, records: await broken(0, 'x', 'y') },
        { partition: 1, records },
      ],
      B: [{ partition: 0, records }],
    });
    expect(values).toEqual({ 'A-0': [], 'A-1': ['a'], 'B-0': ['a'] });
    expect(undecodable).toMatchObject([
      { topic: 'A', partition: 0, offset: 0n, next: 2n, reason: 'the checksum of the batch is wrong' },
    ]);
    expect(Buffer.from(undecodable[0]?.bytes ?? '')).toEqual(await broken(0, 'x', 'y'));
  });

  it('hands out first what stands before it, and is not asked to go beyond', async () => {
    const records = Buffer.concat([
      await batchOf(0, [{ value: 'a' }, { value: 'b' }]),
      await broken(2, 'x'),
      await batchOf(3, [{ value: 'c' }]),
    ]);
    const topics = { A: [{ partition: 0, records }] };
    expect(await read(topics)).toMatchObject({ values: { 'A-0': ['a', 'b'] }, undecodable: [] });
    // The same batch again, because it begins before what is asked for: kafkajs would go on one further for each fetch.
    expect(await read(topics, 2n)).toMatchObject({ values: { 'A-0': [] }, undecodable: [{ offset: 2n, next: 3n }] });
  });

  it('names the place it was asked for, in the middle of a batch too, and what can be believed of its end', async () => {
    const batch = await broken(5, 'x', 'y', 'z');
    const placeOf = async (from: bigint, end: number) =>
      (await read({ A: [{ partition: 0, end, records: batch }] }, from)).undecodable[0];
    expect(await placeOf(6n, 100)).toMatchObject({ offset: 6n, next: 8n });
    expect(await placeOf(3n, 100)).toMatchObject({ offset: 5n, next: 8n }); // those between were compacted away
    expect(await placeOf(6n, 7)).toMatchObject({ offset: 6n, next: 7n });
  });

  it('takes the word of a broker that finds its own disk broken for the same', async () => {
    const { answer, undecodable } = await read({ A: [{ partition: 0, errorCode: 2, records: Buffer.alloc(0) }] }, 4n);
    expect(answer.responses[0]?.partitions[0]?.errorCode).toBe(0);
    expect(undecodable).toMatchObject([{ offset: 4n, next: 5n, reason: 'the broker: CORRUPT_MESSAGE' }]);
  });

  it('is read in the form of before Kafka 0.11, too', async () => {
    const { values } = await read({ A: [{ partition: 0, records: oldSet(['old', 'older']) }] });
    expect(values).toEqual({ 'A-0': ['old', 'older'] });
  });

  it('does not become much more than 64 MiB by many batches, each of which may become that', async () => {
    const compressed = gzipSync(Buffer.concat([await large()]));
    const batches = await Promise.all([0, 1, 2, 3].map((first) => largeBatch(first, compressed)));
    const { answer, undecodable } = await read({
      A: [{ partition: 0, records: Buffer.concat(batches) }],
      B: [{ partition: 0, records: Buffer.concat(batches) }],
    });
    const counts = answer.responses.map(({ partitions }) => partitions[0]?.messages.length);
    expect(counts).toEqual([2, 0]);
    expect(undecodable).toEqual([]);
  });

  // Issue 10, 11: a million records in a batch of 1.4 MB ended a process of 512 MB at each start.
  it('is handed out in parts when it holds very many records, the partitions alike', async () => {
    const records = Buffer.concat([emptyRecords(0, 12_000), emptyRecords(12_000, 12_000)]);
    const topics = { A: [{ partition: 0, records }], B: [{ partition: 0, records }] };
    for (const [from, end] of [
      [0, 10_000],
      [10_000, 20_000],
      [20_000, 24_000],
    ] as const) {
      const { answer, undecodable } = await read(topics, BigInt(from));
      const offsets = answer.responses.map(({ partitions }) => offsetsOf(partitions[0]).filter((each) => each >= from));
      expect(offsets.map((each) => [each[0], each.length])).toEqual([
        [from, end - from],
        [from, end - from],
      ]);
      expect(undecodable).toEqual([]);
    }
  });

  it('counts the headers, and keeps the last record before what was asked for', async () => {
    const records = emptyRecords(0, 5, 6_000);
    const offsetsFrom = async (from: bigint) =>
      offsetsOf((await read({ A: [{ partition: 0, records }] }, from)).answer.responses[0]?.partitions[0]);
    expect(await offsetsFrom(0n)).toEqual([0, 1, 2, 3]);
    expect(await offsetsFrom(4n)).toEqual([4]);
    // kafkajs goes on behind a batch that was compacted only where it is shown something of it.
    expect(await offsetsFrom(7n)).toEqual([4]);
  });
});

const largeBytes = 40 * 1024 * 1024;

/** The records of a batch with one record of 40 MiB. */
async function large(): Promise<Buffer> {
  return (await batchOf(0, [{ value: Buffer.alloc(largeBytes) }])).subarray(61);
}

async function largeBatch(first: number, compressed: Buffer): Promise<Buffer> {
  const head = (await batchOf(first, [{ value: 'a' }])).subarray(0, 61);
  head.writeInt8(1, 22); // gzip
  head.writeInt32BE(61 - 12 + compressed.length, 8);
  return withChecksum(Buffer.concat([head, compressed]));
}
