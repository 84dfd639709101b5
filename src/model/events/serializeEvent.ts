import { isLosslessNumber, LosslessNumber, parse, stringify } from 'lossless-json';
import type { CompletionEvent } from './completion.ts';
import type { ProgressEvent } from './progress.ts';

/** The fields of an event that are decimal text in memory and a JSON number on the wire. */
const decimalFields = new Set([
  ...['price', 'percentChange', 'change', 'high', 'low'],
  ...['price_change', 'percent_change', 'price_high', 'price_low'],
]);

/**
 * Writes an event as the JSON of the wire: prices are numbers with exactly the digits of their text.
 *
 * @example
 * ```ts
 * import { parseEvent, serializeEvent } from 'fintrack-pipelines';
 *
 * const text = '{"symbols":[{"symbol":"^GSPC","price":19.2600}]}';
 * console.log(parseEvent(text));
 * // { symbols: [ { symbol: '^GSPC', price: '19.2600' } ] }
 * console.log(serializeEvent(parseEvent(text) as never) === text);
 * // true
 * ```
 */
export function serializeEvent(event: CompletionEvent | ProgressEvent): string {
  const text = stringify(event, (key, value: unknown) =>
    typeof value === 'string' && decimalFields.has(key) ? new LosslessNumber(value) : value,
  );
  if (text === undefined) throw new TypeError(`serializeEvent: expected an event, got ${typeof event}`);
  return text;
}

/** Writes an entry of one of an event's lists as `serializeEvent` does, several times as fast: there may be 100,000 of them. */
export function serializeEntry(entry: object): string {
  const fields = Object.entries(entry).flatMap(([key, value]: [string, unknown]) => {
    if (value === undefined) return [];
    const isDecimal = typeof value === 'string' && decimalFields.has(key);
    return [`${JSON.stringify(key)}:${isDecimal ? new LosslessNumber(value).toString() : JSON.stringify(value)}`];
  });
  return `{${fields.join(',')}}`;
}

/**
 * Reads what `serializeEvent` wrote, without rounding a price: they come back as decimal text. To be checked by the
 * schema of the event, such as `marketDataCompletedSchema`.
 */
export function parseEvent(text: string): unknown {
  return parse(text, (key, value) => {
    if (!isLosslessNumber(value)) return value;
    return decimalFields.has(key) ? value.toString() : Number(value.toString());
  });
}
