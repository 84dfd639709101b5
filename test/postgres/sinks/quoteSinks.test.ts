import { sql } from '@databases/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Quote } from '../../../src/model/records.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { openTestDatabase, shapes } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { emptyTables } from './emptyTables.ts';
import { asset, batchOf, call, index, indexQuote, ok, quote } from './samples.ts';

describe.each(shapes)('on shape %s', (shape) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape, migrated: true, poolSize: 4 });
  });
  beforeEach(() => emptyTables(database));
  afterAll(() => database[Symbol.asyncDispose]());

  const table = (name: string) => sql.ident(database.schema, name);
  const query = async <Row>(statement: ReturnType<typeof sql>): Promise<Row[]> =>
    (await database.pool.query(statement)) as Row[];
  const sequence = async (name: string): Promise<string> => {
    const [row] = await query<{ last: string }>(
      sql`select last_value::text as last from ${sql.ident(database.schema, `${name}_id_seq`)}`,
    );
    return row!.last;
  };

  describe('marketDataSink', () => {
    const writeQuotes = (quotes: readonly Quote[], fields: { receivedAtMs?: number } = {}) =>
      marketDataSink({ database }).write(
        batchOf(quotes.map((value) => ok(asset(value.symbol, value.assetType), value, fields))),
        call,
      );
    const prices = async () =>
      (
        await query<{ symbol: string; price: string }>(
          sql`select symbol, price::float8::text as price from ${table('market_data')} order by 1, 2`,
        )
      ).map(({ symbol, price }) => `${symbol} ${price}`);

    it('stores the provider’s digits, as far as the columns go', async () => {
      const value = quote(asset('AAPL'), '123456789.123456', {
        change: '-0.000001',
        percentChange: '-0.0001',
        high: '0',
      });
      expect((await writeQuotes([value])).failed).toEqual([]);
      const [standing] = await marketDataSink({ database }).current([asset('AAPL')], call);
      const price = shape === 'S1' ? '123456789.123456' : '123456789.1235';
      const percentChange = '-0.0001';
      expect(standing).toEqual({
        status: 'fresh',
        input: asset('AAPL'),
        value: {
          ...asset('AAPL'),
          price,
          change: '-0.000001',
          percentChange,
          high: '0.000000',
          low: '123456789.123456',
        },
      });
    });

    const bad: [string, Partial<Record<keyof Quote, unknown>>, string][] = [
      ['a price that is NaN', { price: 'NaN' }, 'value_invalid'],
      ['a price that is infinite', { price: 'Infinity' }, 'value_invalid'],
      ['a price that is null', { price: null }, 'value_invalid'],
      ['a price that is missing', { price: undefined }, 'value_invalid'],
      ['a price that is empty', { price: '' }, 'value_invalid'],
      ['a price that is a number', { price: 1.5 }, 'value_invalid'],
      ['a price in exponent form', { price: '1e30' }, 'value_invalid'],
      ['a price beyond the column', { price: '1'.padEnd(31, '0') }, 'value_out_of_range'],
      ['a price below zero', { price: '-0.01' }, 'value_out_of_range'],
      ['a change that is null', { change: null }, 'value_invalid'],
      ['a percentChange beyond every column', { percentChange: '1'.padEnd(20, '0') }, 'value_out_of_range'],
      ['a high beyond the column', { high: '1000000000' }, 'value_out_of_range'],
      ['a low rounded up beyond the column', { low: '999999999.9999995' }, 'value_out_of_range'],
      ['SQL for a price', { price: '1); drop table market_data; --' }, 'value_invalid'],
    ];
    it.each(bad)('fails %s alone, and leaves its row as it was', async (_name, fields, code) => {
      await writeQuotes([quote(asset('BAD'), '7')]);
      const values = [
        quote(asset('A'), '1'),
        { ...quote(asset('BAD'), '8'), ...fields } as Quote,
        quote(asset('Z'), '2'),
      ];
      const { failed, inserted } = await writeQuotes(values);
      expect(failed.map((failure) => [failure.index, failure.error.code])).toEqual([[1, code]]);
      expect(failed[0]!.error.message).toContain('BAD');
      expect(inserted).toBe(2);
      expect(await prices()).toEqual(['A 1', 'BAD 7', 'Z 2']);
    });

    it.each([
      ['eleven characters', 'ELEVENCHARS', 'symbol_too_long'],
      ['eleven characters of which one is a blank', '1234567890 ', 'symbol_too_long'],
      ['no characters', '', 'symbol_invalid'],
      ['a NUL', 'A\0B', 'symbol_invalid'],
      ['half a surrogate pair', 'A\ud800', 'symbol_invalid'],
    ])('refuses a symbol of %s, and fails it alone when it comes anyway', async (_name, symbol, code) => {
      const sink = marketDataSink({ database });
      expect(sink.refuse(asset(symbol))?.code).toBe(code);
      const request = `symbol ${symbol.length}`;
      const outcomes = [asset('A'), asset(symbol)].map((input) => ok(input, quote(input, '1')));
      const { failed, stored } = await sink.write(batchOf(outcomes, request), call);
      expect(failed.map((failure) => failure.error.code)).toEqual([code]);
      expect(stored?.[1]?.input).toEqual(asset(symbol));
      const again = await sink.ledger.stored(request, 0);
      expect(again?.outcomes[1]?.input).toEqual(asset(symbol));
      expect(await sink.current([asset('A'), asset(symbol)], call)).toMatchObject([
        { status: 'fresh' },
        { status: 'pending' },
      ]);
    });

    it('counts characters and not their halves', async () => {
      const symbol = '😀'.repeat(10);
      expect(marketDataSink({ database }).refuse(asset(symbol))).toBeUndefined();
      expect(await writeQuotes([quote(asset(symbol), '1')])).toMatchObject({ inserted: 1, failed: [] });
    });

    it('finds the rows that only the database refuses, and writes all others', async () => {
      await database.pool.query(
        sql`alter table ${table('market_data')} add constraint odd check (symbol not like '%7')`,
      );
      try {
        const values = Array.from({ length: 100 }, (_, row) => quote(asset(`S${String(row).padStart(2, '0')}`), '1'));
        const { failed, inserted, transactions } = await writeQuotes(values);
        expect(failed.map((failure) => failure.index)).toEqual([7, 17, 27, 37, 47, 57, 67, 77, 87, 97]);
        expect(failed[0]!.error).toMatchObject({
          code: 'row_rejected',
          message: expect.stringContaining('S07') as string,
        });
        expect([inserted, transactions]).toEqual([90, 1]);
      } finally {
        await database.pool.query(sql`alter table ${table('market_data')} drop constraint odd`);
      }
    });

    it('notices that a column has become narrower', async () => {
      const sink = marketDataSink({ database });
      await sink.write(batchOf([ok(asset('A'), quote(asset('A'), '1'))]), call);
      await database.pool.query(sql`alter table ${table('market_data')} alter high type numeric(4,2)`);
      try {
        const values = [quote(asset('B'), '1', { high: '123' }), quote(asset('C'), '1')];
        const { failed, inserted } = await sink.write(
          batchOf(values.map((value) => ok(asset(value.symbol), value))),
          call,
        );
        expect(failed.map((failure) => [failure.index, failure.error.code])).toEqual([[0, 'value_out_of_range']]);
        expect(inserted).toBe(1);
      } finally {
        await database.pool.query(sql`alter table ${table('market_data')} alter high type numeric(15,6)`);
      }
    });

    it('moves updated_at with every write, and takes no new identity', async () => {
      const read = () =>
        query<{ updated_at: string; id: string }>(sql`select updated_at, id::text as id from ${table('market_data')}`);
      await writeQuotes([quote(asset('A'), '1')]);
      const [[before], last] = [await read(), await sequence('market_data')];
      expect(await writeQuotes([quote(asset('A'), '1')])).toMatchObject({ inserted: 0, updated: 1, unchanged: 0 });
      const [after] = await read();
      expect(after!.updated_at > before!.updated_at).toBe(true);
      expect(after!.id).toBe(before!.id);
      expect(await sequence('market_data')).toBe(last);
    });

    it('dates a row by when its response came, in UTC', async () => {
      await writeQuotes([quote(asset('A'), '1')], { receivedAtMs: performance.now() - 3_600_000 });
      const [row] = await query<{ age: number }>(
        sql`select extract(epoch from (now() at time zone 'UTC') - updated_at)::float8 as age from ${table('market_data')}`,
      );
      expect(Math.abs(row!.age - 3600)).toBeLessThan(60);
    });

    it('keeps a row that is newer, and replaces one that has no time or one in the future', async () => {
      await writeQuotes([quote(asset('A'), '1')]);
      expect(await writeQuotes([quote(asset('A'), '2')], { receivedAtMs: performance.now() - 60_000 })).toMatchObject({
        updated: 0,
        unchanged: 1,
      });
      expect(await prices()).toEqual(['A 1']);
      const future = sql`(now() at time zone 'UTC') + interval '2 minutes'`;
      for (const time of [sql`null`, future]) {
        await database.pool.query(sql`update ${table('market_data')} set updated_at = ${time}`);
        expect(await writeQuotes([quote(asset('A'), '2')], { receivedAtMs: performance.now() - 60_000 })).toMatchObject(
          { updated: 1 },
        );
      }
    });

    it('answers as fresh what is young enough, by symbol and type', async () => {
      await writeQuotes([quote(asset('A'), '1'), quote(asset('A', 'CRYPTO'), '2')]);
      const sink = marketDataSink({ database });
      const set = (time: ReturnType<typeof sql>) =>
        database.pool.query(sql`update ${table('market_data')} set updated_at = ${time} where asset_type = 'STOCK'`);
      const utc = sql`(now() at time zone 'UTC')`;
      const states = async () =>
        (await sink.current([asset('A'), asset('A', 'CRYPTO'), asset('A', 'FOREX'), asset('A')], call)).map(
          ({ status }) => status,
        );
      expect(await states()).toEqual(['fresh', 'fresh', 'pending', 'fresh']);
      for (const time of [sql`${utc} - interval '46 s'`, sql`${utc} + interval '90 s'`, sql`null`]) {
        await set(time);
        expect(await states()).toEqual(['pending', 'fresh', 'pending', 'pending']);
      }
      await set(sql`${utc} + interval '30 s'`);
      expect(await states()).toEqual(['fresh', 'fresh', 'pending', 'fresh']);
      const anyAge = { ...call, maxAgeMs: Number.MAX_SAFE_INTEGER };
      expect(await sink.current([asset('A')], anyAge)).toMatchObject([{ status: 'fresh' }]);
      expect(await sink.current([asset('A')], { ...call, maxAgeMs: 0 })).toMatchObject([{ status: 'pending' }]);
      await database.pool.query(sql`update ${table('market_data')} set high = null`);
      expect(await states()).toEqual(['pending', 'pending', 'pending', 'pending']);
    });

    it('writes batches in opposite orders at the same time without a deadlock', async () => {
      await using own = track(await openTestDatabase({ shape, ownDatabase: true, poolSize: 4 }));
      const [name] = (await own.pool.query(sql`select current_database() as name`)) as { name: string }[];
      const outcomes = Array.from({ length: 300 }, (_, row) => asset(`S${row}`)).map((input) =>
        ok(input, quote(input, '1')),
      );
      const shuffled = [...outcomes].sort((a, b) => (a.input.symbol.slice(-1) < b.input.symbol.slice(-1) ? -1 : 1));
      const sink = marketDataSink({ database: own });
      for (let round = 0; round < 8; round += 1) {
        const orders = [outcomes, [...outcomes].reverse(), shuffled, outcomes.slice(50)];
        const results = await Promise.all(orders.map((order) => sink.write(batchOf(order), call)));
        expect(results.flatMap(({ failed }) => failed)).toEqual([]);
      }
      // A connection that is closed has reported what it counted.
      await own.close();
      const counted = await query<{ deadlocks: string }>(
        sql`select deadlocks::text as deadlocks from pg_stat_database where datname = ${name!.name}`,
      );
      expect(counted).toEqual([{ deadlocks: '0' }]);
    });

    it('plans a statement once for each connection', async () => {
      await using single = track(await openTestDatabase({ shape, poolSize: 1 }));
      const sink = marketDataSink({ database: single });
      for (let round = 0; round < 3; round += 1)
        await sink.write(batchOf([ok(asset('A'), quote(asset('A'), '1'))]), call);
      const rows: unknown[] = await single.pool.query(
        sql`select name from pg_prepared_statements where statement like '%as stored%'`,
      );
      expect(rows).toHaveLength(1);
    });
  });

  describe('marketIndexSink', () => {
    const write = (values: ReturnType<typeof indexQuote>[]) =>
      marketIndexSink({ database }).write(batchOf(values.map((value) => ok(index(value.symbol), value))), call);

    it('stores and answers the digits of both shapes', async () => {
      const value = indexQuote(index('^GSPC'), '6001.25', {
        priceChange: '-12.5',
        percentChange: '0.0000001',
        priceLow: '0.00001',
      });
      expect(await write([value])).toMatchObject({ inserted: 1, failed: [] });
      const standings = await marketIndexSink({ database }).current([index('^GSPC'), index('^NDX')], call);
      expect(standings).toEqual([
        { status: 'fresh', input: index('^GSPC'), value },
        { status: 'pending', input: index('^NDX') },
      ]);
    });

    it.each([
      ['priceChange', 'NaN'],
      ['percentChange', ''],
      ['priceHigh', '1'.padEnd(17, '0')],
      ['price', '1'.padEnd(31, '0')],
      ['price', '-1'],
    ])('fails a bad %s, %s, alone', async (field, seen) => {
      const { failed, inserted } = await write([
        indexQuote(index('^BAD'), '1', { [field]: seen }),
        indexQuote(index('^NDX'), '2'),
      ]);
      expect([failed.map((failure) => failure.index), inserted]).toEqual([[0], 1]);
    });

    it('does not take for fresh what somebody else stored as text', async () => {
      await write([indexQuote(index('^GSPC'), '1')]);
      if (shape === 'S1')
        await database.pool.query(sql`update ${table('market_index_data')} set percent_change = 'NaN'`);
      else await database.pool.query(sql`update ${table('market_index_data')} set percent_change = 'n/a'`);
      const [standing] = await marketIndexSink({ database }).current([index('^GSPC')], call);
      expect(standing?.status).toBe('pending');
    });
  });
});
