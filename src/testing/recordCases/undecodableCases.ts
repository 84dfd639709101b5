import assert from 'node:assert/strict';
import { until } from './Reader.ts';
import type { RecordCase } from './RecordBench.ts';

/** What becomes of a partition with a record that cannot be decoded. */
export function undecodableCases(): readonly RecordCase[] {
  return [
    {
      name: 'holds a partition at what it cannot decode, says so once, and reads the others',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        await bench.send(topic, 0, 'a', 'b');
        if (!(await bench.sendUndecodable(topic, 0))) return;
        await bench.send(topic, 0, 'c');
        const told: string[] = [];
        const reader = await bench.reader(topic).run({
          onUndecodable: ({ partition, offset, next, bytes }, error, epoch) =>
            told.push(`${partition} at ${offset} up to ${next}, ${bytes.byteLength > 0}: ${error.code} in ${epoch}`),
        });
        await reader.read(2);
        await until('the word of it', () => told.length > 0);
        await bench.send(topic, 1, 'other');
        await reader.read(3);
        await bench.send(topic, 1, 'another');
        await reader.read(4);
        assert.deepEqual(reader.values(0), ['a', 'b']);
        assert.deepEqual(told, ['0 at 2 up to 3, true: undecodable in 1']);
        assert.equal(reader.source.joined, true);
        assert.ok(!reader.told.includes('interrupted'));
      },
    },
    {
      name: 'goes on once the group has got past what it cannot decode, whoever committed that',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        await bench.send(topic, 0, 'a');
        if (!(await bench.sendUndecodable(topic, 0))) return;
        await bench.send(topic, 0, 'b');
        const told: string[] = [];
        const reader = await bench.reader(topic).run({
          onRecord: ({ offset }) => told.push(`record at ${offset}`),
          onUndecodable: ({ offset }) => told.push(`held at ${offset}`),
          onReleased: ({ topic: its, partition }, epoch) =>
            told.push(`${its === topic} ${partition} released in ${epoch}`),
        });
        await until('the word of it', () => told.length === 2);
        const announcer = await bench.sink().own(topic, 0, bench.groupId);
        await announcer.announce([], { offset: 2n, announced: new Set() });
        await reader.read(2);
        assert.deepEqual(told, ['record at 0', 'held at 1', 'true 0 released in 1', 'record at 2']);
      },
    },
    {
      name: 'goes on behind what it cannot decode once that was announced, although an older record is open',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        await bench.send(topic, 0, 'open');
        if (!(await bench.sendUndecodable(topic, 0))) return;
        await bench.send(topic, 0, 'done', 'b');
        const told: string[] = [];
        const reader = await bench.reader(topic).run({
          onRecord: ({ offset }) => told.push(`record at ${offset}`),
          onUndecodable: ({ offset }) => told.push(`held at ${offset}`),
          onReleased: () => told.push('released'),
        });
        await until('the word of it', () => told.length === 2);
        const announcer = await bench.sink().own(topic, 0, bench.groupId);
        await announcer.announce([], { offset: 0n, announced: new Set([1n, 2n]) });
        await reader.read(2);
        assert.deepEqual(told, ['record at 0', 'held at 1', 'released', 'record at 3']);
      },
    },
    {
      name: 'says nothing of what was left out before it came, although an older record is open',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        await bench.send(topic, 0, 'open');
        if (!(await bench.sendUndecodable(topic, 0))) return;
        await bench.send(topic, 0, 'b');
        const announcer = await bench.sink().own(topic, 0, bench.groupId);
        await announcer.announce([], { offset: 0n, announced: new Set([1n]) });
        const told: string[] = [];
        const reader = await bench.reader(topic).run({
          onRecord: ({ offset }) => told.push(`record at ${offset}`),
          onUndecodable: ({ offset }) => told.push(`held at ${offset}`),
          onReleased: () => told.push('released'),
        });
        await reader.read(2);
        assert.deepEqual(told, ['record at 0', 'record at 2']);
      },
    },
    {
      name: 'goes on behind what it cannot decode when it is rewound there',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        if (!(await bench.sendUndecodable(topic, 0))) return;
        await bench.send(topic, 0, 'a');
        const told: string[] = [];
        const reader = await bench.reader(topic).run({
          onUndecodable: ({ offset }) => told.push(`held at ${offset}`),
          onReleased: () => told.push('released'),
        });
        await until('the word of it', () => told.length === 1);
        reader.source.pause([{ topic, partition: 0 }]);
        reader.source.resume([{ topic, partition: 0 }]);
        reader.source.rewind({ topic, partition: 0, offset: 1n });
        await reader.read(1);
        assert.deepEqual(reader.values(), ['a']);
        assert.deepEqual(told, ['held at 0', 'released']);
      },
    },
  ];
}
