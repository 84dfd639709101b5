import { parse as parseWithSourceText } from 'lossless-json';
import { hasTooManyValues } from './hasTooManyValues.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';

/** Errors are short: only a short body is parsed for one. */
const maxErrorLength = 4096;

/**
 * What a JSON text says, each number as the text it was written in, because a float would lose digits. Undefined when it is
 * no JSON, or holds more than 2,000,000 values.
 *
 * @example
 * ```ts
 * import { readJson } from 'fintrack-pipelines';
 *
 * console.log(readJson('{"price":123456789012345.67890}'));
 * // { price: '123456789012345.67890' }
 * console.log(readJson('{"price":'));
 * // undefined
 * ```
 */
export function readJson(text: string): unknown {
  if (hasTooManyValues(text)) return undefined;
  try {
    return parseWithSourceText(text, undefined, (number) => number);
  } catch {
    // The parser's own message quotes the text, and whatever secret is in it.
    return undefined;
  }
}

/** The object that is a whole short body, which may be an error; numbers as text, as with `readJson`. */
export function readShortObject(text: string): JsonRecord | undefined {
  if (text.length > maxErrorLength) return undefined;
  const value = readJson(text);
  return isJsonRecord(value) ? value : undefined;
}
