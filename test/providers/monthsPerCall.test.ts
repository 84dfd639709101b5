import { describe, expect, it } from 'vitest';
import {
  creditLimiter,
  frankfurterMonthly,
  limited,
  massiveMonthly,
  twelveDataMonthly,
  type MonthlyPrices,
  type MonthlyRange,
  type Provider,
} from '../../src/index.ts';
import { loopbackServer, replay, type Handler } from './support/loopbackServer.ts';

const months = (from: string, to: string): string[] =>
  Array.from({ length: 24 }, (_, month) => new Date(Date.UTC(2024, month, 2, 5)).toISOString().slice(0, 10)).filter(
    (date) => date >= from && date <= to,
  );

const twelveData: Handler = (request, response) => {
  const query = new URL(request.url, 'http://x').searchParams;
  const values = months(query.get('start_date')!, query.get('end_date')!).map((datetime) => ({
    datetime,
    close: '1.5',
  }));
  const body = {
    meta: { symbol: 'EUR/USD', interval: '1month' },
    values,
    status: 'ok',
  };
  replay({ status: 200, body })(request, response);
};

const frankfurter: Handler = (request, response) => {
  const query = new URL(request.url, 'http://x').searchParams;
  const dates = months(query.get('from')!, query.get('to')!);
  replay({
    status: 200,
    body: dates.map((date) => ({ date, base: 'EUR', quote: 'USD', rate: 1.5 })),
  })(request, response);
};

const massive: Handler = (request, response) => {
  const [from = '', to = ''] = request.url.split(/[/?]/).slice(8, 10);
  const results = months(from, to).map((date) => ({
    c: 1.5,
    t: Date.parse(date),
  }));
  replay({ status: 200, body: { ticker: 'C:EURUSD', status: 'OK', results } })(request, response);
};

type Open = (baseUrl: string, maxResponseBytes: number) => Provider<MonthlyRange, MonthlyPrices>;
const now = () => Date.UTC(2026, 0, 1);
const range: MonthlyRange = {
  symbol: 'EUR/USD',
  assetType: 'FOREX',
  startDate: '2024-01-01',
  endDate: '2025-12-31',
};

// Issue 10, item 20: about a quarter of the range fits into an answer.
describe.each<[string, Handler, number, Open]>([
  [
    'twelveDataMonthly',
    twelveData,
    500,
    (baseUrl, maxResponseBytes) => twelveDataMonthly({ apiKey: 'k', baseUrl, maxResponseBytes }),
  ],
  [
    'frankfurterMonthly',
    frankfurter,
    700,
    (baseUrl, maxResponseBytes) => frankfurterMonthly({ baseUrl, maxResponseBytes }),
  ],
  [
    'massiveMonthly',
    massive,
    300,
    (baseUrl, maxResponseBytes) => massiveMonthly({ apiKey: 'k', baseUrl, now, maxResponseBytes }),
  ],
])('%s, where the answer about a range is too long', (_, handler, bytes, open) => {
  it('asks again for fewer months at a time, and pays for each', async () => {
    await using server = await loopbackServer(handler);
    const provider = open(server.baseUrl, bytes);
    expect(provider.cost([range])).toBe(1);
    const { signal } = new AbortController();
    const [fetched] = await limited(provider, creditLimiter({ credits: Infinity }), { random: () => 0 }).fetch(
      [range],
      { signal },
    );
    expect(fetched).toMatchObject({
      status: 'ok',
      value: { recordCount: 24 },
    });
    expect(provider.cost([range])).toBeGreaterThanOrEqual(3);
    expect(server.requests.length).toBeLessThan(12);
  });

  it('gives up where a month alone is too long', async () => {
    await using server = await loopbackServer(handler);
    const provider = open(server.baseUrl, 20);
    const { signal } = new AbortController();
    const fetcher = limited(provider, creditLimiter({ credits: Infinity }), {
      random: () => 0,
      maxRetries: 10,
    });
    const [fetched] = await fetcher.fetch([range], { signal });
    expect(fetched).toMatchObject({
      status: 'failed',
      error: { code: 'response_too_large', retryable: false },
    });
    expect(server.requests.length).toBeLessThan(12);
  });
});
