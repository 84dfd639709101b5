import { z } from 'zod';
import { callback, defineOptions } from '../defineOptions.ts';
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

export interface HistoricalRequestOptions {
  /** The clock that says which day is today, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
  /** Most months of all assets together: assets times months. Default: 3,000,000. */
  maxMonths?: number | undefined;
}

/** How far back a start may lie. */
const maxMonthsBack = 1_200;

/** Assets times months of one request: 10,000 assets over 25 years. */
const defaultMaxMonths = 3_000_000;

const resolveOptions = defineOptions<HistoricalRequestOptions>('parseHistoricalMarketDataRequest')({
  now: callback<() => number>().default(() => Date.now),
  maxMonths: z.int().min(1).default(defaultMaxMonths),
});

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
 * An end in the future is cut to today, in UTC, by `now`; the inputs keep what was asked, and a sink asks for no month to come.
 * Throws a `RequestError` when the message as a whole is no request, when it asks for more than `maxMonths`, when a date does not
 * exist, when the start is after the end, or lies more than 1,200 months back.
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
  options: HistoricalRequestOptions = {},
): HistoricalMarketDataRequest {
  const { now, maxMonths } = resolveOptions(options);
  const body = readMessage(historicalMarketDataRequestSchema, message);
  const { start_date: startDate, end_date: askedEnd } = body;
  const today = new Date(now()).toISOString().slice(0, 10);
  const endDate = askedEnd > today ? today : askedEnd;
  if (startDate > endDate) {
    const cut = askedEnd > today ? `, cut to today, ${today}` : '';
    throw new RequestError('date_invalid', `request: start_date ${startDate} is after end_date ${askedEnd}${cut}`);
  }
  if (monthNumber(startDate) < monthNumber(today) - maxMonthsBack) {
    const message = `request: start_date ${startDate} is more than ${maxMonthsBack} months back: ask for later months`;
    throw new RequestError('date_invalid', message);
  }
  const { inputs, refused } = readAssets(body);
  const months = monthNumber(endDate) - monthNumber(startDate) + 1;
  if (inputs.length * months > maxMonths) {
    const seen = `${inputs.length} assets over ${months} months, which is ${inputs.length * months}`;
    const message = `request: expected at most ${maxMonths} months of all assets together, got ${seen}: ask for fewer assets, or months, at once`;
    throw new RequestError('request_refused', message);
  }
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

/** Months since the year 0. */
function monthNumber(date: DateText): number {
  return Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7));
}
