import type { DateText, MonthlyPrice, MonthlyPrices, MonthlyRange } from '../model/records.ts';

/** The month of a date, as `YYYY-MM`. */
export function monthOf(date: DateText): string {
  return date.slice(0, 7);
}

/** The dates that cover every range, from the first day of the earliest month to the latest end. */
export function unionOf(ranges: readonly MonthlyRange[]): { readonly startDate: DateText; readonly endDate: DateText } {
  // Dates as text sort like dates.
  const starts = ranges.map(({ startDate }) => startDate).sort();
  const ends = ranges.map(({ endDate }) => endDate).sort();
  return { startDate: `${monthOf(starts[0] ?? '')}-01`, endDate: ends.at(-1) ?? '' };
}

/** The prices of a range's months, oldest first and one per month: of several dates in a month, the last. */
export function pricesInRange(range: MonthlyRange, prices: readonly MonthlyPrice[]): MonthlyPrices {
  const [first, last] = [monthOf(range.startDate), monthOf(range.endDate)];
  const byMonth = new Map<string, MonthlyPrice>();
  for (const price of prices) {
    const month = monthOf(price.date);
    const known = byMonth.get(month);
    if (month >= first && month <= last && (known === undefined || known.date < price.date)) byMonth.set(month, price);
  }
  const kept = [...byMonth.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
  return { symbol: range.symbol, assetType: range.assetType, recordCount: kept.length, prices: kept };
}

/** The months from one date to another, both included, as `YYYY-MM`; none when the first is later. */
export function monthsBetween(startDate: DateText, endDate: DateText): string[] {
  const [first, last] = [startDate, endDate].map(
    (date) => Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)) - 1,
  );
  if (first === undefined || last === undefined) return [];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => monthText(first + index));
}

function monthText(months: number): string {
  return `${String(Math.floor(months / 12)).padStart(4, '0')}-${String((months % 12) + 1).padStart(2, '0')}`;
}
