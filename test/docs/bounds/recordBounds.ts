import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { decompress } from '../../../src/kafka/client/compression/codecs.ts';
import { openConsumer } from '../../../src/kafka/client/consumer/openConsumer.ts';
import { decodeFetch } from '../../../src/kafka/client/consumer/fetch/decodeFetch.ts';
import type { KafkaClient } from '../../../src/kafka/client/kafkaClient.ts';
import { resolveSourceOptions } from '../../../src/kafka/kafkaSource.ts';
import { deadLetterRecord } from '../../../src/kafka/records/deadLetterRecord.ts';
import { traceHeaders } from '../../../src/kafka/records/traceHeaders.ts';
import { RequestError } from '../../../src/model/errors.ts';
import { answerOf, emptyRecords } from '../../kafka/client/consumer/fetch/batches.ts';
import { lastHeader, requestRecord } from '../../kafka/records/records.ts';
import { many, mebibyte, type InputBounds } from './inputBound.ts';

interface Message {
  readonly headers: Readonly<Record<string, unknown>>;
}

/** What is handed out of a partition that holds these records. */
async function handedOut(records: Buffer): Promise<readonly Message[]> {
  const { responses } = await decodeFetch(answerOf({ A: [{ partition: 0, records }] }), {
    version: 11,
    fetchedFrom: () => 0n,
    decodeOld: () => assert.fail('it is of the new form'),
    onUndecodable: (_record, reason) => assert.fail(reason),
  });
  return (responses[0]?.partitions[0]?.messages ?? []) as Message[];
}

/** What a consumer asks its brokers for. */
async function asked(): Promise<{ readonly maxBytes?: number; readonly maxBytesPerPartition?: number }> {
  let config: object = {};
  const consumer = (given: object) => {
    config = given;
    return { connect: () => Promise.reject(new Error('that is all')), disconnect: () => Promise.resolve() };
  };
  const client = { kafka: { consumer } } as unknown as KafkaClient;
  const settings = resolveSourceOptions({ brokers: ['localhost:9092'], groupId: 'g', topics: ['IN'] });
  await assert.rejects(openConsumer(client, settings, {} as never), /that is all/);
  return config;
}

const target = { topic: 'REQUESTS-dlt', groupId: 'workers' };

/** The dead letter of a record that is too large, and whose error says that much. */
const letterOf = (keyBytes: number, errorCharacters = 1) =>
  deadLetterRecord(
    requestRecord({ key: Buffer.alloc(keyBytes), value: Buffer.alloc(2 * mebibyte) }),
    new RequestError('request_malformed', 'x'.repeat(errorCharacters)),
    target,
  );

const traceparent = Buffer.from('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');

/** How many headers of a trace are passed on. */
const passed = (tracestate: string): number =>
  traceHeaders([
    { name: 'traceparent', value: traceparent },
    { name: 'tracestate', value: Buffer.from(tracestate) },
  ]).length;

export const recordBounds: InputBounds = {
  'records fetched of a partition': {
    bound: [mebibyte, 'bytes'],
    show: async (bound) => assert.equal((await asked()).maxBytesPerPartition, bound),
  },
  'records fetched of a broker': {
    bound: [10 * mebibyte, 'bytes'],
    show: async (bound) => assert.equal((await asked()).maxBytes, bound),
  },
  'records and headers handed out of a fetch': {
    bound: [20_000, 'records'],
    async show(bound) {
      assert.equal((await handedOut(emptyRecords(0, bound))).length, bound);
      assert.equal((await handedOut(emptyRecords(0, 1_000_000))).length, bound);
    },
  },
  'headers of a record': {
    bound: [10_000, 'headers'],
    async show(bound) {
      const read = async (count: number) => (await handedOut(emptyRecords(0, 1, count)))[0]?.headers['h'];
      for (const count of [bound, bound + 1]) assert.equal(((await read(count)) as readonly unknown[]).length, bound);
    },
  },
  'batch of records, decompressed': {
    bound: [64, 'MiB'],
    async show(bound) {
      const become = async (bytes: number) => (await decompress(1, gzipSync(Buffer.alloc(bytes)))).length;
      assert.equal(await become(bound * mebibyte), bound * mebibyte);
      await assert.rejects(become(bound * mebibyte + 1), /would become more than 64 MiB/);
    },
  },
  'trace state of a record': {
    bound: [512, 'characters'],
    show(bound) {
      const state = `a=${'x'.repeat(200)},b=${'x'.repeat(200)},c=`;
      assert.deepEqual([passed(state.padEnd(bound, 'x')), passed(state.padEnd(bound + 1, 'x'))], [2, 1]);
    },
  },
  'members of a trace state': {
    bound: [32, 'members'],
    show(bound) {
      const members = (count: number) => passed(many(count, (index) => `m${index}=x`).join(','));
      assert.deepEqual([members(bound), members(bound + 1)], [2, 1]);
    },
  },
  'key of a dead letter whose value is cut': {
    bound: [10_000, 'bytes'],
    show(bound) {
      assert.equal(letterOf(bound).key?.length, bound);
      assert.equal(letterOf(bound + 1).key, null);
    },
  },
  'error of a dead letter': {
    bound: [2_000, 'characters'],
    show(bound) {
      const shown = (length: number) => lastHeader(letterOf(1, length), 'kafka_dlt-exception-message')?.length;
      assert.deepEqual([shown(bound), shown(bound + 1)], [bound, bound]);
    },
  },
};
