import { describe, expect, it, vi } from 'vitest';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import { historicalMarketDataTopic } from '../../../src/kafka/requests/requestTopics.ts';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import { BrokerError, OptionsError } from '../../../src/model/errors.ts';
import { recordBytes } from '../../../src/model/recordBytes.ts';
import { deferred } from '../../support/deferred.ts';
import {
  committed,
  completionOf,
  completions,
  groupId,
  keyAt,
  message,
  openBroker,
  requestTopic,
  send,
  settle,
  Worker,
} from './bench.ts';

describe('fromRequests', () => {
  it('hands requests out, and announces each once with its offset', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT', 'TSLA')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    expect(worker.deliveries.map(({ id, inputs, lane, batchSize }) => [id, inputs.length, lane, batchSize])).toEqual([
      [keyAt(0), 1, 'market', 100],
      [keyAt(1), 2, 'market', 100],
    ]);
    for (const delivery of worker.deliveries) await delivery.ack(completionOf(delivery));
    expect(completions(broker).map(({ key, event }) => [key, event.status])).toEqual([
      [keyAt(0), 'complete'],
      [keyAt(1), 'complete'],
    ]);
    expect(worker.events.map(({ type }) => type)).toEqual([
      'partition-owned',
      'request-accepted',
      'request-accepted',
      'request-announced',
      'request-announced',
    ]);
    worker.stop();
    expect(await committed(broker)).toEqual({ offset: 2n, announced: new Set() });
  });

  it('reads several topics and partitions at once', async () => {
    const broker = openBroker(3);
    for (const topic of ['HISTORY', 'HISTORY-OUT', 'HISTORY-dlt']) broker.createTopic(topic, 2);
    const history = historicalMarketDataTopic({ topic: 'HISTORY', completionTopic: 'HISTORY-OUT', workTopic: null });
    const dates = { start_date: '2024-01-31', end_date: '2024-06-30' };
    for (const partition of [0, 1, 2]) await send(broker, [message('AAPL')], partition);
    const value = JSON.stringify({ ...dates, assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }] });
    await broker.sink().send([0, 1].map((partition) => ({ topic: 'HISTORY', partition, value })));
    const worker = new Worker(broker, { topics: [requestTopic(), history] });
    await settle();
    const seen = worker.deliveries.map(({ request, lane }) => `${request.pipeline} ${lane}`);
    expect(seen.sort()).toEqual([
      'historical-market-data historical',
      'historical-market-data historical',
      'market-data market',
      'market-data market',
      'market-data market',
    ]);
    worker.stop();
  });

  // issue 10, 8
  it('tells of a partition that is held by what cannot be decoded, and reads the others', async () => {
    const broker = openBroker(2);
    broker.sendUndecodable('IN', 0, 'broken');
    await send(broker, [message('AAPL')], 0);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    await send(broker, [message('MSFT')], 1);
    await settle();
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0, 1)]);
    const told = () => worker.events.filter(({ type }) => type === 'partition-held' || type === 'partition-released');
    expect(told()).toMatchObject([
      { type: 'partition-held', place: { topic: 'IN', partition: 0, offset: 0n }, error: { code: 'undecodable' } },
    ]);
    // Somebody leaves it out, as `partitions skip` does.
    const announcer = await broker.sink().own('IN', 0, groupId);
    await announcer.announce([], { offset: 1n, announced: new Set() });
    await settle();
    expect(told().slice(1)).toEqual([
      { type: 'partition-released', place: { topic: 'IN', partition: 0 }, isLost: false },
    ]);
    expect(worker.deliveries.map(({ id }) => id)).toEqual([keyAt(0, 1), keyAt(1, 0)]);
    broker.sendUndecodable('IN', 1, 'broken');
    await settle();
    worker.stop();
    await settle();
    expect(told().slice(2)).toMatchObject([
      { type: 'partition-held', place: { topic: 'IN', partition: 1, offset: 1n } },
      { type: 'partition-released', place: { topic: 'IN', partition: 1 }, isLost: true },
    ]);
  });

  it('says what is wrong with its options', () => {
    const broker = openBroker();
    const given = { source: broker.source({ groupId, topics: ['IN'] }), sink: broker.sink(), groupId };
    expect(() => fromRequests({ ...given, topics: [] })).toThrow(OptionsError);
    expect(() => fromRequests({ ...given, topics: [requestTopic()], window: 24_553 })).toThrow(/window/);
    expect(() => fromRequests({ ...given, topics: [requestTopic(), requestTopic()] })).toThrow(/each request topic/);
  });

  it('takes the number of open requests by pausing, and goes on as they are answered', async () => {
    const broker = openBroker();
    await send(
      broker,
      Array.from({ length: 10 }, () => message('AAPL')),
    );
    const worker = new Worker(broker, { topics: [requestTopic()], maxOpen: 3 });
    await settle();
    expect(worker.deliveries).toHaveLength(3);
    await worker.deliveries[1]!.ack(completionOf(worker.deliveries[1]!));
    await settle();
    expect(worker.deliveries).toHaveLength(4);
    for (let next = 0; next < 10; next++) {
      const delivery = worker.deliveries[next]!;
      if (next !== 1) await delivery.ack(completionOf(delivery));
      await settle();
      expect(worker.deliveries.length - completions(broker).length).toBeLessThanOrEqual(3);
    }
    expect(worker.deliveries.map(({ id }) => id)).toEqual(Array.from({ length: 10 }, (_, offset) => keyAt(offset)));
    worker.stop();
  });

  // Issue 10, 11: 32 requests of 1 MiB each, of 155,000 symbols, ended a worker of 512 MB.
  it('takes no more bytes of open requests in all partitions, and from each partition one in any case', async () => {
    const broker = openBroker(2);
    const text = message('AAPL');
    for (const partition of [0, 1]) await send(broker, [text, text, text, text], partition);
    const bytes = recordBytes({ topic: 'IN', key: null, value: text });
    const worker = new Worker(broker, { topics: [requestTopic()], maxOpenBytes: 3 * bytes });
    await settle();
    const takenOf = (place: string) => worker.deliveries.filter(({ id }) => id.startsWith(place));
    const counts = () => [takenOf('IN-0').length, takenOf('IN-1').length];
    const answer = async (place: string, index: number) => {
      const delivery = takenOf(place)[index]!;
      await delivery.ack(completionOf(delivery));
      await settle();
      return counts();
    };
    expect(counts()).toEqual([3, 1]);
    expect(await answer('IN-1', 0)).toEqual([3, 2]);
    expect(await answer('IN-0', 0)).toEqual([3, 2]);
    expect((await answer('IN-0', 1)).reduce((sum, each) => sum + each)).toBe(6);
    worker.stop();
  });

  it('takes no record further than the window from the oldest open one', async () => {
    const broker = openBroker();
    await send(
      broker,
      Array.from({ length: 10 }, () => message('AAPL')),
    );
    const worker = new Worker(broker, { topics: [requestTopic()], window: 4 });
    for (let next = 1; next < 4; next++) {
      await settle();
      await worker.deliveries[next]!.ack(completionOf(worker.deliveries[next]!));
    }
    await settle();
    expect(worker.deliveries).toHaveLength(4);
    expect(await committed(broker)).toEqual({ offset: 0n, announced: new Set([1n, 2n, 3n]) });
    worker.stop();
  });
});

describe('the end of fromRequests', () => {
  it('lets all go at once when it is unsubscribed, and another one takes over', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    const [first, second] = worker.deliveries;
    await second!.ack(completionOf(second!));
    worker.stop();
    expect(first!.signal.aborted).toBe(true);
    await expect(first!.ack(completionOf(first!))).rejects.toMatchObject({ code: 'fenced' });
    await first!.nack(new BrokerError('broker_error', 'too late'));
    expect(worker.source.joined).toBe(false);
    const next = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    expect(next.deliveries.map(({ id }) => id)).toEqual([keyAt(0)]);
    expect(completions(broker).map(({ key }) => key)).toEqual([keyAt(1)]);
    next.stop();
  });

  it('joins no group after it was unsubscribed', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    worker.stop();
    await settle();
    expect([worker.source.joined, worker.ended]).toEqual([false, undefined]);
    const next = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    expect(next.deliveries).toHaveLength(1);
    next.stop();
  });

  it.each(['unsubscribed', 'told to stop'])('closes what owns offsets when it is %s', async (how) => {
    const broker = openBroker(2);
    const sink = broker.sink();
    const close = vi.fn(() => Promise.resolve());
    const own = sink.own.bind(sink);
    vi.spyOn(sink, 'own').mockImplementation(async (...place) => ({ ...(await own(...place)), close }));
    const worker = new Worker(broker, { topics: [requestTopic()], sink });
    await settle();
    if (how === 'unsubscribed') worker.stop();
    else worker.stopping.abort();
    await settle();
    expect(close).toHaveBeenCalledTimes(2);
  });

  it('leaves no timer behind', async () => {
    vi.useFakeTimers();
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    await worker.deliveries[0]!.nack(new BrokerError('broker_unavailable', 'away', { retryable: true }));
    await settle();
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    worker.stop();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes nothing new once it is to stop, and completes when all is answered', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL'), message('MSFT'), message('TSLA')]);
    const worker = new Worker(broker, { topics: [requestTopic()], maxOpen: 2 });
    await settle();
    const [first, second] = worker.deliveries;
    worker.stopping.abort();
    await first!.ack(completionOf(first!));
    await send(broker, [message('NVDA')]);
    await settle();
    expect([worker.deliveries.length, worker.ended]).toEqual([2, undefined]);
    expect(second!.signal.aborted).toBe(false);
    await second!.ack(completionOf(second!));
    await settle();
    expect([worker.ended, worker.source.joined]).toEqual(['completed', false]);
    expect(await committed(broker)).toEqual({ offset: 2n, announced: new Set() });
  });

  it('gives back what would have to be tried again once it is to stop', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    worker.stopping.abort();
    await worker.deliveries[0]!.nack(new BrokerError('broker_unavailable', 'away', { retryable: true }));
    await settle();
    expect(worker.ended).toBe('completed');
    expect(await committed(broker)).toEqual({ offset: 0n, announced: new Set() });
  });

  it('takes no partition that it gets while it stops', async () => {
    const broker = openBroker(2);
    const worker = new Worker(broker, { topics: [requestTopic()] });
    const other = new Worker(broker, { topics: [requestTopic()] });
    await settle();
    for (const partition of [0, 1]) await send(broker, [message('AAPL')], partition);
    await settle();
    worker.stopping.abort();
    other.stop();
    await settle();
    expect(worker.deliveries).toHaveLength(1);
    await worker.deliveries[0]!.ack(completionOf(worker.deliveries[0]!));
    await settle();
    expect([worker.ended, worker.deliveries.length]).toEqual(['completed', 1]);
  });

  it('completes at once when it is to stop before it starts', () => {
    const broker = openBroker();
    const worker = new Worker(broker, { topics: [requestTopic()], stop: AbortSignal.abort() });
    expect(worker.ended).toBe('completed');
  });

  it('completes when it is to stop while the group is being joined', async () => {
    const broker = openBroker();
    const source = broker.source({ groupId, topics: ['IN'] });
    const joining = deferred();
    vi.spyOn(source, 'run').mockReturnValue(joining.promise);
    vi.spyOn(source, 'stop').mockImplementation(async () => {
      joining.reject(new BrokerError('broker_error', 'the source was stopped'));
      await settle();
    });
    const worker = new Worker(broker, { topics: [requestTopic()], source });
    worker.stopping.abort();
    await settle();
    await settle();
    expect(worker.ended).toBe('completed');
  });

  it('fails when the group cannot be joined, and can then be tried again', async () => {
    const broker = memoryBroker({ topics: { OUT: 1, 'IN-dlt': 1 } });
    const source = broker.source({ groupId, topics: ['IN'] });
    const worker = new Worker(broker, { topics: [requestTopic()], source });
    await settle();
    expect(worker.ended).toMatchObject({ code: 'broker_error' });
    broker.createTopic('IN', 1);
    await send(broker, [message('AAPL')]);
    const again = new Worker(broker, { topics: [requestTopic()], source });
    await settle();
    expect(again.deliveries).toHaveLength(1);
    again.stop();
  });

  it('fails when the source ends for ever', async () => {
    const broker = openBroker();
    await send(broker, [message('AAPL')]);
    const source = broker.source({ groupId, topics: ['IN'] });
    let end: (error: BrokerError) => void = () => undefined;
    const run = source.run.bind(source);
    vi.spyOn(source, 'run').mockImplementation((handlers) => {
      end = handlers.onFatal;
      handlers.onInterrupted?.(new BrokerError('broker_unavailable', 'away'));
      return run(handlers);
    });
    const worker = new Worker(broker, { topics: [requestTopic()], source });
    await settle();
    const error = new BrokerError('broker_error', 'wrong password');
    end(error);
    expect(worker.ended).toBe(error);
    expect(worker.deliveries[0]!.signal.aborted).toBe(true);
    expect(worker.told('interrupted')).toHaveLength(1);
  });
});
