/** The kinds of asset the FinTrack deployment knows. */
export const assetTypes = ['STOCK', 'CRYPTO', 'FOREX', 'COMMODITY'] as const;
export type AssetType = (typeof assetTypes)[number];

/** A decimal number as text, with exactly the digits of its source, from the provider to the `numeric` column. */
export type Decimal = string;

/** A calendar date as text, `YYYY-MM-DD`, in UTC. */
export type DateText = string;

/** Something with a price: AAPL the stock, BTC the coin, EUR/USD the pair. */
export interface Asset {
  readonly symbol: string;
  readonly assetType: AssetType;
}

/** A market index or future by its symbol, such as `^GSPC` or `GC=F`. */
export interface MarketIndex {
  readonly symbol: string;
}

/** An asset and the months wanted of it: from the month of `startDate` to the month of `endDate`, both included. */
export interface MonthlyRange extends Asset {
  readonly startDate: DateText;
  readonly endDate: DateText;
  /** Set by a sink that narrowed the range: how many months outside of it the sink holds already. Default: 0. */
  readonly storedMonths?: number | undefined;
}

/** The current price of an asset: a row of `market_data`. */
export interface Quote extends Asset {
  readonly price: Decimal;
  readonly change: Decimal;
  readonly percentChange: Decimal;
  readonly high: Decimal;
  readonly low: Decimal;
}

/** The current value of an index: a row of `market_index_data`. */
export interface IndexQuote extends MarketIndex {
  readonly price: Decimal;
  readonly priceChange: Decimal;
  readonly percentChange: Decimal;
  readonly priceHigh: Decimal;
  readonly priceLow: Decimal;
}

/** One month's price under the provider's date of it. */
export interface MonthlyPrice {
  readonly date: DateText;
  readonly price: Decimal;
}

/** The months of an asset: rows of `market_data_monthly`. */
export interface MonthlyPrices extends Asset {
  /** How many months of the range this request was served: stored by it or found stored. */
  readonly recordCount: number;
  /** The prices fetched and not yet stored; empty once they are, so that a summary stays small. */
  readonly prices: readonly MonthlyPrice[];
}
