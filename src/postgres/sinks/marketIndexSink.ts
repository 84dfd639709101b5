import { defineOptions } from '../../model/defineOptions.ts';
import type { Decimal, IndexQuote, MarketIndex } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { retentionDaysSchema } from '../ledger/removeExpired.ts';
import { currentQuotes } from './currentQuotes.ts';
import { quoteTable } from './quoteTable.ts';
import type { QuoteTableOptions } from './quoteStatements.ts';
import { tableSink } from './tableSink.ts';
import type { TableSink } from './tableSink.ts';

export interface MarketIndexSinkOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** How many days after its last activity a request is removed from the ledger. Default: 7. */
  retentionDays?: number | undefined;
}

const resolveOptions = defineOptions<MarketIndexSinkOptions>('marketIndexSink')({
  database: databaseSchema,
  retentionDays: retentionDaysSchema,
});

/**
 * Writes quotes of market indexes to the table `market_index_data`, one row per symbol, with its ledger.
 *
 * It works as `marketDataSink` does: a batch and its ledger row in one transaction, bad rows apart, newer rows kept, and
 * rejects with a `SinkError` when the server stays away.
 *
 * @example
 * ```ts
 * import { connectDatabase, marketIndexSink } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const sink = marketIndexSink({ database });
 *
 * const input = { symbol: '^EXAMPLE' };
 * const value = { ...input, price: '6000.5', priceChange: '-12.25', percentChange: '-0.2', priceHigh: '6021', priceLow: 'NaN' };
 * const outcomes = [{ status: 'ok', input, value }] as const;
 * const { failed } = await sink.write({ index: 0, outcomes }, { signal: new AbortController().signal });
 * console.log(failed[0]?.error.message);
 * // market_index_data: ^EXAMPLE: price_low: expected a decimal, got "NaN"
 * ```
 */
export function marketIndexSink(options: MarketIndexSinkOptions): TableSink<MarketIndex, IndexQuote> {
  const { database, retentionDays } = resolveOptions(options);
  return tableSink({
    database,
    retentionDays,
    table: quoteTable(database, marketIndexData),
    maxSymbolLength: 10,
    current: currentQuotes(database, marketIndexData),
  });
}

const marketIndexData: QuoteTableOptions<MarketIndex, IndexQuote> = {
  name: 'market_index_data',
  key: [{ name: 'symbol', of: ({ symbol }) => symbol }],
  columns: [
    { name: 'price', of: ({ price }) => price },
    { name: 'percent_change', of: ({ percentChange }) => percentChange, signed: true },
    { name: 'price_change', of: ({ priceChange }) => priceChange, signed: true },
    { name: 'price_high', of: ({ priceHigh }) => priceHigh },
    { name: 'price_low', of: ({ priceLow }) => priceLow },
  ],
  valueOf: ({ symbol }, [price, percentChange, priceChange, priceHigh, priceLow]) => ({
    symbol,
    price,
    priceChange,
    percentChange,
    priceHigh,
    priceLow,
  }),
  codec: {
    encodeInput: ({ symbol }) => symbol,
    decodeInput: (json) => ({ symbol: json as string }),
    encodeValue: ({ price, priceChange, percentChange, priceHigh, priceLow }) => [
      price,
      priceChange,
      percentChange,
      priceHigh,
      priceLow,
    ],
    decodeValue: (json, { symbol }) => {
      const [price, priceChange, percentChange, priceHigh, priceLow] = json as [
        Decimal,
        Decimal,
        Decimal,
        Decimal,
        Decimal,
      ];
      return { symbol, price, priceChange, percentChange, priceHigh, priceLow };
    },
  },
};
