import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import { PipelineError, ProviderError } from '../model/errors.ts';
import type { Provider } from '../model/ports.ts';
import type { MonthlyPrice, MonthlyPrices, MonthlyRange } from '../model/records.ts';
import { answersOther } from './answersOther.ts';
import { isDate, pricesInRange, splitRange, unionOf } from './monthlyRanges.ts';
import { MonthsPerCall } from './monthsPerCall.ts';
import { otherInterval, otherRange } from './monthsOther.ts';
import { isJsonRecord, readDecimals, type JsonRecord } from './readDecimals.ts';
import { metaOf, nameOf, providerName } from './twelveData/askTwelveData.ts';
import { twelveDataChecks, type TwelveDataMonthlyOptions } from './twelveData/twelveDataOptions.ts';
import { twelveDataProvider, type Parameters } from './twelveData/twelveDataProvider.ts';

const documentedMaximum = 5000;

const resolveOptions = defineOptions<TwelveDataMonthlyOptions>('twelveDataMonthly')({
  ...twelveDataChecks,
  path: z.string().default('/time_series'),
  maxResponseBytes: z
    .int()
    .min(1)
    .default(16 * 1024 * 1024),
  maxMonthsPerCall: z.int().min(1).max(documentedMaximum).default(documentedMaximum),
});

const interval = '1month';

const fields = { price: { key: 'close' } } as const;

/**
 * Monthly closing prices from Twelve Data: one request for up to 120 symbols, one credit per symbol however many months.
 *
 * A request has one range of dates, so it asks from the first day of the earliest month wanted to the latest end, and
 * each asset gets the months of its own range, oldest first, under the provider's dates. More months than `maxMonthsPerCall`
 * are asked for in several requests, one after the other. No prices in the range is a result, not an error. Symbols and
 * errors are as with `twelveDataQuotes`.
 *
 * @example
 * ```ts
 * import { twelveDataMonthly } from 'fintrack-pipelines';
 *
 * // Stands in for the network here; leave it out to ask Twelve Data.
 * const fetch = async () =>
 *   new Response(
 *     '{"meta":{"symbol":"AAPL"},"values":[{"datetime":"2026-02-01","close":"209.95"},{"datetime":"2026-01-01","close":"201.10"}],"status":"ok"}',
 *   );
 * const provider = twelveDataMonthly({ apiKey: 'your-key', fetch });
 *
 * const range = { symbol: 'AAPL', assetType: 'STOCK', startDate: '2026-01-31', endDate: '2026-02-28' } as const;
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [months] = await provider.fetch([range], call);
 * console.log(months);
 * // {
 * //   symbol: 'AAPL',
 * //   assetType: 'STOCK',
 * //   recordCount: 2,
 * //   prices: [
 * //     { date: '2026-01-01', price: '201.10' },
 * //     { date: '2026-02-01', price: '209.95' }
 * //   ]
 * // }
 * ```
 */
export function twelveDataMonthly(options: TwelveDataMonthlyOptions): Provider<MonthlyRange, MonthlyPrices> {
  const { maxMonthsPerCall, ...resolved } = resolveOptions(options);
  const months = new MonthsPerCall(maxMonthsPerCall);
  const provider = twelveDataProvider<MonthlyRange, MonthlyPrices>(resolved, {
    timeoutMs: 30_000, // a series is a hundred times as long as a quote
    requests: (ranges) =>
      splitRange(unionOf(ranges), months.most).map(({ startDate, endDate }) => ({
        interval,
        start_date: startDate,
        end_date: endDate,
      })),
    isEmpty: (record) => valuesOf(record)?.length === 0,
    read: readMonths,
    readNoMonths: (range) => pricesInRange(range, []),
    join: (range, parts) =>
      pricesInRange(
        range,
        parts.flatMap(({ prices }) => prices),
      ),
  });
  return { ...provider, fetch: (ranges, call) => months.ask(ranges, () => provider.fetch(ranges, call)) };
}

/** No values are none: a list that is empty, null, or left out by a series that says what it is about. */
function valuesOf(record: JsonRecord): readonly unknown[] | undefined {
  const { values = nameOf(record) === undefined ? undefined : null } = record as { values?: unknown };
  if (values === null) return [];
  return Array.isArray(values) ? values : undefined;
}

function readMonths(range: MonthlyRange, record: JsonRecord, asked: Parameters): MonthlyPrices | PipelineError {
  const subject = `${providerName}: ${range.symbol}`;
  const values = valuesOf(record);
  if (values === undefined) return new ProviderError('response_malformed', `${subject}: values: expected a list`);
  const said = metaOf(record)['interval'];
  if (said !== undefined && said !== interval) return answersOther(subject, interval, said);
  const prices: MonthlyPrice[] = [];
  for (const value of values) {
    const price = readMonth(subject, value);
    if (PipelineError.isInstance(price)) return price;
    prices.push(price);
  }
  const dates = prices.map(({ date }) => date);
  const sent = { startDate: asked['start_date'] ?? '', endDate: asked['end_date'] ?? '' };
  const other = otherRange(subject, dates, sent) ?? (said === undefined ? otherInterval(subject, dates) : undefined);
  return other ?? pricesInRange(range, prices);
}

function readMonth(subject: string, value: unknown): MonthlyPrice | PipelineError {
  const bar = isJsonRecord(value) ? value : {};
  const date = typeof bar['datetime'] === 'string' ? bar['datetime'].slice(0, 10) : '';
  if (!isDate(date)) {
    const seen = JSON.stringify(bar['datetime'] ?? null).slice(0, 60);
    return new ProviderError('value_invalid', `${subject}: datetime: expected a date, got ${seen}`);
  }
  const decimals = readDecimals(`${subject}: ${date}`, bar, fields);
  return PipelineError.isInstance(decimals) ? decimals : { date, price: decimals.price };
}
