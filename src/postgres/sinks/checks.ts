import {
  compareDecimals,
  decimalDigits,
  differsByPercent,
  fitsNumeric,
  isDecimal,
  isNegative,
  parseDecimal,
  toScale,
} from '../../model/decimal.ts';
import { SinkError } from '../../model/errors.ts';
import type { ErrorCode, PipelineError } from '../../model/errors.ts';
import type { Decimal } from '../../model/records.ts';
import type { ColumnShape } from '../tableShape.ts';

/** Columns without a limit of their own hold what numeric(19,4) holds: a number beyond it is no price. */
const widestInteger = 15;
const widest = { precision: 200, scale: 200 - widestInteger };

const plainSymbol = /^[\x20-\x7e]+$/;

/** Why no row can have this symbol; undefined when it can. */
export function refuseSymbol(table: string, symbol: unknown, maxLength: number): PipelineError | undefined {
  if (typeof symbol !== 'string' || symbol === '') {
    return new SinkError('symbol_invalid', `${table}: expected a symbol, got ${show(symbol)}`);
  }
  if (symbol.length <= maxLength && plainSymbol.test(symbol)) return undefined;
  // NUL and halves of surrogate pairs are no text to PostgreSQL.
  if (/\0|\p{Surrogate}/u.test(symbol)) {
    return new SinkError('symbol_invalid', `${table}: expected a symbol of printable text, got ${show(symbol)}`);
  }
  // varchar(n) counts characters, and `length` counts halves of surrogate pairs.
  if (symbol.length <= maxLength || Array.from(symbol).length <= maxLength) return undefined;
  return new SinkError(
    'symbol_too_long',
    `${table}: expected at most ${maxLength} characters, got symbol ${show(symbol)}`,
  );
}

/** What is wrong with a value; whose value it is says who asked. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Why a column cannot hold a price; undefined when it can. It cannot when rounding would make another price of it. */
export function checkPrice(value: unknown, column: ColumnShape): Problem | undefined {
  return checkDecimal(value, column) ?? checkSign(value) ?? checkRounding(value as Decimal, column);
}

/** As `checkPrice`, for a value that may be negative, such as a change. */
export function checkDecimal(value: unknown, column: ColumnShape): Problem | undefined {
  if (!isDecimal(value)) return { code: 'value_invalid', message: `expected a decimal, got ${show(value)}` };
  const { precision = widest.precision, scale = widest.scale } = column;
  // Nearly all prices have fewer characters than the column has digits before the point.
  if (value.length < precision - scale || fitsNumeric(value, { precision, scale })) return undefined;
  return { code: 'value_out_of_range', message: `expected what ${column.type} holds, got ${show(value)}` };
}

/** A decimal that passed the checks, with the digits that the column keeps of it. */
export function asColumnHolds(value: Decimal, { type, scale }: ColumnShape): Decimal {
  if (type === 'double precision') return asFloat(value);
  return unsignedZero(scale === undefined ? value : toScale(value, scale));
}

/** PostgreSQL and JavaScript write the same shortest digits of a float. */
function asFloat(value: Decimal): Decimal {
  const float = parseDecimal(String(Number(value))) ?? value;
  return differs(value, float) ? float : unsignedZero(value);
}

/** No column keeps the sign of a zero. */
function unsignedZero(value: Decimal): Decimal {
  return value.startsWith('-') && !isNegative(value) ? value.slice(1) : value;
}

function differs(first: Decimal, second: Decimal): boolean {
  return first !== second && compareDecimals(first, second) !== 0;
}

function checkRounding(value: Decimal, { type, scale }: ColumnShape): Problem | undefined {
  if (scale === undefined) return undefined;
  if (decimalDigits(value).fraction <= scale) return undefined;
  const rounded = toScale(value, scale);
  if (!differsByPercent(value, rounded)) return undefined;
  const message = `${type} keeps ${scale} digits behind the point and would store ${show(value)} as ${show(rounded)}`;
  return { code: 'value_out_of_range', message };
}

function checkSign(value: unknown): Problem | undefined {
  if (typeof value !== 'string' || !value.startsWith('-') || !isNegative(value)) return undefined;
  return { code: 'value_out_of_range', message: `expected no negative price, got ${show(value)}` };
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
