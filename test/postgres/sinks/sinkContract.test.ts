import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Asset, IndexQuote, MarketIndex, MonthlyPrices, MonthlyRange, Quote } from '../../../src/model/records.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { sinkContract } from '../../../src/testing/sinkContract.ts';
import type { SinkUnderTest } from '../../../src/testing/sinkContract.ts';
import { openTestDatabase, shapes } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { emptyTables } from './emptyTables.ts';
import { asset, index, indexQuote, months, quote, range } from './samples.ts';

const symbols = ['A', 'BRK.B', 'EUR/USD', '"NULL"\\'];

// The database is opened once, and emptied for each case.
type Fields<I, T> = Omit<SinkUnderTest<I, T>, typeof Symbol.asyncDispose>;

const marketData = (database: TestDatabase): Fields<Asset, Quote> => ({
  sink: marketDataSink({ database }),
  inputs: symbols.map((symbol) => asset(symbol)),
  valueOf: (input, version) => quote(input, `${version}.5`),
  badValueOf: (input) => quote(input, 'NaN'),
  refused: asset('ELEVENCHARS'),
});

const marketIndex = (database: TestDatabase): Fields<MarketIndex, IndexQuote> => ({
  sink: marketIndexSink({ database }),
  inputs: symbols.map((symbol) => index(symbol)),
  valueOf: (input, version) => indexQuote(input, `${version}.5`),
  badValueOf: (input) => indexQuote(input, '-1'),
  refused: index('ELEVENCHARS'),
});

const monthlyPrices = (database: TestDatabase): Fields<MonthlyRange, MonthlyPrices> => ({
  sink: monthlyPriceSink({ database }),
  inputs: symbols.map((symbol) => range(symbol, '2024-01-31', '2024-02-29')),
  valueOf: (input, version) => months(input, { '2024-01-31': `${version}`, '2024-02-29': `${version}.25` }),
  badValueOf: (input) => months(input, { '2024-01-31': '1', '2024-02-29': '1e30' }),
  refused: range('BAD', '2024-02-30', '2024-03-31'),
});

describe.each(shapes)('on shape %s', (shape) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape, migrated: true });
  });
  afterAll(() => database[Symbol.asyncDispose]());

  function contractOf<I, T>(fields: (database: TestDatabase) => Fields<I, T>): void {
    const open = async (): Promise<SinkUnderTest<I, T>> => {
      await emptyTables(database);
      return { ...fields(database), [Symbol.asyncDispose]: () => Promise.resolve() };
    };
    for (const { name, run } of sinkContract(open)) it(name, run);
  }

  describe('marketDataSink', () => {
    contractOf(marketData);
  });
  describe('marketIndexSink', () => {
    contractOf(marketIndex);
  });
  describe('monthlyPriceSink', () => {
    contractOf(monthlyPrices);
  });
});
