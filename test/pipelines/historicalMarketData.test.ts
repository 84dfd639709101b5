import { sql } from '@databases/pg';
import { lastValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { memoryBus } from '../../src/memory/memoryBus.ts';
import type { ProgressEvent } from '../../src/model/events/progress.ts';
import { parseHistoricalMarketDataRequest } from '../../src/model/requests/historicalMarketDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';
import { historicalMarketData } from '../../src/pipelines/historicalMarketData.ts';
import { monthlyPriceSink } from '../../src/postgres/sinks/monthlyPriceSink.ts';
import { twelveDataMonthly } from '../../src/providers/twelveDataMonthly.ts';
import { seriesBody, startMarketServer, twelveDataBody, unknownSymbol } from '../support/marketServer.ts';
import { openTestDatabase, shapes } from '../support/postgres.ts';
import { track } from '../support/track.ts';

const now = () => Date.parse('2026-11-24T10:00:00Z');
const newestFirst = ['2026-03-01', '2026-02-01', '2026-01-01'];

/** Twelve Data on loopback: every symbol was listed in January 2026, but for `LATE`, listed in March. */
async function startTwelveData() {
  return track(
    await startMarketServer(({ symbols }) => ({
      body: twelveDataBody(symbols, (symbol) => {
        if (symbol === 'NOPE') return unknownSymbol;
        return seriesBody(symbol, symbol === 'LATE' ? newestFirst.slice(0, 1) : newestFirst);
      }),
    })),
  );
}

describe.each(shapes)('historicalMarketData on tables of shape %s', (shape) => {
  const open = async () => {
    const database = track(await openTestDatabase({ shape, migrated: true }));
    const server = await startTwelveData();
    const progress = memoryBus<ProgressEvent>();
    const pipeline = historicalMarketData({
      fetcher: limited(
        twelveDataMonthly({ apiKey: 'k', baseUrl: server.baseUrl }),
        creditLimiter({ credits: 10_000, maxConcurrent: 1 }),
      ),
      sink: monthlyPriceSink({ database, provider: 'twelve-data' }),
      progress,
    });
    const run = (symbols: readonly string[], start_date = '2026-01-31', end_date = '2026-03-31') => {
      const assets = symbols.map((symbol) => ({ symbol, asset_type: 'STOCK' }));
      return lastValueFrom(
        fromRequest(
          parseHistoricalMarketDataRequest({ start_date, end_date, assets, requestId: 'client-1' }, { now }),
        ).pipe(pipeline),
      );
    };
    const rows = () =>
      database.pool.query(
        sql`select symbol, date::text, price::text from ${sql.ident(database.schema, 'market_data_monthly')} order by symbol, date`,
      );
    return {
      ...{ server, progress, run, rows },
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  };

  it('stores every month and answers with their number', async () => {
    await using opened = await open();
    const event = await opened.run(['AAPL', 'IBM']);
    expect(event).toMatchObject({
      ...{ status: 'complete', totalBatches: 1, totalAssets: 2, record_count: 6, asset_type: 'STOCK' },
      ...{ symbols: ['AAPL', 'IBM'], start_date: '2026-01-31', end_date: '2026-03-31' },
    });
    const rows = (await opened.rows()) as { symbol: string; date: string }[];
    expect(rows.map(({ symbol, date }) => `${symbol} ${date}`)).toEqual([
      ...['AAPL 2026-01-01', 'AAPL 2026-02-01', 'AAPL 2026-03-01'],
      ...['IBM 2026-01-01', 'IBM 2026-02-01', 'IBM 2026-03-01'],
    ]);
  });

  it('sends no call for the same request again, months before a listing included', async () => {
    await using opened = await open();
    await opened.run(['AAPL', 'LATE']);
    expect(opened.server.requests).toHaveLength(1);
    expect(await opened.run(['AAPL', 'LATE'])).toMatchObject({ status: 'complete', record_count: 4 });
    expect(opened.server.requests).toHaveLength(1);
  });

  it('asks from the first of the start month, and only for missing months', async () => {
    await using opened = await open();
    await opened.run(['AAPL'], '2026-01-31', '2026-02-28');
    await opened.run(['AAPL']);
    const dates = opened.server.requests.map(({ url }) => {
      const { searchParams } = new URL(url, 'http://localhost');
      return `${String(searchParams.get('start_date'))} ${String(searchParams.get('end_date'))}`;
    });
    expect(dates).toEqual(['2026-01-01 2026-02-28', '2026-03-01 2026-03-31']);
  });

  it('cuts the list into batches of 50, fails an unknown symbol alone and reports each batch', async () => {
    await using opened = await open();
    const symbols = Array.from({ length: 119 }, (_, index) => `S${String(index)}`);
    const event = await opened.run([...symbols, 'NOPE']);
    expect(event).toMatchObject({ status: 'partial', totalBatches: 3, totalAssets: 120, record_count: 357 });
    expect(event.failed).toMatchObject([{ symbol: 'NOPE', stage: 'fetch', reason: 'symbol_unknown' }]);
    const sizes = opened.server.requests.map((request) => request.symbols.length);
    expect(sizes.sort((a, b) => b - a)).toEqual([50, 50, 20]);
    const reported = opened.progress.events.toSorted((a, b) => a.batch - b.batch);
    expect(new Set(reported.map(({ requestId }) => requestId))).toEqual(new Set([event.requestId]));
    expect(reported.map(({ batch, totalBatches, ok, failed }) => [batch, totalBatches, ok, failed])).toEqual([
      [1, 3, 50, 0],
      [2, 3, 50, 0],
      [3, 3, 19, 1],
    ]);
  });
});
