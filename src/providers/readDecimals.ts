import { isNegative, parseDecimal } from '../model/decimal.ts';
import { ProviderError } from '../model/errors.ts';
import type { Decimal } from '../model/records.ts';

/** An object out of a provider's JSON. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** Where a record's decimal stands in the provider's answer, and whether it may be below zero. */
export interface DecimalField {
  readonly key: string;
  readonly signed?: boolean | undefined;
}

/**
 * Reads the decimals of one symbol, or says which of them is none: a `value_invalid` error of that symbol alone.
 * A missing value, null, `''`, NaN, a price below zero and a JavaScript number are none.
 */
export function readDecimals<Field extends string>(
  subject: string,
  record: JsonRecord,
  fields: Readonly<Record<Field, DecimalField>>,
): Record<Field, Decimal> | ProviderError {
  const decimals: Partial<Record<Field, Decimal>> = {};
  for (const field in fields) {
    const { key, signed = false } = fields[field];
    const decimal = parseDecimal(record[key]);
    if (decimal === undefined) return invalid(subject, key, record[key], 'a decimal number');
    if (!signed && isNegative(decimal)) return invalid(subject, key, decimal, 'no value below zero');
    decimals[field] = decimal;
  }
  return decimals as Record<Field, Decimal>;
}

function invalid(subject: string, key: string, seen: unknown, expected: string): ProviderError {
  const shown = seen === undefined ? 'nothing' : JSON.stringify(seen).slice(0, 60);
  return new ProviderError('value_invalid', `${subject}: ${key}: expected ${expected}, got ${shown}`);
}

export function isJsonRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
