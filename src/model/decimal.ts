import type { Decimal } from './records.ts';

/** More digits than this are no price, whatever the column: a bound on what an exponent may expand to. */
const maxDigits = 200;

const plainDecimal = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
const anyDecimal = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?$/;

/**
 * Whether `value` is a decimal as this library carries it: text in the form of a JSON number without an exponent, so
 * that it goes into a `numeric` column and into a JSON event as it stands.
 *
 * @example
 * ```ts
 * import { isDecimal } from 'fintrack-pipelines';
 *
 * console.log(isDecimal('228.34000'), isDecimal('NaN'), isDecimal(''), isDecimal(228.34));
 * // true false false false
 * ```
 */
export function isDecimal(value: unknown): value is Decimal {
  return typeof value === 'string' && value.length <= maxDigits + 2 && plainDecimal.test(value);
}

/**
 * The decimal a provider's text stands for: the text itself, every digit kept, or its exponent written out. Undefined
 * when it is none, such as `NaN`, `''`, `1,234.50`, null, or a number of more than 200 digits. A JavaScript number is
 * none either, because it has lost its digits already: parse JSON with the source text kept.
 *
 * @example
 * ```ts
 * import { parseDecimal } from 'fintrack-pipelines';
 *
 * console.log(parseDecimal('228.34000'), parseDecimal('1.5e-7'), parseDecimal('-2E3'), parseDecimal('NaN'));
 * // 228.34000 0.00000015 -2000 undefined
 * ```
 */
export function parseDecimal(text: unknown): Decimal | undefined {
  if (isDecimal(text)) return text;
  const match = typeof text === 'string' && text.length <= maxDigits ? anyDecimal.exec(text) : null;
  if (match === null) return undefined;
  const [, sign = '', integer = '', fraction = '', exponent = '0'] = match;
  return expand(sign, integer, fraction, Number(exponent));
}

function expand(sign: string, integer: string, fraction: string, exponent: number): Decimal | undefined {
  const digits = integer + fraction;
  const point = integer.length + exponent;
  if (Math.max(point, 1) + Math.max(digits.length - point, 0) > maxDigits) return undefined;
  const whole = digits
    .slice(0, Math.max(point, 0))
    .padEnd(point, '0')
    .replace(/^0+(?=\d)/, '');
  const rest = point < 0 ? '0'.repeat(-point) + digits : digits.slice(point);
  return `${sign}${whole === '' ? '0' : whole}${rest === '' ? '' : `.${rest}`}`;
}

/** Whether a decimal is below zero; `-0.00` is not. */
export function isNegative(decimal: Decimal): boolean {
  return decimal.startsWith('-') && /[1-9]/.test(decimal);
}

/** How many digits stand before the point, and how many behind it: `-12.50` has 2 and 2, `0.5` has 0 and 1. */
export function decimalDigits(decimal: Decimal): { readonly integer: number; readonly fraction: number } {
  const [whole = '', fraction = ''] = decimal.replace('-', '').split('.');
  return { integer: whole === '0' ? 0 : whole.length, fraction: fraction.length };
}

/**
 * Whether a column `numeric(precision, scale)` can hold a decimal. The column rounds to its scale, half away from zero,
 * and refuses what then has more than `precision - scale` digits before the point: `numeric(15,6)` holds 9.
 *
 * @example
 * ```ts
 * import { fitsNumeric } from 'fintrack-pipelines';
 *
 * const column = { precision: 15, scale: 6 };
 * console.log(fitsNumeric('123456789.1234567', column), fitsNumeric('1234567890', column));
 * // true false
 * console.log(fitsNumeric('999999999.9999994', column), fitsNumeric('999999999.9999995', column));
 * // true false
 * ```
 */
export function fitsNumeric(decimal: Decimal, column: { readonly precision: number; readonly scale: number }): boolean {
  const most = column.precision - column.scale;
  const { integer } = decimalDigits(decimal);
  if (integer !== most) return integer < most || (most === 0 && integer === 0);
  return !roundsUpToNextDigit(decimal, column.scale);
}

/** Only a number of nothing but nines gains a digit by rounding. */
function roundsUpToNextDigit(decimal: Decimal, scale: number): boolean {
  const [whole = '', fraction = ''] = decimal.replace('-', '').split('.');
  const kept = (whole === '0' ? '' : whole) + fraction.slice(0, scale).padEnd(scale, '0');
  return /^9*$/.test(kept) && (fraction[scale] ?? '0') >= '5';
}

/** As a column of that scale stores it, with just as many digits behind the point: rounded half away from zero. */
export function toScale(decimal: Decimal, scale: number): Decimal {
  const { fraction } = decimalDigits(decimal);
  if (fraction === scale) return decimal;
  if (fraction < scale) return `${fraction === 0 ? `${decimal}.` : decimal}${'0'.repeat(scale - fraction)}`;
  return fromUnits(divideRounded(toUnits(decimal, fraction), 10n ** BigInt(fraction - scale)), scale);
}

/** Whether two decimals differ by more than 1 % of the first. */
export function differsByPercent(from: Decimal, to: Decimal): boolean {
  const scale = Math.max(decimalDigits(from).fraction, decimalDigits(to).fraction);
  const [base, difference] = [toUnits(from, scale), toUnits(to, scale) - toUnits(from, scale)];
  return magnitude(difference) * 100n > magnitude(base);
}

/** `minuend - subtrahend`, exact, with the digits behind the point of the one that has more. */
export function subtractDecimals(minuend: Decimal, subtrahend: Decimal): Decimal {
  const scale = Math.max(decimalDigits(minuend).fraction, decimalDigits(subtrahend).fraction);
  return fromUnits(toUnits(minuend, scale) - toUnits(subtrahend, scale), scale);
}

/** The change from one decimal to another in percent, rounded half away from zero; undefined from zero. */
export function percentBetween(from: Decimal, to: Decimal, fractionDigits: number): Decimal | undefined {
  const scale = Math.max(decimalDigits(from).fraction, decimalDigits(to).fraction);
  const base = toUnits(from, scale);
  if (base === 0n) return undefined;
  const scaled = (toUnits(to, scale) - base) * 100n * 10n ** BigInt(fractionDigits);
  return fromUnits(divideRounded(scaled, base), fractionDigits);
}

/** Below zero, zero or above zero, as `first` is less than, equal to or more than `second`. */
export function compareDecimals(first: Decimal, second: Decimal): number {
  const scale = Math.max(decimalDigits(first).fraction, decimalDigits(second).fraction);
  const [a, b] = [toUnits(first, scale), toUnits(second, scale)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function toUnits(decimal: Decimal, scale: number): bigint {
  const [whole = '', fraction = ''] = decimal.split('.');
  return BigInt(whole + fraction.padEnd(scale, '0'));
}

function fromUnits(units: bigint, scale: number): Decimal {
  const digits = magnitude(units)
    .toString()
    .padStart(scale + 1, '0');
  const fraction = scale === 0 ? '' : `.${digits.slice(-scale)}`;
  return `${units < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}${fraction}`;
}

function magnitude(units: bigint): bigint {
  return units < 0n ? -units : units;
}

function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const negative = dividend < 0n !== divisor < 0n;
  const [above, below] = [magnitude(dividend), magnitude(divisor)];
  const quotient = (2n * above + below) / (2n * below);
  return negative ? -quotient : quotient;
}
