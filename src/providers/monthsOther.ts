import type { ProviderError } from '../model/errors.ts';
import type { DateText } from '../model/records.ts';
import { answersOther } from './answersOther.ts';
import { monthOf, type DateRange } from './monthlyRanges.ts';

/** The error of a series that has dates, but none of the months that were asked for. Dates as text sort like dates. */
export function otherRange(
  subject: string,
  dates: readonly DateText[],
  { startDate, endDate }: DateRange,
): ProviderError | undefined {
  const months = dates.map(monthOf).sort();
  const [first, last] = [months[0], months.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const [from, to] = [monthOf(startDate), monthOf(endDate)];
  if (months.some((month) => month >= from && month <= to)) return undefined;
  return answersOther(subject, `${from} to ${to}`, `${first} to ${last}`);
}

/** The error of a series that has several dates in a month: where no interval is named, that is how one shows itself. */
export function otherInterval(subject: string, dates: readonly DateText[]): ProviderError | undefined {
  const byMonth = new Map<string, DateText>();
  for (const date of dates) {
    const known = byMonth.get(monthOf(date));
    if (known !== undefined && known !== date) return answersOther(subject, 'months', `${known} and ${date}`);
    byMonth.set(monthOf(date), date);
  }
  return undefined;
}
