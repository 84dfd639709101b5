import type { Batch } from '../../../src/model/batch.ts';
import type { OkOutcome } from '../../../src/model/outcome.ts';
import type {
  Asset,
  AssetType,
  IndexQuote,
  MarketIndex,
  MonthlyPrices,
  MonthlyRange,
  Quote,
} from '../../../src/model/records.ts';

/** A call that nobody aborts, with a signal of its own each time: Node warns when one has many listeners. */
export const call = {
  maxAgeMs: 45_000,
  get signal(): AbortSignal {
    return new AbortController().signal;
  },
};

export function asset(symbol: string, assetType: AssetType = 'STOCK'): Asset {
  return { symbol, assetType };
}

export function quote(input: Asset, price: string, fields: Partial<Quote> = {}): Quote {
  return { ...input, price, change: '-0.5', percentChange: '-1.25', high: price, low: price, ...fields };
}

export function index(symbol: string): MarketIndex {
  return { symbol };
}

export function indexQuote(input: MarketIndex, price: string, fields: Partial<IndexQuote> = {}): IndexQuote {
  return { ...input, price, priceChange: '-0.5', percentChange: '-1.25', priceHigh: price, priceLow: price, ...fields };
}

export function range(symbol: string, startDate: string, endDate: string): MonthlyRange {
  return { ...asset(symbol), startDate, endDate };
}

export function months({ symbol, assetType }: Asset, prices: Record<string, string>): MonthlyPrices {
  const list = Object.entries(prices).map(([date, price]) => ({ date, price }));
  return { symbol, assetType, recordCount: list.length, prices: list };
}

export function ok<I, T>(input: I, value: T, fields: Partial<OkOutcome<I, T>> = {}): OkOutcome<I, T> {
  return { status: 'ok', input, value, receivedAtMs: performance.now(), ...fields };
}

/** A batch of `ok` outcomes; with a request it goes through the ledger. */
export function batchOf<I, T>(outcomes: Batch<I, T>['outcomes'], request?: string, number = 0): Batch<I, T> {
  return { index: number, request, outcomes };
}
