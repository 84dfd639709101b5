import { afterEach, describe, expect, it, vi } from 'vitest';
import { skipUndecodable, type SkipUndecodableOptions } from '../../../src/kafka/partitions/skipUndecodable.ts';
import { redrive } from '../../../src/kafka/redrive/redrive.ts';
import { announcedSpan } from '../../../src/model/announcedBitmap.ts';
import { memoryBroker, type MemoryBroker } from '../../../src/memory/memoryBroker.ts';
import type { CommittedState } from '../../../src/model/recordPorts.ts';
import { changedSink } from '../changedSink.ts';
import {
  completionOf,
  completions,
  message,
  openBroker,
  requestTopic,
  send as sendRequests,
  settle,
  Worker,
} from '../requests/bench.ts';

const groupId = 'workers';

function open(): MemoryBroker {
  return memoryBroker({ topics: { IN: 2 } });
}

const openSource =
  (broker: MemoryBroker): SkipUndecodableOptions['openSource'] =>
  (group, topic) =>
    broker.source({ groupId: group, topics: [topic] });

function skip(broker: MemoryBroker, offset: bigint, more: Partial<SkipUndecodableOptions> = {}) {
  const parts = { openSource: openSource(broker), sink: broker.sink(), topics: broker.topics() };
  return skipUndecodable({ topic: 'IN', partition: 0, offset, groupId, ...parts, ...more });
}

const send = (broker: MemoryBroker, ...values: string[]): Promise<void> =>
  broker.sink().send(values.map((value) => ({ topic: 'IN', partition: 0, value })));

async function commit(broker: MemoryBroker, offset: bigint, ...announced: bigint[]): Promise<void> {
  const announcer = await broker.sink().own('IN', 0, groupId);
  await announcer.announce([], { offset, announced: new Set(announced) });
}

async function committed(broker: MemoryBroker): Promise<CommittedState> {
  return (await broker.sink().own('IN', 0, groupId)).committed;
}

// issue 10, 8
describe('what holds a partition', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('goes to the dead letters as it is, and the group goes on behind it', async () => {
    const broker = open();
    await send(broker, 'a');
    broker.sendUndecodable('IN', 0, 'broken');
    await send(broker, 'b');
    await commit(broker, 1n);
    expect(await skip(broker, 1n)).toEqual({ next: 2n, bytes: 6, deadLetterTopic: 'IN-dlt' });
    expect(await committed(broker)).toEqual({ offset: 2n, announced: new Set() });
    const [letter, ...others] = broker.records('IN-dlt');
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ partition: 0, key: null });
    const headers = new Map(letter?.headers.map(({ name, value }) => [name, Buffer.from(value)]));
    expect([String(letter?.value), headers.get('kafka_dlt-original-offset')?.readBigInt64BE()]).toEqual(['broken', 1n]);
    expect(String(headers.get('kafka_dlt-exception-stacktrace'))).toMatch(
      /^BrokerError \[undecodable\]: memory: IN-0: /,
    );
    // It is no record that could be sent again.
    const parts = { openSource: openSource(broker), sink: broker.sink(), topics: broker.topics() };
    expect(await redrive({ topic: 'IN-dlt', groupId, ...parts })).toEqual({ partitions: 2, sent: 0, cut: 1 });
  });

  it('leaves what was announced out of order, and what is open, as it is', async () => {
    const before = open();
    await send(before, 'open', 'done');
    before.sendUndecodable('IN', 0, 'broken');
    await commit(before, 0n, 1n);
    await skip(before, 2n);
    expect(await committed(before)).toEqual({ offset: 0n, announced: new Set([1n, 2n]) });

    const after = open();
    after.sendUndecodable('IN', 0, 'broken');
    await send(after, 'done', 'done', 'open', 'done');
    await commit(after, 0n, 1n, 2n, 4n);
    await skip(after, 0n);
    expect(await committed(after)).toEqual({ offset: 3n, announced: new Set([4n]) });
  });

  it('fences whoever owns the partition, and is tried again when that one has taken it back', async () => {
    const broker = open();
    broker.sendUndecodable('IN', 0, 'broken');
    const owner = await broker.sink().own('IN', 0, groupId);
    const sink = broker.sink();
    let owns = 0;
    const contested = changedSink(sink, {
      own: async (...place) => {
        const announcer = await sink.own(...place);
        owns += 1;
        if (owns < 3) await broker.sink().own(...place);
        return announcer;
      },
    });
    await skip(broker, 0n, { sink: contested });
    expect(owns).toBe(3);
    expect(broker.records('IN-dlt')).toHaveLength(1);
    await expect(owner.announce([], { offset: 0n, announced: new Set() })).rejects.toMatchObject({ code: 'fenced' });
  });

  it('is left alone when it is not at that very offset', async () => {
    const broker = open();
    await send(broker, 'a', 'b');
    broker.sendUndecodable('IN', 0, 'broken');
    await send(broker, 'c');
    broker.sendUndecodable('IN', 0, 'broken, too');
    await commit(broker, 1n);
    const refused = async (offset: bigint, reason: string, more: Partial<SkipUndecodableOptions> = {}) => {
      await expect(skip(broker, offset, more)).rejects.toMatchObject({
        code: 'broker_error',
        message: expect.stringContaining(reason) as string,
      });
    };
    await refused(0n, 'what stands at offset 0 can be decoded');
    await refused(1n, 'what stands at offset 1 can be decoded');
    await refused(4n, 'it is held at offset 2, and not at 4; nothing was changed');
    await refused(5n, 'nothing stands at offset 5');
    await refused(0n, 'there is no partition IN-2', { partition: 2 });
    await refused(0n, 'there is no partition OUT-0', { topic: 'OUT' });
    await commit(broker, 3n);
    await refused(2n, 'the group is done with offset 2 already');
    expect(await committed(broker)).toEqual({ offset: 3n, announced: new Set() });
    expect(broker.records('IN-dlt')).toEqual([]);
  });

  it('loses the end of what is stored when the topic for dead letters does not take that much', async () => {
    const broker = open();
    broker.createTopic('IN-dlt', 2, { maxRecordBytes: 2_000 });
    broker.sendUndecodable('IN', 0, 'x'.repeat(5_000));
    const { bytes } = await skip(broker, 0n);
    const [letter] = broker.records('IN-dlt');
    expect(letter?.value?.byteLength).toBe(bytes);
    expect(bytes).toBeGreaterThan(0);
    expect(letter?.headers.map(({ name }) => name)).toContain('fintrack_dlt-value-bytes');
    expect((await committed(broker)).offset).toBe(1n);
  });

  it('is left alone when it is farther from the oldest open request than the bitmap reaches', async () => {
    const broker = open();
    const values = new Array<string>(announcedSpan).fill('');
    await send(broker, ...values);
    broker.sendUndecodable('IN', 0, 'broken');
    await commit(broker, 0n);
    const offset = BigInt(announcedSpan);
    await expect(skip(broker, offset)).rejects.toThrow('the request at offset 0 has to be answered first');
    await commit(broker, 1n);
    expect((await skip(broker, offset)).next).toBe(offset + 1n);
  });

  it('lets a running worker go on behind it, and answer what was open before it', async () => {
    const broker = openBroker();
    await sendRequests(broker, [message('OPEN')]);
    broker.sendUndecodable('IN', 0, 'broken');
    await sendRequests(broker, [message('LATER')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    expect(worker.deliveries).toHaveLength(1);
    await skip(broker, 1n);
    await settle();
    expect(worker.deliveries).toHaveLength(2);
    // The worker hears of it when it announces, takes the partition back, and announces again.
    vi.useFakeTimers();
    const answers = Promise.all(worker.deliveries.map((delivery) => delivery.ack(completionOf(delivery))));
    await vi.advanceTimersByTimeAsync(60_000);
    await answers;
    expect(completions(broker)).toHaveLength(2);
    worker.stop();
    expect(await committed(broker)).toEqual({ offset: 3n, announced: new Set() });
  });

  it('is left alone when the signal aborts', async () => {
    const broker = open();
    broker.sendUndecodable('IN', 0, 'broken');
    await expect(skip(broker, 0n, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped');
    expect((await committed(broker)).offset).toBe(0n);
  });
});
