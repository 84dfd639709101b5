import { compareDecimals, percentBetween, subtractDecimals } from '../../model/decimal.ts';
import type { Asset, Decimal, MonthlyPrice } from '../../model/records.ts';
import { monthCloses } from './monthCloses.ts';

/** The months of a recorded symbol, oldest first, dated with the first day; undefined for any other symbol. */
export function recordedMonths(symbol: string): readonly MonthlyPrice[] | undefined {
  if (!Object.hasOwn(monthCloses, symbol)) return undefined;
  return Object.entries(monthCloses[symbol] ?? {}).flatMap(([year, closes]) =>
    closes
      .split(' ')
      .map((price, month) => ({ date: `${year}-${String(month + 1).padStart(2, '0')}-01`, price }))
      .filter(({ price }) => price !== '-'),
  );
}

/** Whether the recordings can be of this asset: the index among them is none. */
export function isRecordedStock({ symbol, assetType }: Asset): boolean {
  return assetType === 'STOCK' && !isIndex(symbol);
}

/** Whether a recorded symbol is an index. */
export function isIndex(symbol: string): boolean {
  return symbol.startsWith('^');
}

/** A quote made of month closes: the last one, its change from the one before, and the range of the last twelve. */
export interface RecordedQuote {
  readonly price: Decimal;
  readonly change: Decimal;
  readonly percentChange: Decimal;
  readonly high: Decimal;
  readonly low: Decimal;
}

export function recordedQuote(symbol: string): RecordedQuote | undefined {
  const closes = recordedMonths(symbol)?.map(({ price }) => price) ?? [];
  const [previous, price] = closes.slice(-2);
  if (previous === undefined || price === undefined) return undefined;
  const year = closes.slice(-12).sort(compareDecimals);
  return {
    price,
    change: subtractDecimals(price, previous),
    percentChange: percentBetween(previous, price, 5) ?? '0',
    high: year.at(-1) ?? price,
    low: year[0] ?? price,
  };
}
