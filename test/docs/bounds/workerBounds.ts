import assert from 'node:assert/strict';
import { workReader } from '../../../src/kafka/parts/workRecord.ts';
import { resolveFromRequests } from '../../../src/kafka/requests/fromRequestsOptions.ts';
import { Quarantine } from '../../../src/kafka/requests/quarantine/Quarantine.ts';
import { startWork } from '../../../src/kafka/requests/quarantine/startWork.ts';
import { marketDataTopic } from '../../../src/kafka/requests/requestTopics.ts';
import { memoryLedger } from '../../../src/memory/memoryLedger.ts';
import { announcedSpan, encodeAnnounced } from '../../../src/model/announcedBitmap.ts';
import { recordBytes } from '../../../src/model/recordBytes.ts';
import { PipelineError } from '../../../src/model/errors.ts';
import { settle as settleWork, WorkBench } from '../../kafka/parts/workBench.ts';
import { requestRecord } from '../../kafka/records/records.ts';
import {
  completionOf,
  groupId,
  message,
  openBroker,
  requestTopic,
  send,
  settle,
  Worker,
} from '../../kafka/requests/bench.ts';
import { many, mebibyte, refused, type InputBounds } from './inputBound.ts';
import { redriven } from './redriven.ts';

/** A worker that is given these messages, and answers those at some offsets at once. */
async function workerOn(
  messages: readonly string[],
  { answers = () => false, maxOpen }: { answers?: (offset: number) => boolean; maxOpen?: number | undefined } = {},
) {
  const broker = openBroker();
  await send(broker, messages);
  let offset = 0;
  const worker = new Worker(broker, { topics: [requestTopic()], maxOpen }, (delivery) => {
    if (answers(offset++)) void delivery.ack(completionOf(delivery));
  });
  return worker;
}

async function whenOut(worker: Worker, count: number): Promise<number> {
  while (worker.deliveries.length < count && worker.ended === undefined) await settle();
  await settle();
  return worker.deliveries.length;
}

/** That a worker takes so many of these messages, and the next once the oldest is answered. */
async function showTaken(worker: Worker, count: number): Promise<void> {
  assert.equal(await whenOut(worker, count), count);
  const [oldest] = worker.deliveries;
  assert.ok(oldest);
  await oldest.ack(completionOf(oldest));
  assert.equal(await whenOut(worker, count + 1), count + 1);
  worker.stop();
}

/** A message of a request that is so long. */
const padded = (bytes: number) => `${message('A').padEnd(bytes - 1)}\n`;

const readWork = workReader(marketDataTopic(), mebibyte);
const workOf = (fields: object): string =>
  JSON.stringify({
    key: 'k',
    pipeline: 'market-data',
    batch: 0,
    inputs: [{ symbol: 'A', assetType: 'STOCK' }],
    ...fields,
  });
const read = (value: string) => readWork({ ...requestRecord(), value: Buffer.from(value) });

/** What becomes of a request so many of whose starts no process survived. */
async function started(lost: number): Promise<'at once' | 'to be alone' | 'exhausted'> {
  const broker = openBroker();
  const { quarantineAfter, quarantineStarts } = resolveFromRequests({
    ...{ source: broker.source({ groupId, topics: ['IN'] }), sink: broker.sink(), groupId, topics: [requestTopic()] },
  });
  const ledger = memoryLedger<unknown, unknown>();
  for (let start = 0; start < lost; start++) await ledger.begin({ key: 'k', token: String(start) }, 1_000);
  const stopping = new AbortController();
  const result = await startWork({
    ...{ key: 'k', ledger, persist: (task) => task(), signal: stopping.signal, emit: () => undefined },
    quarantine: new Quarantine({ after: quarantineAfter, starts: quarantineStarts }),
    onSuspect: () => setImmediate(() => stopping.abort()),
  }).catch(() => 'to be alone' as const);
  if (result === 'to be alone') return result;
  return PipelineError.isInstance(result) ? 'exhausted' : 'at once';
}

export const workerBounds: InputBounds = {
  'unanswered requests of a partition': {
    bound: [32, 'requests'],
    async show(bound) {
      await showTaken(await workerOn(many(bound + 1, () => message('A'))), bound);
    },
  },
  'unanswered requests of a worker, in bytes': {
    bound: [2 * mebibyte, 'bytes'],
    async show(bound) {
      const frame = recordBytes({ topic: 'IN', key: null, value: null });
      const worker = await workerOn(many(4, () => padded(bound / 2 - frame)));
      await showTaken(worker, 2);
    },
  },
  'window of a partition': {
    bound: [1_000, 'offsets'],
    async show(bound) {
      const messages = many(bound + 1, () => message('A'));
      await showTaken(await workerOn(messages, { answers: (offset) => offset > 0, maxOpen: 10_000 }), bound);
    },
  },
  'bitmap of answered requests': {
    bound: [4_096, 'characters'],
    show(bound) {
      const encode = (last: number) => encodeAnnounced({ offset: 0n, announced: new Set([BigInt(last)]) });
      const { length } = encode(announcedSpan - 1);
      assert.ok(length <= bound && length > bound - 4);
      assert.throws(() => encode(announcedSpan), /at most/);
    },
  },
  'message of a request': {
    bound: [mebibyte, 'bytes'],
    async show(bound) {
      const worker = await workerOn([padded(bound), padded(bound + 1), message('B')]);
      assert.equal(await whenOut(worker, 2), 2);
      assert.deepEqual(
        worker.told('dead-lettered').map(({ error }) => error.code),
        ['request_malformed'],
      );
      worker.stop();
    },
  },
  'starts of a request that no process survived': {
    bound: [2, 'starts'],
    async show(bound) {
      assert.deepEqual([await started(bound - 1), await started(bound)], ['at once', 'to be alone']);
    },
  },
  'such starts alone': {
    bound: [3, 'starts'],
    async show(bound) {
      assert.deepEqual([await started(2 + bound - 1), await started(2 + bound)], ['to be alone', 'exhausted']);
    },
  },
  'work record': refused([mebibyte, 'bytes'], 'request_malformed', (bytes) => read(workOf({}).padEnd(bytes))),
  'inputs of a work record': refused([10_000, 'inputs'], 'request_malformed', (count) =>
    read(workOf({ inputs: many(count, (index) => ({ symbol: `S${index}`, assetType: 'STOCK' })) })),
  ),
  'key of a work record': refused([512, 'characters'], 'request_malformed', (length) =>
    read(workOf({ key: 'k'.repeat(length) })),
  ),
  'number of a batch in a work record': refused([2_147_483_647, '(number)'], 'request_malformed', (batch) =>
    read(workOf({ batch })),
  ),
  'parts at work of a work partition': {
    bound: [4, 'parts'],
    async show(bound) {
      const bench = await new WorkBench().open();
      await bench.share(bound + 1);
      assert.equal(bench.handedOut.length, bound);
      await bench.answer(0);
      await settleWork();
      assert.equal(bench.handedOut.length, bound + 1);
      await bench.handler.close();
    },
  },
  'window of a work partition': {
    bound: [100, 'offsets'],
    async show(bound) {
      const bench = await new WorkBench().open();
      await bench.share(bound + 1);
      for (let batch = 1; batch < bound; batch++) {
        await bench.answer(batch);
        await settleWork();
      }
      assert.equal(bench.handedOut.length, bound);
      await bench.answer(0);
      await settleWork();
      assert.equal(bench.handedOut.length, bound + 1);
      await bench.handler.close();
    },
  },
  'dead letters that a redrive has fetched': {
    bound: [1_000, 'records'],
    show: async (bound) => assert.equal((await redriven(2 * bound, 1)).fetched, bound),
  },
  'dead letters that a redrive has fetched, in bytes': {
    bound: [4 * mebibyte, 'bytes'],
    show: async (bound) => assert.ok((await redriven(100, mebibyte / 2)).fetched <= (2 * bound) / (mebibyte / 2)),
  },
  'dead letters in a transaction': {
    bound: [200, 'records'],
    show: async (bound) => assert.equal((await redriven(2 * bound, 1)).first, bound),
  },
};
