import { defineOptions } from '../../model/defineOptions.ts';
import type { Asset, AssetType, Decimal, Quote } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { retentionDaysSchema } from '../ledger/removeExpired.ts';
import { currentQuotes } from './currentQuotes.ts';
import { quoteTable } from './quoteTable.ts';
import type { QuoteTableOptions } from './quoteStatements.ts';
import { tableSink } from './tableSink.ts';
import type { TableSink } from './tableSink.ts';

export interface MarketDataSinkOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** How many days after its last activity a request is removed from the ledger. Default: 7. */
  retentionDays?: number | undefined;
}

const resolveOptions = defineOptions<MarketDataSinkOptions>('marketDataSink')({
  database: databaseSchema,
  retentionDays: retentionDaysSchema,
});

/**
 * Writes quotes of assets to the table `market_data`, one row per symbol and asset type, with its ledger.
 *
 * `write` stores a batch in one transaction: all of its rows in one statement and, when the batch has a request, its row in
 * the ledger. A batch that the ledger has already is not written again; the result then holds the outcomes and counts
 * stored first. A quote the table cannot hold (no decimal, more digits than its columns, a negative price, a price that
 * their rounding would change by more than 1 %, a symbol that is too long, or refused by a constraint) fails alone and
 * leaves its row as it was; the rest is written. `updated_at` (UTC) is when the response came, by the database's clock, and
 * moves with every write; a row that is newer stays, and its value is told. What a trigger changes is told as the table
 * holds it, and what a trigger drops has failed.
 *
 * `current` answers as fresh what is younger than `maxAgeMs`, with the table's digits. When the server cannot be had, or
 * the transaction loses against another one, the whole of it is tried again for about 15 seconds; then `write` rejects
 * with a `SinkError`. Aborting rejects at once; what has been sent by then is stored whole, with its ledger row, or not at all.
 *
 * @example
 * ```ts
 * import { connectDatabase, marketDataSink } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const sink = marketDataSink({ database });
 * const { signal } = new AbortController();
 *
 * const input = { symbol: 'SINK/EX', assetType: 'FOREX' } as const;
 * const value = { ...input, price: '1.0825', change: '0.0010', percentChange: '0.0925', high: '1.0840', low: '1.0790' };
 * const written = await sink.write({ index: 0, outcomes: [{ status: 'ok', input, value }] }, { signal });
 * console.log(written.inserted + written.updated, written.failed);
 * // 1 []
 * const [standing] = await sink.current([input], { maxAgeMs: 45_000, signal });
 * console.log(standing?.status);
 * // fresh
 * ```
 */
export function marketDataSink(options: MarketDataSinkOptions): TableSink<Asset, Quote> {
  const { database, retentionDays } = resolveOptions(options);
  return tableSink({
    database,
    retentionDays,
    table: quoteTable(database, marketData),
    maxSymbolLength: 10,
    current: currentQuotes(database, marketData),
  });
}

const marketData: QuoteTableOptions<Asset, Quote> = {
  name: 'market_data',
  key: [
    { name: 'symbol', of: ({ symbol }) => symbol },
    { name: 'asset_type', of: ({ assetType }) => assetType },
  ],
  columns: [
    { name: 'price', of: ({ price }) => price },
    { name: 'percent_change', of: ({ percentChange }) => percentChange, signed: true },
    { name: 'change', of: ({ change }) => change, signed: true },
    { name: 'high', of: ({ high }) => high },
    { name: 'low', of: ({ low }) => low },
  ],
  valueOf: ({ symbol, assetType }, [price, percentChange, change, high, low]) => ({
    symbol,
    assetType,
    price,
    change,
    percentChange,
    high,
    low,
  }),
  codec: {
    encodeInput: ({ symbol, assetType }) => [symbol, assetType],
    decodeInput: (json) => {
      const [symbol, assetType] = json as [string, AssetType];
      return { symbol, assetType };
    },
    encodeValue: ({ price, change, percentChange, high, low }) => [price, change, percentChange, high, low],
    decodeValue: (json, { symbol, assetType }) => {
      const [price, change, percentChange, high, low] = json as [Decimal, Decimal, Decimal, Decimal, Decimal];
      return { symbol, assetType, price, change, percentChange, high, low };
    },
  },
};
