/**
 * A number of a JSON text, digit by digit as it is written there: JavaScript keeps 15 digits of it, and makes 1e400 infinite. No
 * name of a field is this one, except of whoever wants a text to be taken for a number.
 */
export interface ExactNumber {
  readonly [mark]: string;
}

const mark = '\u0000number';

/** Finds at least each number, outside of texts or not, that JavaScript would not write as it was. */
const perhapsInexact = /\d{16}|\d[.eE]|-0/;

/** A text, a sign, or anything else, as a number: of JSON that is valid, in linear time and however deep it is nested. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^\s"[\]{}:,]+/g;

/** As `JSON.parse`, with an `ExactNumber` for each number that JavaScript would not write as it was. */
export function parseExactly(text: string): unknown {
  const value = JSON.parse(text) as unknown;
  if (!perhapsInexact.test(text)) return value;
  return JSON.parse(text.replace(token, (each) => (isInexact(each) ? JSON.stringify({ [mark]: each }) : each)));
}

function isInexact(each: string): boolean {
  return /^[-\d]/.test(each) && String(Number(each)) !== each;
}

export function isExactNumber(value: unknown): value is ExactNumber {
  return typeof value === 'object' && value !== null && mark in value && typeof value[mark] === 'string';
}

export function digitsOf(number: ExactNumber): string {
  return number[mark];
}

/** As `JSON.stringify`, with the digits of each `ExactNumber`. */
export function stringifyExactly(value: unknown): string {
  return JSON.stringify(value).replaceAll(/\{"\\u0000number":"([^"\\]*)"\}/g, '$1');
}
