import type { DateText } from '../../model/records.ts';

/** A month as text, `YYYY-MM`. */
export type MonthText = string;

const isoDate = /^(\d{4})-(\d{2})-(\d{2})$/;

/** Whether it is `YYYY-MM-DD` and a day that exists; PostgreSQL knows no year 0. */
export function isDate(value: unknown): value is DateText {
  const match = typeof value === 'string' ? isoDate.exec(value) : null;
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
}

export function monthOf(date: DateText): MonthText {
  return date.slice(0, 7);
}

export function firstOf(month: MonthText): DateText {
  return `${month}-01`;
}

export function lastOf(month: MonthText): DateText {
  return `${month}-${daysIn(Number(month.slice(0, 4)), Number(month.slice(5)))}`;
}

/** Months from one to another, both included. */
export interface MonthSpan {
  readonly first: MonthText;
  readonly last: MonthText;
}

/** The spans of the months between, before and after these ones, which are in their order; none outside of `span`. */
export function gapsBetween({ first, last }: MonthSpan, months: readonly MonthText[]): MonthSpan[] {
  const gaps: MonthSpan[] = [];
  let next = first;
  for (const month of months) {
    if (month < next) continue;
    if (month > last) break;
    if (month > next) gaps.push({ first: next, last: monthFrom(month, -1) });
    next = monthFrom(month, 1);
  }
  return next > last ? gaps : [...gaps, { first: next, last }];
}

/** The month so many months later. Of the years 1 to 9999, which is all that `isDate` knows; what is beyond sorts behind them. */
export function monthFrom(month: MonthText, distance: number): MonthText {
  const number = Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1 + distance;
  if (number >= 120_000) return '9999-13';
  return `${String(Math.floor(number / 12)).padStart(4, '0')}-${String((number % 12) + 1).padStart(2, '0')}`;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
