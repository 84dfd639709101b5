import type { DateText, MonthlyPrice, MonthlyPrices, MonthlyRange } from '../model/records.ts';

/** The month of a date, as `YYYY-MM`. */
export function monthOf(date: DateText): string {
  return date.slice(0, 7);
}

/** Days from one to another, both included. */
export interface DateRange {
  readonly startDate: DateText;
  readonly endDate: DateText;
}

/** The dates that cover every range, from the first day of the earliest month to the latest end. */
export function unionOf(ranges: readonly MonthlyRange[]): DateRange {
  // Dates as text sort like dates.
  const starts = ranges.map(({ startDate }) => startDate).sort();
  const ends = ranges.map(({ endDate }) => endDate).sort();
  return { startDate: `${monthOf(starts[0] ?? '')}-01`, endDate: ends.at(-1) ?? '' };
}

/**
 * The range in parts of at most `maxMonths` calendar months, oldest first and without a gap: each part but the last ends
 * with the last day of its month. A range that ends before it starts is one part, as it stands.
 */
export function splitRange({ startDate, endDate }: DateRange, maxMonths: number): readonly DateRange[] {
  const months = isDate(startDate) && isDate(endDate) ? monthNumber(endDate) - monthNumber(startDate) + 1 : 1;
  const count = Math.max(1, Math.ceil(months / maxMonths));
  return Array.from({ length: count }, (_, index) => ({
    startDate: index === 0 ? startDate : addMonths(startDate, index * maxMonths),
    endDate: index === count - 1 ? endDate : addDays(addMonths(startDate, (index + 1) * maxMonths), -1),
  }));
}

/** The first day of the month that is `months` after the month of the date. */
export function addMonths(date: DateText, months: number): DateText {
  return `${monthText(monthNumber(date) + months)}-01`;
}

/** The date `days` later. */
export function addDays(date: DateText, days: number): DateText {
  return dateOf(Date.parse(date) + days * 86_400_000);
}

/** The UTC date of a time in milliseconds since 1970. */
export function dateOf(timeMs: number): DateText {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/** Whether it is `YYYY-MM-DD` and a day that exists. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/.test(text)) return false;
  // Every month has 28 days; only a later day is worth the price of a Date.
  return text.slice(8) <= '28' || dateOf(Date.parse(text)) === text;
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
  const [first, last] = [monthNumber(startDate), monthNumber(endDate)];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => monthText(first + index));
}

/** Months since the year 0. */
function monthNumber(date: DateText): number {
  return Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)) - 1;
}

function monthText(months: number): string {
  return `${String(Math.floor(months / 12)).padStart(4, '0')}-${String((months % 12) + 1).padStart(2, '0')}`;
}
