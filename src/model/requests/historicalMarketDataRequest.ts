import { z } from 'zod';
import { RequestError } from '../errors.ts';
import type { DateText, MonthlyRange } from '../records.ts';
import { assetFields, readAssets } from './assetEntries.ts';
import { readEcho, readMessage, type Request, type RequestMessage } from './request.ts';

/** A request for the monthly prices of assets, from the month of `startDate` to the month of `endDate`. */
export interface HistoricalMarketDataRequest extends Request<MonthlyRange> {
  readonly pipeline: 'historical-market-data';
  readonly startDate: DateText;
  /** Today at the latest. */
  readonly endDate: DateText;
}

const dateSchema = z.iso.date({ error: 'expected a date that exists, as YYYY-MM-DD' });

/** The message of a historical request. Its entries are read one by one: see `assetEntrySchema`. */
export const historicalMarketDataRequestSchema = z.object({
  start_date: dateSchema,
  end_date: dateSchema,
  ...assetFields,
});

/**
 * Reads a historical request: `{"start_date":"2024-01-31","end_date":"2026-11-24","assets":[..]}`, the assets in either
 * form of `parseMarketDataRequest`.
 *
 * An end in the future is cut to today, in UTC, by `now` (epoch milliseconds; default: the process's clock); the inputs
 * keep what was asked, and a sink asks for no month to come. Throws a `RequestError` when the message as a whole is no request, when a date does not exist, or when the start is after the
 * end.
 *
 * @example
 * ```ts
 * import { parseHistoricalMarketDataRequest } from 'fintrack-pipelines';
 *
 * const request = parseHistoricalMarketDataRequest(
 *   { start_date: '2024-01-31', end_date: '2030-01-31', assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }] },
 *   { now: () => Date.parse('2026-11-24T12:00:00Z') },
 * );
 * console.log(request.inputs.length, 'asset from', request.startDate, 'to', request.endDate);
 * // 1 asset from 2024-01-31 to 2026-11-24
 * ```
 */
export function parseHistoricalMarketDataRequest(
  message: RequestMessage,
  { now = Date.now }: { now?: (() => number) | undefined } = {},
): HistoricalMarketDataRequest {
  const body = readMessage(historicalMarketDataRequestSchema, message);
  const { start_date: startDate, end_date: askedEnd } = body;
  const today = new Date(now()).toISOString().slice(0, 10);
  const endDate = askedEnd > today ? today : askedEnd;
  if (startDate > endDate) {
    const cut = askedEnd > today ? `, cut to today, ${today}` : '';
    throw new RequestError('date_invalid', `request: start_date ${startDate} is after end_date ${askedEnd}${cut}`);
  }
  const { inputs, refused } = readAssets(body);
  return {
    pipeline: 'historical-market-data',
    // Not cut: the same message is the same list on another day, too.
    inputs: inputs.map((asset) => ({ ...asset, startDate, endDate: askedEnd })),
    refused,
    startDate,
    endDate,
    ...readEcho(body),
  };
}
