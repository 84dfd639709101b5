import { fitsNumeric, isDecimal, isNegative } from '../../model/decimal.ts';
import { SinkError } from '../../model/errors.ts';
import type { ErrorCode, PipelineError } from '../../model/errors.ts';
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

/** Why a column cannot hold a price; undefined when it can. */
export function checkPrice(value: unknown, column: ColumnShape): Problem | undefined {
  return checkDecimal(value, column) ?? checkSign(value);
}

/** As `checkPrice`, for a value that may be negative, such as a change. */
export function checkDecimal(value: unknown, column: ColumnShape): Problem | undefined {
  if (!isDecimal(value)) return { code: 'value_invalid', message: `expected a decimal, got ${show(value)}` };
  const { precision = widest.precision, scale = widest.scale } = column;
  // Nearly all prices have fewer characters than the column has digits before the point.
  if (value.length < precision - scale || fitsNumeric(value, { precision, scale })) return undefined;
  return { code: 'value_out_of_range', message: `expected what ${column.type} holds, got ${show(value)}` };
}

function checkSign(value: unknown): Problem | undefined {
  if (typeof value !== 'string' || !value.startsWith('-') || !isNegative(value)) return undefined;
  return { code: 'value_out_of_range', message: `expected no negative price, got ${show(value)}` };
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
