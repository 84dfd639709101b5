import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import { SinkError } from '../../../src/model/errors.ts';
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

function open(sink = memorySink<Asset, Quote>()) {
  const broker = openBroker();
  const progress = new Subject<RunEvent>();
  const asking = fetcher();
  const answered: MarketDataCompleted[] = [];
  const requests = fromRequests({
    source: broker.source({ groupId, topics: ['IN'] }),
    sink: broker.sink(),
    groupId,
    topics: [requestTopic({ ledger: sink.ledger, batchSize: 2 })],
    progress,
  });
  const subscription = requests
    .pipe(marketData({ fetcher: asking, sink, events: progress, concurrency: 1 }))
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
