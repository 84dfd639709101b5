import { sql } from '@databases/pg';
import { lastValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Fetcher } from '../../src/model/ports.ts';
import type { MonthlyPrices, MonthlyRange } from '../../src/model/records.ts';
import { parseHistoricalMarketDataRequest } from '../../src/model/requests/historicalMarketDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';
import { historicalMarketData } from '../../src/pipelines/historicalMarketData.ts';
import { applyMigrations } from '../../src/postgres/migrate.ts';
import { migrations } from '../../src/postgres/migrations/index.ts';
import { monthlyPriceSink } from '../../src/postgres/sinks/monthlyPriceSink.ts';
import { openTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';

const monthsFromNow = (distance: number): string => {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + distance, 1)).toISOString().slice(0, 10);
};

/** Has the last year and nothing before it. */
function recentMonths(onCall: () => void): Fetcher<MonthlyRange, MonthlyPrices> {
  const dates = Array.from({ length: 12 }, (_, index) => monthsFromNow(index - 11));
  return {
    name: 'recent',
    fetch: async (inputs) => {
      onCall();
      return inputs.map(({ symbol, assetType, startDate, endDate }) => {
        const prices = dates
          .filter((date) => date >= startDate && date <= endDate)
          .map((date) => ({ date, price: '1.5' }));
        const value = { symbol, assetType, recordCount: prices.length, prices };
        return { status: 'ok', provider: 'recent', receivedAtMs: performance.now(), value };
      });
    },
  };
}

async function notesOf({ pool, ownSchema }: TestDatabase): Promise<{ rows: number; bytes: number }> {
  const [row] = (await pool.query(sql`
    select count(*)::integer as rows, pg_total_relation_size(${`${ownSchema}.fetched_months`}::regclass)::integer as bytes
    from ${sql.ident(ownSchema, 'fetched_months')}`)) as { rows: number; bytes: number }[];
  return row ?? { rows: 0, bytes: 0 };
}

/** How much the heap grows while something runs, at most, in MB. */
async function growthDuring(run: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().heapUsed;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().heapUsed)), 5);
  await run();
  clearInterval(timer);
  return (peak - before) / 1e6;
}

// issue 10, item 10 (field case 21)
describe('months that a provider does not have', () => {
  it('are one note a symbol: 400 symbols over a century take little memory and a small table, and are not asked again', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1', migrated: true, poolSize: 4 }));
    const assets = Array.from({ length: 400 }, (_, index) => ({ symbol: `S${index}`, asset_type: 'STOCK' }));
    const request = parseHistoricalMarketDataRequest({
      assets,
      start_date: monthsFromNow(-1_200),
      end_date: '9999-12-31',
    });
    let calls = 0;
    const fetcher = recentMonths(() => (calls += 1));
    const answer = () =>
      lastValueFrom(fromRequest(request).pipe(historicalMarketData({ fetcher, sink: monthlyPriceSink({ database }) })));
    const grown = await growthDuring(async () => {
      expect(await answer()).toMatchObject({ status: 'complete', totalAssets: 400, record_count: 4_800 });
    });
    expect(grown).toBeLessThan(150);
    const { rows, bytes } = await notesOf(database);
    // Each has a note on what is absent, and one on the running month.
    expect(rows).toBe(800);
    expect(bytes).toBeLessThan(5_000_000);
    const before = calls;
    expect(await answer()).toMatchObject({ status: 'complete', totalAssets: 400, record_count: 4_800 });
    expect(calls).toBe(before);
  }, 60_000);

  it('that were remembered before are kept, neighbors in one note', async () => {
    await using database = track(await openTestDatabase());
    const number = migrations.find(({ name }) => name === 'absent-ranges')?.number ?? 0;
    await applyMigrations(database, migrations.slice(0, number - 1));
    const months = sql.ident(database.ownSchema, 'fetched_months');
    await database.pool.query(sql`
      insert into ${months} (provider, symbol, asset_type, month, fetched_at, present)
      select 'p', symbol, 'STOCK', month::date, '2026-11-01', false
      from unnest(array['A', 'B']) as symbol, generate_series('2020-01-01'::timestamp, '2020-12-01', '1 month') as month
      where symbol = 'B' or month <> '2020-05-01';
      insert into ${months} values ('p', 'A', 'STOCK', '2020-05-01', '2026-11-02', true)`);
    await applyMigrations(database, migrations);
    expect(
      await database.pool.query(sql`
        select symbol, month, last_month as last, present from ${months} order by symbol, month`),
    ).toEqual([
      { symbol: 'A', month: '2020-01-01', last: '2020-04-01', present: false },
      { symbol: 'A', month: '2020-05-01', last: '2020-05-01', present: true },
      { symbol: 'A', month: '2020-06-01', last: '2020-12-01', present: false },
      { symbol: 'B', month: '2020-01-01', last: '2020-12-01', present: false },
    ]);
  });
});
