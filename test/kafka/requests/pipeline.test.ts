import { Registry } from 'prom-client';
import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import { SinkError } from '../../../src/model/errors.ts';
import { recordMetrics, recordWorkerMetrics } from '../../../src/metrics/index.ts';
import type { MarketDataCompleted } from '../../../src/model/events/marketDataCompleted.ts';
import type { Fetched, Fetcher } from '../../../src/model/ports.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';
import { marketData } from '../../../src/pipelines/marketData.ts';
import {
  committed,
  completions,
  deadLetters,
  groupId,
  keyAt,
  message,
  openBroker,
  requestTopic,
  send,
  settle,
} from './bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const quote = (asset: Asset): Fetched<Quote> => ({
  status: 'ok',
  provider: 'test',
  receivedAtMs: performance.now(),
  value: { ...asset, price: '1', change: '0', percentChange: '0', high: '1', low: '1' },
});

/** Answers at once, but for symbols that begin with HANG: for those it waits until it is stopped. */
function fetcher(): Fetcher<Asset, Quote> & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    name: 'test',
    asked,
    async fetch(inputs, { signal }) {
      asked.push(...inputs.map(({ symbol }) => symbol));
      if (!inputs.some(({ symbol }) => symbol.startsWith('HANG'))) return inputs.map(quote);
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      return inputs.map(() => ({ status: 'skipped', reason: 'canceled' }));
    },
  };
}

function open(sink = memorySink<Asset, Quote>(), { registry = new Registry(), broker = openBroker() } = {}) {
  const progress = new Subject<RunEvent>();
  const asking = fetcher();
  const answered: MarketDataCompleted[] = [];
  const requests = fromRequests({
    source: broker.source({ groupId, topics: ['IN'] }),
    sink: broker.sink(),
    groupId,
    topics: [requestTopic({ ledger: sink.ledger, batchSize: 2 })],
    progress,
    events: recordWorkerMetrics({ registry, topics: [{ topic: 'IN', pipeline: 'market-data' }] }),
  });
  const observe = recordMetrics<Asset, Quote>({ registry, pipeline: 'market-data' });
  const subscription = requests
    .pipe(marketData({ fetcher: asking, sink, events: progress, concurrency: 1, observe }))
    .subscribe((event) => answered.push(event));
  return { broker, subscription, asked: asking.asked, answered };
}

describe('fromRequests and a pipeline', () => {
  it('answer what a hung provider did not, and let nobody else wait', async () => {
    const { broker, subscription, answered } = open();
    await send(broker, [message('A', 'B', 'HANG1', 'C', 'D'), message('E')]);
    await settle();
    expect(answered.map(({ requestId }) => requestId)).toEqual([keyAt(1)]);
    await vi.advanceTimersByTimeAsync(121_000);
    await settle();
    const [, hung] = answered;
    expect([hung?.requestId, hung?.status, hung?.assets?.map(({ symbol }) => symbol)]).toEqual([
      keyAt(0),
      'partial',
      ['A', 'B'],
    ]);
    expect(hung?.skipped.map(({ symbol, reason }) => `${symbol} ${reason}`)).toEqual([
      'HANG1 deadline',
      'C deadline',
      'D deadline',
    ]);
    expect(completions(broker).map(({ key }) => key)).toEqual([keyAt(1), keyAt(0)]);
    expect(deadLetters(broker).map(({ value }) => value)).toEqual([message('A', 'B', 'HANG1', 'C', 'D')]);
    expect(await committed(broker)).toEqual({ offset: 2n, announced: new Set() });
    subscription.unsubscribe();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('announce nothing of a database that is away, and everything once it is back', async () => {
    const sink = memorySink<Asset, Quote>();
    let isAway = true;
    const { broker, subscription, answered } = open({
      ...sink,
      write: async (batch, call) => {
        if (isAway) throw new SinkError('database_unavailable', 'the database is away', { retryable: true });
        return sink.write(batch, call);
      },
    });
    await send(broker, [message('A', 'B', 'C')]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect([answered.length, completions(broker).length]).toEqual([0, 0]);
    isAway = false;
    await vi.advanceTimersByTimeAsync(5_000);
    await settle();
    expect(answered.map(({ status, assets }) => [status, assets?.length])).toEqual([['complete', 3]]);
    expect(completions(broker)).toHaveLength(1);
    expect(deadLetters(broker)).toEqual([]);
    subscription.unsubscribe();
  });

  it('fetch nothing again that another worker has stored', async () => {
    const sink = memorySink<Asset, Quote>();
    const first = open(sink);
    await send(first.broker, [message('A', 'B', 'HANG1', 'C')]);
    await settle();
    first.subscription.unsubscribe();
    expect(first.asked).toEqual(['A', 'B', 'HANG1', 'C']);
    const second = open(sink);
    await send(second.broker, [message('A', 'B', 'HANG1', 'C')]);
    await settle();
    expect(second.asked).toEqual(['HANG1', 'C']);
    second.subscription.unsubscribe();
  });
});

// issue 10, item 4: what is in a completion event is in the metrics
describe('the metrics of a worker', () => {
  const countsIn = async (registry: Registry): Promise<Record<string, number>> => {
    const symbols = (await registry.getSingleMetric('fintrack_symbols_total')?.get())?.values ?? [];
    const failures = (await registry.getSingleMetric('fintrack_symbol_failures_total')?.get())?.values ?? [];
    const batches = (await registry.getSingleMetric('fintrack_batches_total')?.get())?.values ?? [];
    return Object.fromEntries([
      ...symbols.map(({ labels, value }) => [String(labels['outcome']), value] as const),
      ...failures.map(({ labels, value }) => [`${labels['stage']} ${labels['code']}`, value] as const),
      ...batches.map(({ value }) => ['batches', value] as const),
    ]);
  };

  it('count what was refused at acceptance once (field case 18)', async () => {
    const registry = new Registry();
    const { broker, subscription, answered } = open(memorySink<Asset, Quote>(), { registry });
    const assets = [{ symbol: 'A', asset_type: 'STOCK' }, { symbol: 'X' }, { symbol: 'B', asset_type: 'STOCK' }];
    await send(broker, [JSON.stringify({ assets })]);
    await settle();
    expect(answered.map(({ status }) => status)).toEqual(['partial']);
    const counts = { ok: 2, fresh: 0, failed: 1, skipped: 0, 'validate asset_type_unknown': 1, batches: 1 };
    expect(await countsIn(registry)).toEqual(counts);
    await send(broker, [JSON.stringify({ assets: [{ symbol: 'X' }, { symbol: 'Y' }] })]);
    await settle();
    expect(await countsIn(registry)).toEqual({ ...counts, failed: 3, 'validate asset_type_unknown': 3 });
    subscription.unsubscribe();
  });

  it('count what was refused once, however often its request is tried', async () => {
    const sink = memorySink<Asset, Quote>();
    let isAway = true;
    const registry = new Registry();
    const write: typeof sink.write = async (batch, call) => {
      if (isAway) throw new SinkError('database_unavailable', 'the database is away', { retryable: true });
      return sink.write(batch, call);
    };
    const { broker, subscription } = open({ ...sink, write }, { registry });
    await send(broker, [JSON.stringify({ assets: [{ symbol: 'A', asset_type: 'STOCK' }, { symbol: 'X' }] })]);
    await vi.advanceTimersByTimeAsync(10_000);
    isAway = false;
    await vi.advanceTimersByTimeAsync(5_000);
    await settle();
    expect(completions(broker)).toHaveLength(1);
    expect((await countsIn(registry))['validate asset_type_unknown']).toBe(1);
    subscription.unsubscribe();
  });

  it('count a request that no pipeline was given', async () => {
    const sink = memorySink<Asset, Quote>();
    const registry = new Registry();
    const ledger = {
      ...sink.ledger,
      accept: () => Promise.reject(new SinkError('request_conflict', 'another request has this key')),
    };
    const { broker, subscription } = open({ ...sink, ledger }, { registry });
    const assets = [{ symbol: 'A', asset_type: 'STOCK' }, { symbol: 'X' }];
    await send(broker, [JSON.stringify({ assets }), 'no request']);
    await settle();
    expect(
      completions(broker)
        .map(({ event }) => event.failed.length)
        .sort(),
    ).toEqual([0, 2]);
    expect(await countsIn(registry)).toEqual({
      ...{ ok: 0, fresh: 0, failed: 2, skipped: 0, batches: 0 },
      'validate request_conflict': 1,
      'validate asset_type_unknown': 1,
    });
    subscription.unsubscribe();
  });
});
