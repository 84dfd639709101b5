import { describe, expect, it, vi } from 'vitest';
import { memorySink } from '../../../../src/memory/memorySink.ts';
import { PublishError } from '../../../../src/model/errors.ts';
import type { Asset } from '../../../../src/model/records.ts';
import {
  completionOf,
  completions,
  faultySink,
  keyAt,
  message,
  openBroker,
  requestTopic,
  send,
  settle,
  Worker,
} from '../bench.ts';

const symbols = ['A', 'B', 'C', 'D', 'E'];

function open() {
  const broker = openBroker();
  broker.createTopic('WORK', 2);
  const prices = memorySink<Asset, number>();
  const topic = requestTopic({ ledger: prices.ledger, workTopic: 'WORK', batchSize: 1 });
  // It reads no work itself: what it sends stays there to be seen.
  const source = () => broker.source({ groupId: 'workers', topics: ['IN'] });
  return { broker, prices, topic, source };
}

describe('a request of many batches', () => {
  it('goes to all workers, and is handed out as the owner of its answer', async () => {
    const { broker, topic, source } = open();
    await send(broker, [message(...symbols), message('A', 'B')]);
    const worker = new Worker(broker, { topics: [topic], source: source(), splitAbove: 2 });
    await settle();
    expect(worker.deliveries.map(({ id, share }) => [id, share])).toEqual([
      [keyAt(0), { role: 'owner' }],
      [keyAt(1), undefined],
    ]);
    expect(
      worker.told('request-accepted').map(({ isShared, batches, storedBatches }) => [isShared, batches, storedBatches]),
    ).toEqual([
      [true, 5, 0],
      [false, 2, undefined],
    ]);
    expect(broker.records('WORK')).toHaveLength(5);
    await worker.deliveries[0]!.ack(completionOf(worker.deliveries[0]!));
    expect(completions(broker).map(({ key }) => key)).toEqual([keyAt(0)]);
    worker.stop();
  });

  // issue 10, item 5: it would be sent again for ever
  it('stays with one worker when its work topic does not take a batch for its size', async () => {
    const broker = openBroker();
    broker.createTopic('WORK', 2, { maxRecordBytes: 150 });
    const prices = memorySink<Asset, number>();
    const topic = requestTopic({ ledger: prices.ledger, workTopic: 'WORK', batchSize: 1 });
    await send(broker, [message(...symbols)]);
    const source = broker.source({ groupId: 'workers', topics: ['IN'] });
    const worker = new Worker(broker, { topics: [topic], source, splitAbove: 2 });
    await settle();
    expect(worker.deliveries.map(({ id, share }) => [id, share])).toEqual([[keyAt(0), undefined]]);
    expect(worker.told('request-retried')).toEqual([]);
    worker.stop();
  });

  it('is sent again by its next owner, but for the batches that the ledger has', async () => {
    const { broker, prices, topic, source } = open();
    await send(broker, [message(...symbols)]);
    const first = new Worker(broker, { topics: [topic], source: source(), splitAbove: 2 });
    await settle();
    broker.crash(first.source);
    first.stop();
    for (const index of [1, 3]) {
      const input: Asset = { symbol: symbols[index]!, assetType: 'STOCK' };
      await prices.write({ index, request: keyAt(0), outcomes: [{ status: 'ok', input, value: 1 }] });
    }
    const second = new Worker(broker, { topics: [topic], source: source(), splitAbove: 2 });
    await settle();
    expect(broker.records('WORK')).toHaveLength(5 + 3);
    expect(second.told('request-accepted')).toMatchObject([{ isShared: true, storedBatches: 2 }]);
    second.stop();
  });

  it('is shared later when the broker takes nothing now', async () => {
    vi.useFakeTimers();
    const { broker, topic, source } = open();
    await send(broker, [message(...symbols)]);
    const inner = broker.sink();
    let isAway = true;
    const sink = {
      ...faultySink(inner, {}),
      send: (records: Parameters<typeof inner.send>[0]) =>
        isAway ? Promise.reject(new PublishError('the broker is away')) : inner.send(records),
    };
    const worker = new Worker(broker, { topics: [topic], source: source(), sink, splitAbove: 2 });
    await settle();
    expect([worker.deliveries.length, worker.told('request-retried').length]).toEqual([0, 1]);
    isAway = false;
    await vi.advanceTimersByTimeAsync(250);
    expect(worker.deliveries.map(({ share }) => share)).toEqual([{ role: 'owner' }]);
    expect(broker.records('WORK')).toHaveLength(5);
    worker.stop();
  });

  it('is done by its owner alone where there is no ledger, or no work topic', async () => {
    for (const without of [{ ledger: undefined }, { workTopic: undefined }]) {
      const { broker, topic, source } = open();
      await send(broker, [message(...symbols)]);
      const worker = new Worker(broker, { topics: [{ ...topic, ...without }], source: source(), splitAbove: 2 });
      await settle();
      expect(worker.deliveries.map(({ share }) => share)).toEqual([undefined]);
      worker.stop();
    }
  });
});
