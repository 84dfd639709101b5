import { beforeEach, describe, expect, it, vi } from 'vitest';
import { BrokerError } from '../../../../src/model/errors.ts';
import type { RecordHandlers, RecordSource } from '../../../../src/model/recordPorts.ts';
import {
  committed,
  completionOf,
  completions,
  faultySink,
  groupId,
  keyAt,
  message,
  openBroker,
  requestTopic,
  send,
  settle,
  Worker,
  type Fault,
} from '../bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const answer = (worker: Worker, index: number): Promise<void> =>
  worker.deliveries[index]!.ack(completionOf(worker.deliveries[index]!));

describe('a partition that is assigned', () => {
  it('hands nothing out before it is owned, however long the broker is away', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    let isAway = true;
    const sink = faultySink(broker.sink(), { own: () => (isAway ? 'before' : undefined) });
    const { source, tell } = rejoining(broker);
    const worker = new Worker(broker, { topics: [requestTopic()], sink, source });
    const read = vi.fn();
    tell((handlers) => vi.spyOn(handlers, 'onRecord').mockImplementation(read));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(read).not.toHaveBeenCalled();
    vi.restoreAllMocks();
    expect(worker.deliveries).toEqual([]);
    const delays = worker.told('partition-waiting').map(({ delayMs }) => delayMs);
    expect(delays.slice(0, 7)).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    isAway = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0)]);
    worker.stop();
  });

  it('is not tried for any more once it is revoked', async () => {
    const broker = openBroker();
    const own = vi.fn((): Fault => 'before');
    const worker = new Worker(broker, { topics: [requestTopic()], sink: faultySink(broker.sink(), { own }) });
    await vi.advanceTimersByTimeAsync(1_000);
    worker.stop();
    const calls = own.mock.calls.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(own).toHaveBeenCalledTimes(calls);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('closes the announcer that it gets after it was revoked', async () => {
    const broker = openBroker();
    const close = vi.fn(() => Promise.resolve());
    let give: () => void = () => undefined;
    const inner = broker.sink();
    const sink = {
      send: inner.send.bind(inner),
      maxRecordBytes: inner.maxRecordBytes.bind(inner),
      partitionsOf: inner.partitionsOf.bind(inner),
      close: inner.close.bind(inner),
      own: async () => {
        await new Promise<void>((resolve) => (give = resolve));
        return { committed: { offset: 0n, announced: new Set<bigint>() }, announce: () => Promise.resolve(), close };
      },
    };
    const worker = new Worker(broker, { topics: [requestTopic()], sink });
    await settle();
    worker.stop();
    give();
    await settle();
    expect(close).toHaveBeenCalled();
  });

  it('goes on at the committed offset, and leaves out what was announced after it', async () => {
    const broker = openBroker();
    await send(
      broker,
      Array.from({ length: 6 }, () => message('AAPL')),
    );
    const announcer = await broker.sink().own('IN', 0, groupId);
    await announcer.announce([], { offset: 2n, announced: new Set([3n, 5n]) });
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    expect(worker.told('partition-owned')).toEqual([
      { type: 'partition-owned', place: { topic: 'IN', partition: 0 }, offset: 2n, announced: 2 },
    ]);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(2), keyAt(4)]);
    await answer(worker, 0);
    await answer(worker, 1);
    expect(await committed(broker)).toEqual({ offset: 6n, announced: new Set() });
    worker.stop();
  });

  it('goes on there wherever the source stands', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT'), message('TSLA')]);
    const source = broker.source({ groupId, topics: ['IN'] });
    const run = source.run.bind(source);
    vi.spyOn(source, 'run').mockImplementation((handlers) =>
      run({
        ...handlers,
        onAssigned: (epoch, partitions) => {
          handlers.onAssigned(epoch, partitions);
          for (const place of partitions) source.rewind({ ...place, offset: 2n });
        },
      }),
    );
    const worker = new Worker(broker, { topics: [requestTopic()], source });
    await settle();
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0), keyAt(1), keyAt(2)]);
    worker.stop();
  });

  it('goes on where the one before was when it was fenced, and not where the source began to read', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT')]);
    const former = await broker.sink().own('IN', 0, groupId);
    const inner = broker.sink();
    const sink = {
      ...faultySink(inner, {}),
      // Between the assignment and the fence, the former owner announces once more.
      own: async (topic: string, partition: number, group: string) => {
        await former.announce([], { offset: 1n, announced: new Set() }).catch(() => undefined);
        return inner.own(topic, partition, group);
      },
    };
    const worker = new Worker(broker, { topics: [requestTopic()], sink });
    await settle();
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(1)]);
    worker.stop();
  });
});

describe('the offsets of a partition', () => {
  it('are committed up to the oldest open request, with those after it that are done', async () => {
    const broker = openBroker();
    await send(
      broker,
      Array.from({ length: 5 }, () => message('AAPL')),
    );
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    const state = async (): Promise<unknown> => committed(broker);
    await answer(worker, 2);
    expect(await state()).toEqual({ offset: 0n, announced: new Set([2n]) });
    await Promise.all([answer(worker, 0), vi.advanceTimersByTimeAsync(1_000)]);
    expect(await state()).toEqual({ offset: 1n, announced: new Set([2n]) });
    await Promise.all([answer(worker, 1), answer(worker, 4), vi.advanceTimersByTimeAsync(1_000)]);
    expect(await state()).toEqual({ offset: 3n, announced: new Set([4n]) });
    await Promise.all([answer(worker, 3), vi.advanceTimersByTimeAsync(1_000)]);
    expect(await state()).toEqual({ offset: 5n, announced: new Set() });
    expect(completions(broker).map(({ key }) => key)).toEqual([2, 0, 1, 4, 3].map((offset) => keyAt(offset)));
    worker.stop();
  });

  it('are committed for many completions in one transaction', async () => {
    const broker = openBroker();
    await send(
      broker,
      Array.from({ length: 30 }, () => message('AAPL')),
    );
    const sizes: number[] = [];
    const announce = (records: readonly unknown[]): undefined => void sizes.push(records.length);
    const worker = new Worker(broker, { topics: [requestTopic()], sink: faultySink(broker.sink(), { announce }) });
    await settle();
    await Promise.all(worker.deliveries.map((_, index) => answer(worker, index)));
    expect(sizes).toEqual([30]);
    expect(await committed(broker)).toEqual({ offset: 30n, announced: new Set() });
    worker.stop();
  });

  it('reach over no gap that is wider than the window', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT'), message('TSLA')]);
    const worker = new Worker(broker, { topics: [requestTopic()], source: withGap(broker), window: 1_000 });
    await settle();
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0)]);
    await answer(worker, 0);
    await settle();
    expect(worker.deliveries.map(({ id }) => id)).toEqual([0, 30_001, 30_002].map((offset) => keyAt(offset)));
    await answer(worker, 2);
    await answer(worker, 1);
    expect(await committed(broker)).toEqual({ offset: 30_003n, announced: new Set() });
    worker.stop();
  });
});

/** A source whose second record and those after it stand 30,000 offsets further than they do. */
function withGap(broker: ReturnType<typeof openBroker>): RecordSource {
  const source = broker.source({ groupId, topics: ['IN'] });
  return {
    get joined() {
      return source.joined;
    },
    run: (handlers) =>
      source.run({
        ...handlers,
        onRecord: (record, epoch) => {
          handlers.onRecord({ ...record, offset: record.offset + (record.offset > 0n ? 30_000n : 0n) }, epoch);
        },
      }),
    commit: (record, epoch) => source.commit(record, epoch),
    pause: (partitions) => source.pause(partitions),
    resume: (partitions) => source.resume(partitions),
    rewind: (position) =>
      source.rewind({ ...position, offset: position.offset < 30_000n ? position.offset : position.offset - 30_000n }),
    stop: () => source.stop(),
  };
}

describe('an announcement that fails', () => {
  it.each(['before', 'after'] as const)('%s it took effect is out once in the end', async (fault) => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT'), message('TSLA')]);
    let failures = 3;
    const announce = (): Fault => (failures-- > 0 ? fault : undefined);
    const worker = new Worker(broker, { topics: [requestTopic()], sink: faultySink(broker.sink(), { announce }) });
    await settle();
    const answers = [answer(worker, 2), answer(worker, 0)];
    await vi.advanceTimersByTimeAsync(100);
    answers.push(answer(worker, 1));
    await vi.advanceTimersByTimeAsync(60_000);
    await Promise.all(answers);
    const keys = completions(broker).map(({ key }) => key);
    expect(keys.sort()).toEqual([keyAt(0), keyAt(1), keyAt(2)]);
    expect(worker.told('request-announced')).toHaveLength(3);
    expect(worker.told('partition-waiting').length).toBeGreaterThan(0);
    expect(await committed(broker)).toEqual({ offset: 3n, announced: new Set() });
    worker.stop();
  });

  it('because there is another owner is tried again, and what that one has done is given up', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT'), message('TSLA'), message('NVDA')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    const other = await broker.sink().own('IN', 0, groupId);
    await other.announce([{ topic: 'OUT', key: keyAt(1), value: '{}' }], { offset: 0n, announced: new Set([1n]) });
    const answered = answer(worker, 0);
    await vi.advanceTimersByTimeAsync(5_000);
    await answered;
    expect(worker.deliveries.map(({ signal }) => signal.aborted)).toEqual([false, true, false, false]);
    await expect(answer(worker, 1)).rejects.toMatchObject({ code: 'fenced' });
    await Promise.all([answer(worker, 3), answer(worker, 2)]);
    expect(completions(broker).map(({ key }) => key)).toEqual([1, 0, 3, 2].map((offset) => keyAt(offset)));
    expect(await committed(broker)).toEqual({ offset: 4n, announced: new Set() });
    worker.stop();
  });

  it('is not tried again once the partition is lost', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const announce = vi.fn((): Fault => 'before');
    const worker = new Worker(broker, { topics: [requestTopic()], sink: faultySink(broker.sink(), { announce }) });
    await settle();
    const refused = expect(answer(worker, 0)).rejects.toMatchObject({ code: 'fenced' });
    await vi.advanceTimersByTimeAsync(100);
    worker.stop();
    await refused;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(announce).toHaveBeenCalledTimes(1);
    expect(completions(broker)).toEqual([]);
  });
});

describe('a rebalance', () => {
  it('leaves the partitions that are kept alone, and gives up those that go', async () => {
    const broker = openBroker(2);
    for (const partition of [0, 1]) await send(broker, [message('AAPL')], partition);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    const other = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    const [{ place } = { place: undefined }] = worker.told('partition-lost');
    const [gone] = other.deliveries;
    expect(gone?.id).toBe(keyAt(0, place?.partition));
    const kept = worker.deliveries.find(({ id }) => id !== gone?.id);
    const lost = worker.deliveries.find(({ id }) => id === gone?.id);
    expect([kept?.signal.aborted, lost?.signal.aborted]).toEqual([false, true]);
    await expect(lost!.ack(completionOf(lost!))).rejects.toMatchObject({ code: 'fenced' });
    await kept!.ack(completionOf(kept!));
    await gone!.ack(completionOf(gone!));
    expect(completions(broker)).toHaveLength(2);
    other.stop();
    await settle();
    expect(worker.told('partition-owned').map(({ offset }) => offset)).toEqual([0n, 0n, 1n]);
    worker.stop();
  });

  it('begins anew when the source has lost its group and joined again', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT')]);
    const { source, rejoin, tell } = rejoining(broker);
    const worker = new Worker(broker, { topics: [requestTopic()], source });
    await settle();
    await answer(worker, 1);
    rejoin();
    await settle();
    expect(worker.deliveries.map(({ id, signal }) => [id, signal.aborted])).toEqual([
      [keyAt(0), true],
      [keyAt(1), false],
      [keyAt(0), false],
    ]);
    // What still comes of the assignment before is not ours any more, and takes nothing away.
    tell((handlers) => {
      handlers.onRecord({ ...broker.records('IN')[0]!, offset: 7n }, 1);
      handlers.onRevoked(1, [{ topic: 'IN', partition: 0 }]);
    });
    await settle();
    expect(worker.deliveries).toHaveLength(3);
    await expect(answer(worker, 0)).rejects.toMatchObject({ code: 'fenced' });
    await answer(worker, 2);
    expect(completions(broker).map(({ key }) => key)).toEqual([keyAt(1), keyAt(0)]);
    expect(worker.events.map(({ type }) => type)).toEqual([
      ...['partition-owned', 'request-accepted', 'request-accepted', 'request-announced'],
      ...['partition-lost', 'interrupted', 'partition-owned', 'request-accepted', 'request-announced'],
    ]);
    worker.stop();
  });

  it('lets a crashed worker announce nothing once another one owns the partition', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const crashed = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    broker.crash(crashed.source);
    const next = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    await answer(next, 0);
    await Promise.all([answer(crashed, 0), vi.advanceTimersByTimeAsync(1_000)]); // it is out, by whomever
    expect(completions(broker)).toHaveLength(1);
    next.stop();
    crashed.stop();
  });
});

/** A source that can lose its group, and be back in it under another epoch. */
function rejoining(broker: ReturnType<typeof openBroker>) {
  const source = broker.source({ groupId, topics: ['IN'] });
  const run = source.run.bind(source);
  const places = [{ topic: 'IN', partition: 0 }];
  let epoch = 1;
  let told: RecordHandlers | undefined;
  const tell = (call: (handlers: RecordHandlers) => void): void => {
    if (told !== undefined) call(told);
  };
  vi.spyOn(source, 'run').mockImplementation((handlers) => {
    told = handlers;
    return run({ ...handlers, onRecord: (record) => handlers.onRecord(record, epoch) });
  });
  const rejoin = (): void => {
    tell((handlers) => {
      handlers.onRevoked(epoch, places);
      handlers.onInterrupted?.(new BrokerError('broker_unavailable', 'the group is gone'));
      epoch += 1;
      handlers.onAssigned(epoch, places);
    });
  };
  return { source, rejoin, tell };
}
