import { Subject } from 'rxjs';
import { expect, it, vi } from 'vitest';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { limited } from '../../../src/limits/limited.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import type { MarketDataCompleted } from '../../../src/model/events/marketDataCompleted.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';
import type { WorkerEvent } from '../../../src/model/workerEvents.ts';
import { marketData } from '../../../src/pipelines/marketData.ts';
import { simulatedQuotes } from '../../../src/providers/simulated/simulatedQuotes.ts';
import { committed, deadLetters, groupId, message, openBroker, requestTopic, send } from './bench.ts';

const minuteMs = 60_000;

it('keeps a request of 40 minutes, of which each step makes progress or waits for credits, and answers it', async () => {
  vi.useFakeTimers();
  const broker = openBroker();
  const progress = new Subject<RunEvent>();
  const events: WorkerEvent[] = [];
  const sink = memorySink<Asset, Quote>();
  const limiter = creditLimiter({ credits: 8, windowMs: minuteMs });
  const provider = simulatedQuotes({ quota: { credits: 8, windowMs: minuteMs } });
  const answered: MarketDataCompleted[] = [];
  const subscription = fromRequests({
    source: broker.source({ groupId, topics: ['IN'] }),
    sink: broker.sink(),
    groupId,
    topics: [requestTopic({ ledger: sink.ledger, batchSize: 100 })],
    progress,
    events: { next: (event) => events.push(event) },
  })
    .pipe(marketData({ fetcher: limited(provider, limiter), sink, events: progress }))
    .subscribe((event) => answered.push(event));

  await send(broker, [message(...Array.from({ length: 320 }, (_, index) => `S${index}`))]);
  await vi.advanceTimersByTimeAsync(38 * minuteMs);
  expect(answered).toEqual([]);
  await vi.advanceTimersByTimeAsync(3 * minuteMs);

  expect(answered.map(({ status, totalBatches, assets }) => [status, totalBatches, assets?.length])).toEqual([
    ['complete', 4, 320],
  ]);
  expect(deadLetters(broker)).toEqual([]);
  expect(await committed(broker)).toEqual({ offset: 1n, announced: new Set() });
  expect(events.map(({ type }) => type)).toEqual(['partition-owned', 'request-accepted', 'request-announced']);
  subscription.unsubscribe();
  const stopping = limiter.stop();
  await vi.advanceTimersByTimeAsync(minuteMs);
  await stopping;
  expect(vi.getTimerCount()).toBe(0);
});
