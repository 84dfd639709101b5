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

/** All months from one to another, both included; none when the first is after the last. */
export function monthsBetween(first: MonthText, last: MonthText): MonthText[] {
  const months: MonthText[] = [];
  let [year, month] = [Number(first.slice(0, 4)), Number(first.slice(5))];
  for (let text = first; text <= last; text = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}`) {
    months.push(text);
    [year, month] = month === 12 ? [year + 1, 1] : [year, month + 1];
    if (year > 9999) break;
  }
  return months;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
