import assert from 'node:assert/strict';
import { PipelineError } from '../../model/errors.ts';
import type { RecordCase } from './RecordBench.ts';
import { until, type Reader } from './Reader.ts';

const isFenced = (error: unknown): boolean => PipelineError.isInstance(error) && error.code === 'fenced';

/** What members of a group do to each other. */
export function groupCases(): readonly RecordCase[] {
  return [
    {
      name: 'shares the partitions out among the members, each to one',
      check: async (bench) => {
        const topic = await bench.createTopic(4);
        const first = await bench.reader(topic).run();
        await first.owns(4);
        const second = await bench.reader(topic).run();
        await Promise.all([first.owns(2), second.owns(2)]);
        const partitions = [0, 1, 2, 3];
        for (const partition of partitions) await bench.send(topic, partition, `value ${partition}`);
        await until('all records', () => first.records.length + second.records.length === 4);
        assert.equal(new Set([...first.values(), ...second.values()]).size, 4);
      },
    },
    {
      name: 'gives a member partitions of the topics that it reads, and of no others',
      check: async (bench) => {
        const [one, other, both] = [await bench.createTopic(2), await bench.createTopic(2), await bench.createTopic(2)];
        const first = await bench.reader(one, both).run();
        await first.owns(4);
        const second = await bench.reader(other, both).run();
        await Promise.all([first.owns(3), second.owns(3)]);
        for (const topic of [one, other, both]) {
          for (const partition of [0, 1]) await bench.send(topic, partition, `${topic} ${partition}`);
        }
        await until('all records', () => first.records.length === 3 && second.records.length === 3);
        const topicsOf = (reader: Reader): string[] => reader.records.map(({ topic }) => topic).sort();
        assert.deepEqual(topicsOf(first), [one, one, both].sort());
        assert.deepEqual(topicsOf(second), [other, other, both].sort());
      },
    },
    {
      name: 'tells a member that has nothing to do that it has joined',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        const first = await bench.reader(topic).run();
        const second = await bench.reader(topic).run();
        await until('one owner', () => first.epochs.size + second.epochs.size === 1);
        assert.equal(second.source.joined, true);
        assert.ok([first, second].every(({ told }) => told.includes('assigned in epoch 1')));
      },
    },
    {
      name: 'hands out nothing twice of a partition that is kept through a rebalance',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        for (const partition of [0, 1]) await bench.send(topic, partition, `a${partition}`, `b${partition}`);
        const first = await bench.reader(topic).run();
        await first.read(4);
        const second = await bench.reader(topic).run();
        await Promise.all([first.owns(1), second.owns(1)]);
        for (const partition of [0, 1]) await bench.send(topic, partition, `c${partition}`);
        await until('the last records', () => first.records.length === 5 && second.records.length === 3);
        const [kept] = partitionsOf(first);
        assert.deepEqual(first.values(kept), [`a${kept}`, `b${kept}`, `c${kept}`]);
        assert.ok(first.told.filter((told) => told.startsWith('record')).every((told) => told === 'record of epoch 1'));
        // Whoever got the other one knows nothing of what was not committed.
        const [gone] = partitionsOf(second);
        assert.deepEqual(second.values(), [`a${gone}`, `b${gone}`, `c${gone}`]);
      },
    },
    {
      name: 'refuses the commit of a former owner, and takes that of a partition that was kept',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        for (const partition of [0, 1]) await bench.send(topic, partition, `a${partition}`, `b${partition}`);
        const first = await bench.reader(topic).run();
        await first.read(4);
        const second = await bench.reader(topic).run();
        await Promise.all([first.owns(1), second.owns(1)]);
        const [kept = -1] = partitionsOf(first);
        await first.source.commit(first.record(`a${kept}`), 1);
        await second.read(2);
        const gone = 1 - kept;
        await second.commit(second.record(`b${gone}`));
        await assert.rejects(first.source.commit(first.record(`a${gone}`), 1), isFenced);
        assert.equal((await bench.committed(topic, kept)).offset, 1n);
        assert.equal((await bench.committed(topic, gone)).offset, 2n);
      },
    },
    {
      name: 'takes the partition back when the other member stops, under another epoch',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        const first = await bench.reader(topic).run();
        const second = await bench.reader(topic).run();
        await Promise.all([first.owns(1), second.owns(1)]);
        const [kept = -1] = partitionsOf(first);
        await bench.send(topic, 1 - kept, 'a');
        await second.read(1);
        await second.source.stop();
        await first.owns(2);
        await first.read(1);
        assert.ok(first.epochOf({ topic, partition: 1 - kept }) > first.epochOf({ topic, partition: kept }));
        await first.commit(first.record('a'));
        assert.equal((await bench.committed(topic, 1 - kept)).offset, 1n);
        await assert.rejects(second.source.commit(second.record('a'), 1), isFenced);
      },
    },
    {
      name: 'hands out again what a crashed member had not committed',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        await bench.send(topic, 0, 'a', 'b', 'c');
        const first = await bench.reader(topic).run();
        await first.read(3);
        await first.commit(first.record('a'));
        bench.crash(first);
        const second = await bench.reader(topic).run();
        await second.read(2);
        assert.deepEqual(second.values(), ['b', 'c']);
        await assert.rejects(first.commit(first.record('c')), isFenced);
        assert.equal((await bench.committed(topic, 0)).offset, 1n);
      },
    },
  ];
}

function partitionsOf(reader: Reader): readonly number[] {
  return [...reader.epochs.keys()].map((name) => Number(name.split('/')[1]));
}
