// Issue 10, item 24: two processes hold one batch with different values, as an owner and its successor may.
import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import type { WriteResult } from '../../../src/model/ports.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { openTestDatabase, shapes } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { waitingForLocks } from './lockWaits.ts';
import { asset, batchOf, call, index, indexQuote, months, ok, quote, range } from './samples.ts';

/** A sink with what tells whose value it holds: a price, or for months how many there are. */
interface Racer {
  readonly table: string;
  /** Writes the symbols, each with the value of a writer, 1 or 2 (0: what was there before). */
  write(
    database: Database,
    symbols: readonly string[],
    writer: number,
    request?: string,
  ): Promise<WriteResult<unknown, unknown>>;
  /** The writer whose value the ledger has of each symbol. */
  ledger(database: Database): Promise<unknown[]>;
  readonly writerOf: (outcome: unknown) => unknown;
}

const quoteWriter = (outcome: unknown): unknown => {
  const { status, value } = outcome as { status: string; value?: { price: string } };
  return value === undefined ? status : Number(value.price);
};
const monthsWriter = (outcome: unknown): unknown => {
  const { status, value } = outcome as { status: string; value?: { recordCount: number } };
  return value === undefined ? status : value.recordCount;
};

const racers: readonly Racer[] = [
  {
    table: 'market_data',
    write: (database, symbols, writer, request) => {
      const outcomes = symbols.map((symbol) => ok(asset(symbol), quote(asset(symbol), String(writer))));
      return marketDataSink({ database }).write(batchOf(outcomes, request), call);
    },
    ledger: async (database) =>
      (await marketDataSink({ database }).ledger.stored('race', 0))!.outcomes.map(quoteWriter),
    writerOf: quoteWriter,
  },
  {
    table: 'market_index_data',
    write: (database, symbols, writer, request) => {
      const outcomes = symbols.map((symbol) => ok(index(symbol), indexQuote(index(symbol), String(writer))));
      return marketIndexSink({ database }).write(batchOf(outcomes, request), call);
    },
    ledger: async (database) =>
      (await marketIndexSink({ database }).ledger.stored('race', 0))!.outcomes.map(quoteWriter),
    writerOf: quoteWriter,
  },
  {
    table: 'market_data_monthly',
    write: (database, symbols, writer, request) => {
      const prices = { '2024-01-31': String(writer), ...(writer === 2 && { '2024-02-29': '2' }) };
      const inputs = symbols.map((symbol) => range(symbol, '2024-01-31', '2024-02-29'));
      const outcomes = inputs.map((input) => ok(input, months(input, prices)));
      return monthlyPriceSink({ database }).write(batchOf(outcomes, request), call);
    },
    ledger: async (database) =>
      (await monthlyPriceSink({ database }).ledger.stored('race', 0))!.outcomes.map(monthsWriter),
    writerOf: monthsWriter,
  },
];

describe.each(shapes)('on shape %s', (shape) => {
  describe.each(racers)('$table', ({ table, write, ledger, writerOf }) => {
    it.each([
      ['the one statement', ['B']],
      ['the careful path, for the sake of a row that the database refuses', ['A', 'B']],
    ])('tells one winner in table, ledger and event, by %s', async (_path, symbols) => {
      await using database = track(await openTestDatabase({ shape, migrated: true, poolSize: 6 }));
      const { url, schema, ownSchema, pool } = database;
      const target = sql.ident(schema, table);
      await write(database, ['B'], 0);
      await pool.query(sql`alter table ${target} add constraint not_a check (symbol <> 'A')`);

      await using third = track(connectDatabase({ url, schema, ownSchema }));
      const { first, second } = await third.pool.tx(async (transaction) => {
        await transaction.query(sql`select from ${target} where symbol = 'B' for update`);
        const first = write(database, symbols, 1, 'race');
        await waitingForLocks(database, 1);
        const second = write(database, symbols, 2, 'race');
        await waitingForLocks(database, 2);
        return { first, second };
      });

      const expected = symbols.map((symbol) => (symbol === 'A' ? 'failed' : 1));
      const told = (await Promise.all([first, second])).map(({ stored }) => stored?.map(writerOf));
      expect(told).toEqual([expected, expected]);
      expect(await ledger(database)).toEqual(expected);
      expect(await pool.query(sql`select max(price::float8) as writer from ${target} where symbol = 'B'`)).toEqual([
        { writer: 1 },
      ]);
    });
  });
});
