import assert from 'node:assert/strict';
import { announcedSpan } from '../../model/announcedBitmap.ts';
import { PipelineError } from '../../model/errors.ts';
import type { CommittedState } from '../../model/recordPorts.ts';
import type { RecordCase } from './RecordBench.ts';

const state = (offset: bigint, ...announced: bigint[]): CommittedState => ({ offset, announced: new Set(announced) });
const isFenced = (error: unknown): boolean => PipelineError.isInstance(error) && error.code === 'fenced';
const isRefused = (error: unknown): boolean => PipelineError.isInstance(error);

/** What the owner of an offset may do, and a former one no more. */
export function announcerCases(): readonly RecordCase[] {
  return [
    {
      name: 'owns an offset nobody has committed as 0',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        assert.deepEqual(await bench.committed(topic, 0), state(0n));
      },
    },
    {
      name: 'announces records, and keeps with the offset what is done after it',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(2), await bench.createTopic(1)];
        const announcer = await bench.sink().own(topic, 1, bench.groupId);
        const far = 5n + BigInt(announcedSpan) - 1n;
        await announcer.announce([{ topic: done, partition: 0, value: 'a' }], state(0n, 3n));
        await announcer.announce([{ topic: done, partition: 0, value: 'b' }], state(5n, 7n, 12n, far));
        assert.deepEqual(await bench.values(done), ['a', 'b']);
        assert.deepEqual(await bench.committed(topic, 1), state(5n, 7n, 12n, far));
        assert.deepEqual(await bench.committed(topic, 0), state(0n));
      },
    },
    {
      name: 'refuses a state that is too wide to be kept, and stays in order',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(1), await bench.createTopic(1)];
        const announcer = await bench.sink().own(topic, 0, bench.groupId);
        const tooWide = state(5n, 5n + BigInt(announcedSpan));
        await assert.rejects(announcer.announce([{ topic: done, partition: 0, value: 'a' }], tooWide), isRefused);
        await announcer.announce([{ topic: done, partition: 0, value: 'b' }], state(1n));
        assert.deepEqual(await bench.values(done), ['b']);
      },
    },
    {
      name: 'commits offsets without records, one after another',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        const announcer = await bench.sink().own(topic, 0, bench.groupId);
        for (const offset of [1n, 2n, 3n, 4n, 5n]) await announcer.announce([], state(offset));
        assert.deepEqual(await bench.committed(topic, 0), state(5n));
      },
    },
    {
      name: 'announces all that comes while a transaction is under way, each record once',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(1), await bench.createTopic(1)];
        const announcer = await bench.sink().own(topic, 0, bench.groupId);
        const numbers = Array.from({ length: 40 }, (_, number) => number);
        await Promise.all(
          numbers.map((number) =>
            announcer.announce([{ topic: done, partition: 0, value: `${number}` }], state(BigInt(number) + 1n)),
          ),
        );
        assert.deepEqual(await bench.values(done), numbers.map(String));
        assert.deepEqual(await bench.committed(topic, 0), state(40n));
      },
    },
    {
      name: 'announces more at once than a broker takes in one message',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(1), await bench.createTopic(1)];
        const announcer = await bench.sink().own(topic, 0, bench.groupId);
        const large = Array.from({ length: 9 }, (_, number) => `${number}`.repeat(300_000));
        await announcer.announce(
          large.map((value) => ({ topic: done, partition: 0, value })),
          state(9n),
        );
        assert.deepEqual(await bench.values(done), large);
      },
    },
    {
      name: 'refuses a former owner, whose records are never seen',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(1), await bench.createTopic(1)];
        const former = await bench.sink().own(topic, 0, bench.groupId);
        await former.announce([{ topic: done, partition: 0, value: 'a' }], state(1n));
        const owner = await bench.sink().own(topic, 0, bench.groupId);
        assert.deepEqual(owner.committed, state(1n));
        const late = [{ topic: done, partition: 0, value: 'late' }];
        await assert.rejects(former.announce(late, state(9n)), isFenced);
        await assert.rejects(former.announce(late, state(9n)), isFenced);
        await owner.announce([{ topic: done, partition: 0, value: 'b' }], state(2n));
        assert.deepEqual(await bench.values(done), ['a', 'b']);
        assert.deepEqual(await bench.committed(topic, 0), state(2n));
      },
    },
    {
      name: 'owns each partition, and for each group, by itself',
      check: async (bench) => {
        const [topic, done] = [await bench.createTopic(2), await bench.createTopic(1)];
        const sink = bench.sink();
        const owners = [
          await sink.own(topic, 0, bench.groupId),
          await sink.own(topic, 1, bench.groupId),
          await sink.own(topic, 0, `${bench.groupId}-other`),
        ];
        for (const [index, owner] of owners.entries()) {
          await owner.announce([{ topic: done, partition: 0, value: `${index}` }], state(BigInt(index) + 1n));
        }
        assert.deepEqual(await bench.values(done), ['0', '1', '2']);
      },
    },
    {
      name: 'counts the partitions of a topic, and knows none of one that is not there',
      check: async (bench) => {
        const sink = bench.sink();
        assert.equal(await sink.partitionsOf(await bench.createTopic(3)), 3);
        assert.equal(await sink.partitionsOf(await bench.createTopic(1)), 1);
        await assert.rejects(sink.partitionsOf(`missing-${bench.groupId}`), isRefused);
        assert.equal(await sink.partitionsOf(await bench.createTopic(2)), 2);
      },
    },
    {
      name: 'refuses what comes after it was closed, and an unknown partition',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        const sink = bench.sink();
        const announcer = await sink.own(topic, 0, bench.groupId);
        await announcer.close();
        await announcer.close();
        await assert.rejects(announcer.announce([], state(1n)), isRefused);
        await assert.rejects(sink.own(topic, 1, bench.groupId), isRefused);
        await sink.close();
        await assert.rejects(sink.own(topic, 0, bench.groupId), isRefused);
        await assert.rejects(sink.send([]), isRefused);
        await assert.rejects(sink.partitionsOf(topic), isRefused);
      },
    },
  ];
}
