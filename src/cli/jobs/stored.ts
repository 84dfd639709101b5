import { from, map, mergeMap, toArray, type Observable } from 'rxjs';
import type { IndexQuote, MonthlyPrice, MonthlyPrices, Quote } from '../../index.ts';
import { fromTable, type Database, type PriceTable } from '../../postgres/index.ts';

/** How to read a price table back, and how to show a value of it. */
export interface Stored<T> {
  readonly titles: readonly string[];
  read(database: Database): Observable<T>;
  cells(value: T): readonly string[];
}

export const storedQuotes: Stored<Quote> = {
  titles: ['symbol', 'asset_type', 'price', 'change', 'percent_change', 'high', 'low'],
  read: (database) =>
    readTable(database, 'market_data', ['symbol', 'asset_type'], (text) => ({
      symbol: text('symbol'),
      assetType: text('asset_type') as Quote['assetType'],
      price: text('price'),
      change: text('change'),
      percentChange: text('percent_change'),
      high: text('high'),
      low: text('low'),
    })),
  cells: ({ symbol, assetType, price, change, percentChange, high, low }) => [
    symbol,
    assetType,
    price,
    change,
    percentChange,
    high,
    low,
  ],
};

export const storedIndexes: Stored<IndexQuote> = {
  titles: ['symbol', 'price', 'price_change', 'percent_change', 'price_high', 'price_low'],
  read: (database) =>
    readTable(database, 'market_index_data', ['symbol'], (text) => ({
      symbol: text('symbol'),
      price: text('price'),
      priceChange: text('price_change'),
      percentChange: text('percent_change'),
      priceHigh: text('price_high'),
      priceLow: text('price_low'),
    })),
  cells: ({ symbol, price, priceChange, percentChange, priceHigh, priceLow }) => [
    symbol,
    price,
    priceChange,
    percentChange,
    priceHigh,
    priceLow,
  ],
};

export const storedMonths: Stored<MonthlyPrices> = {
  titles: ['symbol', 'asset_type', 'months', 'first', 'last', 'last price'],
  read: (database) =>
    readTable(database, 'market_data_monthly', ['symbol', 'asset_type', 'date'], (text) => ({
      symbol: text('symbol'),
      assetType: text('asset_type') as MonthlyPrices['assetType'],
      month: { date: text('date'), price: text('price') },
    })).pipe(
      toArray(),
      mergeMap((rows) => from(byAsset(rows))),
    ),
  cells: ({ symbol, assetType, prices }) => [
    symbol,
    assetType,
    String(prices.length),
    prices[0]?.date ?? '',
    prices.at(-1)?.date ?? '',
    prices.at(-1)?.price ?? '',
  ],
};

function readTable<T>(
  database: Database,
  table: PriceTable,
  key: readonly string[],
  toItem: (text: (column: string) => string) => T,
): Observable<T> {
  return fromTable({ database, table, key, toItem: (row) => row }).pipe(
    map((row) => toItem((column) => textOf(row[column]))),
  );
}

/** As people read it: without the zeros that a column numeric(15,6) fills a price up with. */
function textOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string') return '';
  return /^-?\d+\.\d+$/.test(value) ? value.replace(/\.?0+$/, '') : value;
}

type MonthRow = Pick<MonthlyPrices, 'symbol' | 'assetType'> & { readonly month: MonthlyPrice };

function byAsset(rows: readonly MonthRow[]): MonthlyPrices[] {
  const assets = new Map<string, MonthRow[]>();
  for (const row of rows) {
    const key = `${row.assetType} ${row.symbol}`;
    assets.set(key, [...(assets.get(key) ?? []), row]);
  }
  return [...assets.values()].map((months) => {
    const [{ symbol, assetType }] = months as [MonthRow, ...MonthRow[]];
    return { symbol, assetType, recordCount: months.length, prices: months.map(({ month }) => month) };
  });
}
