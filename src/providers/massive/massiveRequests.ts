import type { MonthlyRange } from '../../model/records.ts';
import { addDays, addMonths, dateOf, monthOf, splitRange, type DateRange } from '../monthlyRanges.ts';

/** What bounds the dates of a request. */
export interface MassiveDates {
  readonly maxMonthsPerCall: number;
  /** The current time in milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * The dates to ask for, one request each. No bars at all is all that Massive says of an unknown ticker, so a request also
 * takes in the last two months, where a ticker that is traded has bars: its range alone may have none, when it ended before
 * the listing or began this morning. It costs nothing, because a call is a call however many months.
 */
export function massiveRequests(range: MonthlyRange, { maxMonthsPerCall, nowMs }: MassiveDates): readonly DateRange[] {
  const today = dateOf(nowMs);
  const asked = { startDate: addMonths(range.startDate, 0), endDate: range.endDate };
  // Until yesterday: not every plan serves the current day.
  const wide = {
    startDate: earlier(asked.startDate, addMonths(today, -2)),
    endDate: later(asked.endDate, addDays(today, -1)),
  };
  const whole = splitRange(wide, maxMonthsPerCall);
  return whole.length === 1 ? whole : splitRange(asked, maxMonthsPerCall);
}

/** The first month of which a plan with so many months of history has the close. */
export function firstMonthOf(historyMonths: number, nowMs: number): string {
  return monthOf(addMonths(dateOf(nowMs), -historyMonths));
}

function earlier(first: string, second: string): string {
  return first < second ? first : second;
}

function later(first: string, second: string): string {
  return first > second ? first : second;
}
