import { lastValueFrom } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { firstOf } from '../../src/limits/firstOf.ts';
import { limited } from '../../src/limits/limited.ts';
import { memorySink } from '../../src/memory/memorySink.ts';
import { ProviderError } from '../../src/model/errors.ts';
import { marketDataCompletedSchema, type MarketDataCompleted } from '../../src/model/events/marketDataCompleted.ts';
import { parseEvent, serializeEvent } from '../../src/model/events/serializeEvent.ts';
import type { Fetcher, Provider } from '../../src/model/ports.ts';
import type { Asset, Quote } from '../../src/model/records.ts';
import { parseMarketDataRequest } from '../../src/model/requests/marketDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';
import { marketData } from '../../src/pipelines/marketData.ts';

const start = Date.UTC(2026, 0, 1, 22, 0, 0);
const midnight = Date.UTC(2026, 0, 2);

beforeEach(() => {
  vi.useFakeTimers({ now: start });
});

const request = parseMarketDataRequest({
  assets: Array.from({ length: 250 }, (_, index) => ({ symbol: `S${String(index)}`, asset_type: 'STOCK' })),
});

/** A provider with a day's quota, which remembers who was paid for. */
function daily(creditsPerDay: number) {
  const paid: string[] = [];
  const provider: Provider<Asset, Quote> = {
    name: 'daily',
    maxBatchSize: 40,
    cost: (assets) => assets.length,
    fetch: async (assets) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const toMidnight = midnight - Date.now();
      if (toMidnight > 0 && paid.length + assets.length > creditsPerDay) {
        throw new ProviderError('quota_exhausted', 'daily: used up', { retryAfterMs: toMidnight });
      }
      paid.push(...assets.map(({ symbol }) => symbol));
      const rest = { percentChange: '0', change: '0', high: '1', low: '1' };
      return assets.map((asset) => ({ ...asset, price: '1', ...rest }));
    },
  };
  return { provider, paid };
}

async function run(
  fetcher: Fetcher<Asset, Quote>,
  sink: ReturnType<typeof memorySink<Asset, Quote>>,
  { ms = 10_000, deadlineMs = undefined as number | undefined } = {},
): Promise<MarketDataCompleted> {
  const pipeline = marketData({ fetcher, sink, deadlineMs });
  const completed = lastValueFrom(fromRequest(request, { key: 'run:1', ledger: sink.ledger }).pipe(pipeline));
  await vi.advanceTimersByTimeAsync(ms);
  return completed;
}

describe('a request whose quota is gone', () => {
  it.each(['the same fetcher', 'another process'])(
    'ends as partial, with the time it comes back, and goes on from there without paying twice, with %s',
    async (by) => {
      const { provider, paid } = daily(130);
      const limiter = creditLimiter({ credits: 10_000 });
      const fetcher = limited(provider, limiter);
      const sink = memorySink<Asset, Quote>();
      const first = await run(fetcher, sink);
      expect(first).toMatchObject({ status: 'partial', failed: [] });
      expect(first.assets?.length).toBe(paid.length);
      expect(first.skipped).toHaveLength(250 - paid.length);
      expect(paid.length).toBeGreaterThan(80);
      expect(new Set(first.skipped.map(({ reason }) => reason))).toEqual(new Set(['quota']));
      for (const { until } of first.skipped) {
        expect(Math.abs(Date.parse(until ?? '') - midnight)).toBeLessThan(1_000);
      }
      const received = marketDataCompletedSchema.parse(parseEvent(serializeEvent(first)));
      expect(received.skipped).toEqual(first.skipped);

      await vi.advanceTimersByTimeAsync(midnight - start);
      const again = by === 'the same fetcher' ? fetcher : limited(provider, creditLimiter({ credits: 10_000 }));
      const second = await run(again, sink);
      expect(second).toMatchObject({ status: 'complete', skipped: [], failed: [] });
      expect(second.assets).toHaveLength(250);
      expect(paid.toSorted()).toEqual(request.inputs.map(({ symbol }) => symbol).toSorted());
    },
  );

  it('is completed by another provider, if there is one', async () => {
    const [first, second] = [daily(130), daily(Infinity)];
    const fetchers = [first, second].map(({ provider }) => limited(provider, creditLimiter({ credits: 10_000 })));
    const event = await run(firstOf(...fetchers), memorySink());
    expect(event).toMatchObject({ status: 'complete', skipped: [], failed: [] });
    expect([...first.paid, ...second.paid].toSorted()).toEqual(request.inputs.map(({ symbol }) => symbol).toSorted());
  });
});

describe('a request with a deadline', () => {
  it('names what was not fetched by then, and has the rest stored', async () => {
    const { provider, paid } = daily(Infinity);
    const sink = memorySink<Asset, Quote>();
    const event = await run(limited(provider, creditLimiter({ credits: 40 })), sink, {
      ms: 200_000,
      deadlineMs: 90_000,
    });
    expect(event.status).toBe('partial');
    expect(event.processingTimeMs).toBe(90_000);
    expect(event.skipped).toHaveLength(170);
    expect(new Set(event.skipped.map(({ reason }) => reason))).toEqual(new Set(['deadline']));
    expect(sink.rows.size).toBe(80);
    expect(paid).toHaveLength(80);
  });
});
