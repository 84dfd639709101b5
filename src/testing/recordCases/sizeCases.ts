import assert from 'node:assert/strict';
import { PipelineError } from '../../model/errors.ts';
import type { Announcer, CommittedState, SinkRecord } from '../../model/recordPorts.ts';
import type { RecordBench, RecordCase } from './RecordBench.ts';

const limits = { maxRecordBytes: 10_000 };
const large = 'x'.repeat(40_000);
const isTooLarge = (error: unknown): boolean => PipelineError.isInstance(error) && error.code === 'record_too_large';
const state = (offset: bigint): CommittedState => ({ offset, announced: new Set() });

/** What becomes of records that are larger than their topic takes. */
export function sizeCases(): readonly RecordCase[] {
  return [
    {
      name: 'refuses to send a record that its topic does not take, and takes the next one',
      check: async (bench) => {
        const topic = await bench.createTopic(1, limits);
        const sink = bench.sink();
        await assert.rejects(sink.send([{ topic, partition: 0, value: large }]), isTooLarge);
        assert.ok(sink.maxRecordBytes(topic) < large.length);
        await sink.send([{ topic, partition: 0, value: 'small' }]);
        assert.deepEqual(await bench.values(topic), ['small']);
      },
    },
    {
      name: 'sends what its topic takes one by one, and not together, once and in order',
      check: async (bench) => {
        const topic = await bench.createTopic(1, limits);
        const values = Array.from({ length: 9 }, (_, number) => `${number}`.repeat(4_000));
        await bench.sink().send(values.map((value) => ({ topic, partition: 0, value })));
        assert.deepEqual(await bench.values(topic), values);
      },
    },
    {
      name: 'commits nothing of an announcement that a topic does not take, until it is small enough',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(1), await bench.createTopic(1, limits)];
        const sink = bench.sink();
        let owner = await sink.own(topic, 0, bench.groupId);
        const told = { topic: await bench.createTopic(1), partition: 0, value: 'told' };
        for (let attempt = 1; ; attempt++) {
          const value = large.slice(0, sink.maxRecordBytes(done) - 100);
          const refused = await announced(owner, [told, { topic: done, partition: 0, value }]);
          if (refused === undefined) break;
          // 40 kB may be refused for what went with it, and then 40, 20 and perhaps 10 kB for themselves.
          if (attempt > 5) throw refused;
          owner = await sink.own(topic, 0, bench.groupId);
          assert.deepEqual(owner.committed, state(0n));
        }
        assert.deepEqual(await bench.values(told.topic), ['told']);
        const [value = ''] = await bench.values(done);
        assert.ok(value.length > 1_000 && value.length < 10_000);
        assert.deepEqual(await bench.committed(topic, 0), state(1n));
        assert.ok(sink.maxRecordBytes(topic) > 1_000_000);
      },
    },
    {
      name: 'announces what its topic takes one by one, and not together',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(1), await bench.createTopic(1, limits)];
        const sink = bench.sink();
        const values = Array.from({ length: 9 }, (_, number) => `${number}`.repeat(4_000));
        const records = values.map((value) => ({ topic: done, partition: 0, value }));
        await announcedAtLast(bench, { topic, records, sink });
        assert.deepEqual(await bench.values(done), values);
        assert.ok(sink.maxRecordBytes(done) > 1_000_000);
      },
    },
  ];
}

/** What was refused for its size, if it was. */
async function announced(owner: Announcer, records: readonly SinkRecord[]): Promise<PipelineError | undefined> {
  try {
    await owner.announce(records, state(1n));
    return undefined;
  } catch (error) {
    if (isTooLarge(error)) return error as PipelineError;
    throw error;
  }
}

/** A broker that measures all at once may refuse it the first time. */
async function announcedAtLast(
  bench: RecordBench,
  { topic, records, sink }: { topic: string; records: readonly SinkRecord[]; sink: ReturnType<RecordBench['sink']> },
): Promise<void> {
  const refused = await announced(await sink.own(topic, 0, bench.groupId), records);
  if (refused === undefined) return;
  assert.equal(await announced(await sink.own(topic, 0, bench.groupId), records), undefined);
}
