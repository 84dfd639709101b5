import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import type { CreditLimiter } from '../../../src/limits/creditLimiter.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import { removeExpired } from '../../../src/postgres/ledger/removeExpired.ts';
import { postgresQuotaStore } from '../../../src/postgres/limits/postgresQuotaStore.ts';
import { quotaStoreContract } from '../../../src/testing/quotaStoreContract.ts';
import type { QuotaStoreUnderTest } from '../../../src/testing/quotaStoreContract.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';

const key = { provider: 'twelve-data', apiKey: 'some-api-key' };
const day = '2026-11-24';
const noon = Date.UTC(2026, 10, 24, 12);

async function open(): Promise<QuotaStoreUnderTest> {
  const database = track(await openTestDatabase({ migrated: true }));
  return {
    store: postgresQuotaStore({ database, ...key }),
    reopen: async () => postgresQuotaStore({ database, ...key }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

async function days(database: TestDatabase): Promise<unknown[]> {
  const table = sql.ident(database.ownSchema, 'quota_days');
  return database.pool.query(sql`select key, period, used::integer from ${table} order by key, period`);
}

describe('postgresQuotaStore', () => {
  for (const { name, run } of quotaStoreContract(open)) it(name, run);

  it('never goes beyond the limit when processes book and give back at once', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 10 }));
    const limit = 100;
    let [used, most] = [0, 0];
    const work = async (): Promise<void> => {
      const store = postgresQuotaStore({ database, ...key });
      for (let round = 0; round < 20; round += 1) {
        // Counted after the booking and before the giving back: never more than the table says.
        const booked = await store.book(day, 20, limit);
        used += booked;
        most = Math.max(most, used);
        const unused = Math.min(booked, 7);
        used -= unused;
        await store.giveBack(day, unused);
      }
    };
    await Promise.all(Array.from({ length: 10 }, work));

    expect(most).toBeLessThanOrEqual(limit);
    expect(await days(database)).toMatchObject([{ used }]);
  });

  it('tells keys and providers apart, whatever they look like, and stores no key', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const keys = [
      { provider: 'twelve-data', apiKey: `'; drop table quota_days; --` },
      { provider: 'twelve-data', apiKey: 'nul\0byte, €, \ud800' },
      { provider: 'twelve-data', apiKey: 'x'.repeat(10_000) },
      { provider: `it's "massive"\\`, apiKey: 'x' },
      { provider: 'twelve-data', apiKey: 'x' },
    ];
    for (const each of keys) {
      expect(await postgresQuotaStore({ database, ...each }).book(day, 8, 8)).toBe(8);
    }
    const rows = await days(database);
    expect(rows).toHaveLength(keys.length);
    for (const { apiKey } of keys.slice(0, 3)) expect(JSON.stringify(rows)).not.toContain(apiKey.slice(0, 9));
  });

  it('counts in each schema by itself', async () => {
    await using first = track(await openTestDatabase({ migrated: true }));
    await using second = track(await openTestDatabase({ migrated: true }));
    for (const database of [first, second]) {
      expect(await postgresQuotaStore({ database, ...key }).book(day, 8, 8)).toBe(8);
    }
  });

  it('refuses what is no number of credits', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const store = postgresQuotaStore({ database, ...key });
    for (const credits of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
      await expect(store.book(day, credits, 8)).rejects.toMatchObject({ code: 'options_invalid' });
      await expect(store.book(day, 8, credits)).rejects.toMatchObject({ code: 'options_invalid' });
      await expect(store.giveBack(day, credits)).rejects.toMatchObject({ code: 'options_invalid' });
    }
    expect(await days(database)).toEqual([]);
  });

  it('books nothing without the database, and says whether to try again', async () => {
    await using gone = track(connectDatabase({ url: 'postgres://nobody:secret@127.0.0.1:1/none' }));
    await using empty = track(await openTestDatabase());
    const away = postgresQuotaStore({ database: gone, ...key });
    for (const failing of [away.book(day, 1, 8), away.giveBack(day, 1)]) {
      await expect(failing).rejects.toMatchObject({ code: 'database_unavailable', retryable: true });
    }
    await expect(postgresQuotaStore({ database: empty, ...key }).book(day, 1, 8)).rejects.toMatchObject({
      code: 'database_not_ready',
      retryable: false,
    });
  });

  it('leaves the removal of what is over to removeExpired', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const store = postgresQuotaStore({ database, ...key });
    for (const period of ['2026-08', '2026-11', day]) await store.book(period, 8, 8);
    const table = sql.ident(database.ownSchema, 'quota_days');
    await database.pool.query(sql`update ${table} set booked_at = now() - interval '63 days' where period = '2026-08'`);
    await removeExpired({ database, retentionDays: 0 });
    expect(await days(database)).toMatchObject([{ period: '2026-11' }, { period: day }]);
  });

  it('carries a quota from one limiter to the next, whether that was stopped or died', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const { signal } = new AbortController();
    const start = () => {
      const store = postgresQuotaStore({ database, ...key });
      return creditLimiter({ credits: 1_000, quotas: [{ credits: 100, period: 'day', store }], now: () => noon });
    };
    const spend = (limiter: CreditLimiter, credits: number) =>
      limiter.run({ credits }, async (grant) => grant.credits, { signal });

    const stopped = start();
    expect(await spend(stopped, 30)).toBe(30);
    await stopped.stop();
    const died = start();
    expect(await spend(died, 1)).toBe(1);
    await using last = track(start());
    let used = 0;
    const spendAll = async (): Promise<void> => {
      for (;;) {
        await spend(last, 1);
        used += 1;
      }
    };
    await expect(spendAll()).rejects.toMatchObject({ code: 'quota_exhausted' });

    // What the one that died had booked and not used is lost: a block of at most 20.
    expect(used).toBeLessThanOrEqual(69);
    expect(used).toBeGreaterThanOrEqual(50);
    expect(await days(database)).toMatchObject([{ period: day, used: 100 }]);
  });
});
