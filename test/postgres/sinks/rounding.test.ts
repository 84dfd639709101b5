// Issue 10, item 2: what the rounding of a column does to a price, and what of it may be told.
import { sql } from '@databases/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { IndexQuote, Quote } from '../../../src/model/records.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { openTestDatabase, shapes } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { emptyTables } from './emptyTables.ts';
import { asset, batchOf, call, index, indexQuote, months, ok, quote, range } from './samples.ts';

describe.each(shapes)('on shape %s', (shape) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape, migrated: true });
  });
  beforeEach(() => emptyTables(database));
  afterAll(() => database[Symbol.asyncDispose]());

  const shib = asset('SHIB', 'CRYPTO');
  const writeQuotes = (fields: Partial<Quote>, request = 'key') =>
    marketDataSink({ database }).write(
      batchOf([ok(shib, quote(shib, '100', fields)), ok(asset('Z'), quote(asset('Z'), '1'))], request),
      call,
    );
  const rowOf = async (table: string, symbol: string): Promise<Record<string, unknown> | undefined> => {
    const rows = await database.pool.query(
      sql`select * from ${sql.ident(database.schema, table)} where symbol = ${symbol}`,
    );
    return (rows as Record<string, unknown>[])[0];
  };

  describe('market_data', () => {
    // What the columns of the shape keep: S1 has six digits everywhere, S2 four for the price.
    const cases: [keyof Quote, string, number, string][] =
      shape === 'S1'
        ? [
            ['price', '0.00000042', 6, '0.000000'],
            ['high', '0.00000812', 6, '0.000008'],
            ['low', '0.0000004', 6, '0.000000'],
          ]
        : [
            ['price', '0.00000812', 4, '0.0000'],
            ['high', '0.00000812', 6, '0.000008'],
            ['low', '0.0000004', 6, '0.000000'],
          ];
    it.each(cases)('fails a %s of %s, and leaves its row as it was', async (field, value, scale, rounded) => {
      await writeQuotes({}, 'before');
      const before = await rowOf('market_data', 'SHIB');
      const { failed, stored } = await writeQuotes({ [field]: value });
      expect(failed.map((failure) => [failure.index, failure.error.code])).toEqual([[0, 'value_out_of_range']]);
      for (const seen of ['SHIB', `${field}:`, `${scale} digits`, value, rounded])
        expect(failed[0]!.error.message).toContain(seen);
      expect(stored?.[1]?.status).toBe('ok');
      expect(await rowOf('market_data', 'SHIB')).toEqual(before);
    });

    it('stores a price that rounding changes by 1 % at most, and fails one that it changes by more', async () => {
      const [up, down, beyond] =
        shape === 'S1' ? ['0.0000505', '0.0000494', '0.0000495'] : ['0.00505', '0.00494', '0.00495'];
      // S2: 0.00505 becomes 0.0051 (0.99 %), 0.00494 becomes 0.0049 (0.81 %), 0.00495 becomes 0.0050 (1.01 %).
      expect((await writeQuotes({ price: up }, 'up')).failed).toEqual([]);
      expect((await writeQuotes({ price: down }, 'down')).failed).toEqual([]);
      expect((await writeQuotes({ price: beyond }, 'beyond')).failed).toHaveLength(1);
    });

    it('stores a zero as it is', async () => {
      expect((await writeQuotes({ price: '0.00000000', high: '0', low: '-0.0000000' })).failed).toEqual([]);
      expect(Number((await rowOf('market_data', 'SHIB'))!['low'])).toBe(0);
    });

    it('rounds a change, to zero too', async () => {
      const { failed, stored } = await writeQuotes({ change: '-0.0000004', percentChange: '0.00004' });
      expect(failed).toEqual([]);
      const { change, percentChange } = (stored?.[0] as { value: Quote }).value;
      expect([change, percentChange]).toEqual(shape === 'S1' ? ['0.000000', '0.00004'] : ['0.000000', '0.0000']);
      expect(await rowOf('market_data', 'SHIB')).toMatchObject({ change, percent_change: percentChange });
    });

    it('tells the digits of the table, the first time, from the ledger, and when fresh', async () => {
      const digits = {
        price: '0.98765432125',
        change: '-0.12345675',
        percentChange: '-12.3456500',
        high: '1.00000049',
        low: '0.9',
      };
      const { stored } = await writeQuotes(digits);
      const told = (stored?.[0] as { value: Quote }).value;
      expect(told).toEqual({
        ...shib,
        price: shape === 'S1' ? '0.987654' : '0.9877',
        change: '-0.123457',
        percentChange: shape === 'S1' ? '-12.3456500' : '-12.3457',
        high: '1.000000',
        low: '0.900000',
      });
      const sink = marketDataSink({ database });
      expect((await sink.ledger.stored('key', 0))?.outcomes[0]).toMatchObject({ value: told });
      const [standing] = await sink.current([shib], call);
      expect((standing as { value: Quote }).value).toEqual(told);
    });
  });

  describe('market_data_monthly', () => {
    it.each(shape === 'S1' ? ['0.00000042'] : ['0.0067', '0.004'])(
      'fails a month of %s, and leaves the rows as they were',
      async (price) => {
        const [jpy, good] = [range('JPY/USD', '2024-01-31', '2024-02-29'), range('Z', '2024-01-31', '2024-01-31')];
        const sink = monthlyPriceSink({ database });
        await sink.write(batchOf([ok(jpy, months(jpy, { '2024-01-31': '1' }))]), call);
        const outcomes = [
          ok(jpy, months(jpy, { '2024-01-31': '2', '2024-02-29': price })),
          ok(good, months(good, { '2024-01-31': '0.00' })),
        ];
        const { failed, stored } = await sink.write(batchOf(outcomes, 'key'), call);
        expect(failed.map((failure) => [failure.index, failure.error.code])).toEqual([[0, 'value_out_of_range']]);
        for (const seen of ['JPY/USD', 'price of 2024-02-29', `${shape === 'S1' ? 6 : 2} digits`, price])
          expect(failed[0]!.error.message).toContain(seen);
        expect(stored?.map(({ status }) => status)).toEqual(['failed', 'ok']);
        expect(Number((await rowOf('market_data_monthly', 'JPY/USD'))!['price'])).toBe(1);
      },
    );

    it('stores a month that rounding hardly changes', async () => {
      const input = range('EUR/USD', '2024-01-31', '2024-01-31');
      const { failed } = await monthlyPriceSink({ database }).write(
        batchOf([ok(input, months(input, { '2024-01-31': '1.0849' }))]),
        call,
      );
      expect(failed).toEqual([]);
    });
  });

  describe('market_index_data', () => {
    it('tells the digits of the table, whatever the types of its columns', async () => {
      const value = indexQuote(index('^GSPC'), '0.00000812', {
        priceChange: '-0.12345678901234567890',
        percentChange: '0.0000000004',
        priceHigh: '12345.1000000000000001',
        priceLow: '0.0000001234567890123456789',
      });
      const sink = marketIndexSink({ database });
      const { failed, stored } = await sink.write(batchOf([ok(index('^GSPC'), value)], 'key'), call);
      expect(failed).toEqual([]);
      const told = (stored?.[0] as { value: IndexQuote }).value;
      const [standing] = await sink.current([index('^GSPC')], call);
      expect(told).toEqual((standing as { value: IndexQuote }).value);
      expect((await sink.ledger.stored('key', 0))?.outcomes[0]).toMatchObject({ value: told });
      if (shape === 'S1') expect(told).toEqual(value);
      else expect(told).toMatchObject({ priceChange: '-0.12345678901234568', priceHigh: '12345.1' });
    });
  });
});
