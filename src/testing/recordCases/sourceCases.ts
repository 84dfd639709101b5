import assert from 'node:assert/strict';
import { PipelineError } from '../../model/errors.ts';
import type { RecordCase } from './RecordBench.ts';
import { until } from './Reader.ts';

/** What one source does by itself. */
export function sourceCases(): readonly RecordCase[] {
  return [
    {
      name: 'hands out every record as it was sent, in order',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        const bytes = Buffer.from([0, 255, 128]);
        const headers = ['one', 'two'].map((value) => ({ name: 'twice', value }));
        await bench.sink().send([
          { topic, partition: 0, key: bytes, value: bytes, headers, timestampMs: 1_700_000_000_123 },
          { topic, partition: 0, value: null },
          { topic, partition: 0, key: 'ключ', value: 'значение' },
        ]);
        const reader = await bench.reader(topic).run();
        await reader.read(3);
        const [first, second, third] = reader.records;
        assert.deepEqual(Buffer.from(first?.key ?? ''), bytes);
        assert.deepEqual(Buffer.from(first?.value ?? ''), bytes);
        assert.equal(first?.timestampMs, 1_700_000_000_123);
        assert.deepEqual(
          first.headers.map(({ name, value }) => [name, Buffer.from(value).toString()]),
          [
            ['twice', 'one'],
            ['twice', 'two'],
          ],
        );
        assert.equal(second?.key, null);
        assert.equal(second.value, null);
        assert.deepEqual([Buffer.from(third?.key ?? '').toString(), reader.values()[2]], ['ключ', 'значение']);
        assert.deepEqual(
          reader.records.map(({ offset }) => offset),
          [0n, 1n, 2n],
        );
      },
    },
    {
      name: 'tells of partitions before their records, and of their end when it stops',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        await bench.send(topic, 1, 'a');
        const reader = bench.reader(topic);
        assert.equal(reader.source.joined, false);
        await reader.run();
        assert.equal(reader.source.joined, true);
        await reader.read(1);
        await reader.source.stop();
        await reader.source.stop();
        assert.equal(reader.source.joined, false);
        assert.deepEqual(reader.told, ['assigned in epoch 1', 'record of epoch 1', 'revoked of epoch 1']);
      },
    },
    {
      name: 'hands out the other partitions while the work on a record goes on',
      check: async (bench) => {
        const topic = await bench.createTopic(3);
        await bench.send(topic, 0, 'a');
        // What a handler answers is nobody's to wait for.
        const onRecord = (): unknown => new Promise(() => undefined);
        const reader = await bench.reader(topic).run({ onRecord });
        await reader.read(1);
        await bench.send(topic, 1, 'b');
        await bench.send(topic, 2, 'c');
        await bench.send(topic, 0, 'd');
        await reader.read(4);
        assert.deepEqual([...reader.values()].sort(), ['a', 'b', 'c', 'd']);
      },
    },
    {
      name: 'goes on at the committed offset',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        await bench.send(topic, 0, 'a', 'b', 'c', 'd');
        const first = await bench.reader(topic).run();
        await first.read(4);
        await first.commit(first.record('c'));
        await first.commit(first.record('a')); // says less than what is known, and takes nothing back
        await first.source.stop();
        const second = await bench.reader(topic).run();
        await second.read(1);
        await bench.send(topic, 0, 'e');
        await second.read(2);
        assert.deepEqual(second.values(), ['d', 'e']);
      },
    },
    {
      name: 'hands out nothing of a paused partition, not even the rest of what was fetched, and loses nothing',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        await bench.send(topic, 0, 'a', 'b', 'c', 'd', 'e');
        const reader = bench.reader(topic);
        const pausing = [{ topic, partition: 0 }];
        await reader.run({ onRecord: () => reader.values(0).length % 2 === 0 && reader.source.pause(pausing) });
        await reader.read(2);
        await bench.send(topic, 1, 'other');
        await until('the other partition', () => reader.values(1).length === 1);
        assert.deepEqual(reader.values(0), ['a', 'b']);
        reader.source.resume(pausing);
        await reader.read(5);
        assert.deepEqual(reader.values(0), ['a', 'b', 'c', 'd']);
        reader.source.resume(pausing);
        await reader.read(6);
        assert.deepEqual(reader.values(0), ['a', 'b', 'c', 'd', 'e']);
      },
    },
    {
      name: 'tells how far a partition was handed out, and not beyond a pause',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        await bench.send(topic, 0, 'a', 'b', 'c');
        const told: bigint[] = [];
        const reader = bench.reader(topic);
        const paused = [{ topic, partition: 0 }];
        await reader.run({
          onRecord: () => reader.values(0).length === 2 && reader.source.pause(paused),
          onPosition: ({ partition, offset }) => partition === 0 && told.push(offset),
        });
        await reader.read(2);
        await bench.send(topic, 1, 'other');
        await reader.read(3);
        assert.ok(told.every((offset) => offset <= 2n));
        reader.source.resume(paused);
        await reader.read(4);
        await until('the end of the partition', () => told.includes(3n));
      },
    },
    {
      name: 'hands out nothing of a partition that is paused as it is assigned',
      check: async (bench) => {
        const topic = await bench.createTopic(2);
        await bench.send(topic, 0, 'a');
        await bench.send(topic, 1, 'b');
        const reader = bench.reader(topic);
        const paused = [{ topic, partition: 0 }];
        await reader.run({ onAssigned: () => reader.source.pause(paused) });
        await reader.read(1);
        assert.deepEqual(reader.values(), ['b']);
        reader.source.resume(paused);
        await reader.read(2);
        assert.deepEqual(reader.values(), ['b', 'a']);
      },
    },
    {
      name: 'hands out the records again from where it is rewound to',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        await bench.send(topic, 0, 'a', 'b', 'c');
        const reader = await bench.reader(topic).run();
        await reader.read(3);
        reader.source.rewind({ topic, partition: 0, offset: 1n });
        reader.source.rewind({ topic, partition: 7, offset: 1n });
        await reader.read(5);
        await bench.send(topic, 0, 'd');
        await reader.read(6);
        assert.deepEqual(reader.values(), ['a', 'b', 'c', 'b', 'c', 'd']);
      },
    },
    {
      name: 'is ended by what a handler throws, and says so once',
      check: async (bench) => {
        const topic = await bench.createTopic(1);
        await bench.send(topic, 0, 'a', 'b');
        const reader = await bench.reader(topic).run({
          onRecord: () => {
            throw new Error('the handler broke');
          },
        });
        await until('the failure', () => reader.failure !== undefined);
        assert.match(String(reader.failure), /the handler broke/);
        await reader.source.stop();
        assert.equal(reader.source.joined, false);
        assert.deepEqual(reader.values(), ['a']);
      },
    },
    {
      name: 'refuses a topic that is not there, and can be run again',
      check: async (bench) => {
        const topic = `missing-${bench.groupId}`;
        const reader = bench.reader(topic);
        await assert.rejects(reader.run(), (error) => PipelineError.isInstance(error) && error.code === 'broker_error');
        await assert.rejects(reader.run(), (error) => PipelineError.isInstance(error) && error.code === 'broker_error');
        assert.equal(reader.source.joined, false);
        const sending = bench.sink().send([{ topic, partition: 0, value: 'a' }]);
        await assert.rejects(sending, (error) => PipelineError.isInstance(error) && error.code === 'publish_failed');
      },
    },
  ];
}
