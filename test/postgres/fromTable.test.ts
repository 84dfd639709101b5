import { sql } from '@databases/pg';
import { firstValueFrom, lastValueFrom, map, take, tap, toArray } from 'rxjs';
import type { Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { mergeMapBounded } from '../../src/flow/mergeMapBounded.ts';
import { fromTable } from '../../src/postgres/fromTable.ts';
import { administrate, openTestDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { deferred } from '../support/deferred.ts';
import { track } from '../support/track.ts';

type Pair = readonly [symbol: string | null, assetType: string | null];

async function openWatchlist(...pairs: Pair[]): Promise<TestDatabase> {
  const database = await openTestDatabase({ shape: 'S1' });
  const watchlist = sql.ident(database.schema, 'watchlist');
  await database.pool.query(sql`create table ${watchlist} (symbol text, asset_type text, note text)`);
  await database.pool.query(sql`
    insert into ${watchlist}
    select * from unnest(${pairs.map(([symbol]) => symbol)}::text[], ${pairs.map(([, type]) => type)}::text[])`);
  return database;
}

const numbered = (count: number): Pair[] =>
  Array.from({ length: count }, (_, index) => [`S${String(index).padStart(5, '0')}`, 'STOCK']);

const all = <Item>(items: Observable<Item>): Promise<Item[]> => lastValueFrom(items.pipe(toArray()));

describe('fromTable', () => {
  it('reads assets in the order of symbol and type', async () => {
    await using database = track(await openWatchlist(['MSFT', 'STOCK'], ['BTC', 'CRYPTO'], ['BTC', 'COMMODITY']));
    expect(await all(fromTable({ database, table: 'watchlist' }))).toEqual([
      { symbol: 'BTC', assetType: 'COMMODITY' },
      { symbol: 'BTC', assetType: 'CRYPTO' },
      { symbol: 'MSFT', assetType: 'STOCK' },
    ]);
  });

  it('completes at once for an empty table', async () => {
    await using database = track(await openWatchlist());
    expect(await all(fromTable({ database, table: 'watchlist' }))).toEqual([]);
  });

  it('reads every row once, whatever the page holds', async () => {
    const pairs = numbered(10).flatMap(([symbol]): Pair[] => [
      [symbol, 'STOCK'],
      [symbol, 'CRYPTO'],
    ]);
    await using database = track(await openWatchlist(...pairs));
    for (const pageSize of [1, 2, 7, 10, 20, 21]) {
      const assets = await all(fromTable({ database, table: 'watchlist', pageSize }));
      expect(assets).toHaveLength(20);
      expect(new Set(assets.map(({ symbol, assetType }) => `${symbol} ${assetType}`)).size).toBe(20);
    }
  });

  it('reads each key once, wherever a page ends', async () => {
    const pairs: Pair[] = ['A', 'A', 'A', 'B', 'B'].map((symbol) => [symbol, 'STOCK']);
    await using database = track(await openWatchlist(...pairs));
    for (const pageSize of [1, 2, 3, 1000]) {
      const assets = await all(fromTable({ database, table: 'watchlist', pageSize }));
      expect(assets.map(({ symbol }) => symbol)).toEqual(['A', 'B']);
    }
  });

  it('lets values through that fail downstream as the one item they are', async () => {
    await using database = track(await openWatchlist(['', 'STOCK'], ['A', 'ETF'], ['TOOLONGASYMBOL', 'STOCK']));
    expect(await all(fromTable({ database, table: 'watchlist' }))).toEqual([
      { symbol: '', assetType: 'STOCK' },
      { symbol: 'A', assetType: 'ETF' },
      { symbol: 'TOOLONGASYMBOL', assetType: 'STOCK' },
    ]);
  });

  it.each<Pair>([
    [null, 'STOCK'],
    ['A', null],
  ])('fails before the first item when there is a row (%s, %s)', async (symbol, assetType) => {
    await using database = track(await openWatchlist(['AAPL', 'STOCK'], [symbol, assetType]));
    const seen: unknown[] = [];
    const failing = all(fromTable({ database, table: 'watchlist' }).pipe(tap((asset) => seen.push(asset))));
    await expect(failing).rejects.toMatchObject({
      name: 'SinkError',
      code: 'value_invalid',
      message:
        'fromTable: table "watchlist" has rows without symbol or asset_type: fill them in, or leave them out with a query',
    });
    expect(seen).toEqual([]);
  });

  it('reads a query, with values of its own', async () => {
    await using database = track(await openWatchlist(...numbered(50), ['BTC', 'CRYPTO'], [null, 'STOCK']));
    const query = sql`
      select symbol, asset_type from ${sql.ident(database.schema, 'watchlist')}
      where asset_type = ${'STOCK'} and symbol > ${'S00044'} order by note`;
    const assets = await all(fromTable({ database, query, pageSize: 2 }));
    expect(assets.map(({ symbol }) => symbol)).toEqual(['S00045', 'S00046', 'S00047', 'S00048', 'S00049']);
  });

  it('makes items of other rows, by keys of other types', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    const query = sql`
      select date '2026-01-01' + i as day, i::bigint as "big number", i::numeric / 4 as price from generate_series(1, 12) as i`;
    const prices = fromTable({
      database,
      query,
      key: ['day', 'big number', 'price'],
      toItem: ({ day, price }) => `${String(day)} ${String(price).slice(0, 4)}`,
      pageSize: 5,
    });
    const items = await all(prices);
    expect(items).toHaveLength(12);
    expect(items[0]).toBe('2026-01-02 0.25');
    expect(items.at(-1)).toBe('2026-01-13 3.00');
  });

  it('quotes names of any kind', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    const [table, column] = [`it's "a" table; --`, `select "from"`];
    await database.pool.query(sql`create table ${sql.ident(database.schema, table)} (${sql.ident(column)} text)`);
    await database.pool.query(sql`insert into ${sql.ident(database.schema, table)} values ('^GSPC'), ('GC=F')`);
    const symbols = fromTable({ database, table, key: [column], toItem: (row) => row[column], pageSize: 1 });
    expect((await all(symbols)).sort()).toEqual(['GC=F', '^GSPC']);
  });

  it('reads on when a connection is cut between two pages', async () => {
    await using database = track(await openWatchlist(...numbered(30)));
    const symbols = fromTable({ database, table: 'watchlist', pageSize: 10 }).pipe(
      mergeMapBounded(
        async ({ symbol }, index) => {
          if (index === 5)
            await administrate(
              `select pg_terminate_backend(pid) from pg_stat_activity where query like '%${database.schema}%' and pid <> pg_backend_pid()`,
            );
          return symbol;
        },
        { concurrency: 1 },
      ),
    );
    expect(await all(symbols)).toHaveLength(30);
  });

  it('reads the next page when there is room for it, and no more', async () => {
    await using database = track(await openWatchlist(...numbered(100)));
    const held = deferred();
    let made = 0;
    let running = 0;
    const reached = deferred();
    const reading = all(
      fromTable({
        database,
        table: 'watchlist',
        key: ['symbol'],
        toItem: ({ symbol }) => {
          made += 1;
          return symbol;
        },
        pageSize: 10,
      }).pipe(
        mergeMapBounded(
          async (symbol) => {
            if ((running += 1) === 5) reached.resolve();
            await held.promise;
            return symbol;
          },
          { concurrency: 5, prefetch: 0 },
        ),
      ),
    );
    await reached.promise;
    await database.pool.query(sql`select 1`);
    expect(made).toBe(10);
    held.resolve();
    expect(await reading).toHaveLength(100);
  });

  it('reads nothing more after unsubscribing', async () => {
    await using database = track(await openWatchlist(...numbered(100)));
    let made = 0;
    const items = fromTable({
      database,
      table: 'watchlist',
      key: ['symbol'],
      toItem: ({ symbol }) => {
        made += 1;
        return symbol;
      },
      pageSize: 10,
    });
    expect(await all(items.pipe(take(3)))).toHaveLength(3);
    await database.pool.query(sql`select 1`);
    expect(made).toBe(10);
  });

  it('may be subscribed to again', async () => {
    await using database = track(await openWatchlist(...numbered(3)));
    const assets = fromTable({ database, table: 'watchlist' });
    expect(await all(assets)).toEqual(await all(assets));
  });

  it('passes an error of toItem on as it is', async () => {
    await using database = track(await openWatchlist(['A', 'STOCK']));
    const items = fromTable({
      database,
      table: 'watchlist',
      key: ['symbol'],
      toItem: (): string => {
        throw new RangeError('a bug in toItem');
      },
    });
    await expect(all(items)).rejects.toThrow(new RangeError('a bug in toItem'));
  });

  it('says which table is not there', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    await expect(all(fromTable({ database, table: 'watchlist' }))).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringContaining(`relation "${database.schema}.watchlist" does not exist`) as string,
    });
  });

  it('says which column is not there', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    await expect(all(fromTable({ database, table: 'market_index_data' }))).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringContaining('column "asset_type" does not exist') as string,
    });
  });

  it('refuses options that contradict each other, before anything is read', async () => {
    await using database = track(await openTestDatabase());
    const either = 'fromTable: expected either table, with or without schema, or query';
    expect(() => fromTable({ database })).toThrow(either);
    expect(() => fromTable({ database, table: 'a', query: sql`select 1` })).toThrow(either);
    expect(() => fromTable({ database, schema: 'a', query: sql`select 1` })).toThrow(either);
    expect(() => fromTable({ database, table: 'a', pageSize: 0 })).toThrow('fromTable: pageSize: ');
    expect(() => fromTable({ database, query: 'select 1' as never })).toThrow('expected a statement made with sql');
    expect(() => fromTable({ database: {} as never, table: 'a' })).toThrow('fromTable: database: ');
  });

  it('works with plain operators of RxJS', async () => {
    await using database = track(await openWatchlist(['A', 'STOCK'], ['B', 'STOCK']));
    const symbols = fromTable({ database, table: 'watchlist' }).pipe(map(({ symbol }) => symbol));
    expect(await firstValueFrom(symbols)).toBe('A');
  });
});
