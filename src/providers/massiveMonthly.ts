import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { PipelineError, ProviderError } from '../model/errors.ts';
import type { Provider } from '../model/ports.ts';
import type { MonthlyPrice, MonthlyPrices, MonthlyRange } from '../model/records.ts';
import { apiKeyCheck, baseUrlCheck } from './http/baseUrl.ts';
import { askMassive, providerName, type MassiveBars } from './massive/askMassive.ts';
import { firstMonthOf, massiveRequests } from './massive/massiveRequests.ts';
import { massiveTicker } from './massive/massiveTicker.ts';
import { dateOf, monthOf, pricesInRange, type DateRange } from './monthlyRanges.ts';
import { MonthsPerCall } from './monthsPerCall.ts';
import { otherInterval, otherRange } from './monthsOther.ts';
import { readDecimals, type JsonRecord } from './readDecimals.ts';

export interface MassiveOptions {
  /** The API key, of Massive or of Polygon. It travels in a header, never in a URL, and appears in no error. */
  apiKey: string;
  /** Where the API is, without the path. Default: `https://api.massive.com`. */
  baseUrl?: string | undefined;
  /**
   * Months of history in the plan, such as 24 in the free one. A range that begins before them fails with `not_in_plan` and
   * is not asked for: Massive would leave out the older months without a word. Default: no bound.
   */
  historyMonths?: number | undefined;
  /** Most months in one request; a longer range is asked for in several, a call each. Default: 1200. */
  maxMonthsPerCall?: number | undefined;
  /** What sends the requests, with the signature of the global `fetch`. Default: the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Longest response in bytes; a longer one is cut off and fails the call. Default: 4 MiB. */
  maxResponseBytes?: number | undefined;
  /** The current time in milliseconds since 1970, to know the plan's history and the last months. Default: Date.now. */
  now?: (() => number) | undefined;
}

/** A month is made of at most 31 days, and a request of at most 50,000 of them. */
const maxMonths = Math.floor(50_000 / 31);

const resolveOptions = defineOptions<MassiveOptions>('massiveMonthly')({
  apiKey: apiKeyCheck,
  baseUrl: baseUrlCheck.default('https://api.massive.com'),
  historyMonths: z.int().min(1).max(maxMonths).optional(),
  maxMonthsPerCall: z.int().min(1).max(maxMonths).default(1200),
  fetch: callback<typeof globalThis.fetch>().optional(),
  maxResponseBytes: z
    .int()
    .min(1)
    .default(4 * 1024 * 1024),
  now: callback<() => number>().default(() => Date.now),
});

const fields = { price: { key: 'c' } } as const;

/**
 * Monthly closing prices of stocks, coins, currency pairs and commodities from Massive, formerly Polygon: one request, and
 * one call of the plan, for each asset. Its limiter counts calls: `creditLimiter({ credits: 5 })` for the free plan.
 *
 * Each asset gets the months of its range, oldest first, dated with their first day; prices are adjusted for splits and keep
 * the digits of the provider's JSON numbers. A coin `BTC` is asked for as `X:BTCUSD`, a pair `EUR/USD` as `C:EURUSD`, a
 * commodity `XAU` as `C:XAUUSD`. An asset that is unknown or not in the plan fails alone; a refusal of the call rejects it,
 * with a `RateLimitError` for the rate. Aborting the signal drops the request.
 *
 * @example
 * ```ts
 * import { massiveMonthly } from 'fintrack-pipelines';
 *
 * // Stands in for the network here; leave it out to ask Massive.
 * const fetch = async () =>
 *   new Response('{"ticker":"AAPL","status":"OK","resultsCount":1,"results":[{"c":185.920,"t":1704085200000}]}');
 * const provider = massiveMonthly({ apiKey: 'your-key', fetch });
 *
 * const range = { symbol: 'AAPL', assetType: 'STOCK', startDate: '2024-01-01', endDate: '2024-01-31' } as const;
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [months] = await provider.fetch([range], call);
 * console.log(months);
 * // {
 * //   symbol: 'AAPL',
 * //   assetType: 'STOCK',
 * //   recordCount: 1,
 * //   prices: [ { date: '2024-01-01', price: '185.920' } ]
 * // }
 * ```
 */
export function massiveMonthly(options: MassiveOptions): Provider<MonthlyRange, MonthlyPrices> {
  const { historyMonths, maxMonthsPerCall, now, ...connection } = resolveOptions(options);
  const months = new MonthsPerCall(maxMonthsPerCall);

  /** What to ask for; an error for what is never sent. */
  function requestsOf(range: MonthlyRange) {
    const ticker = massiveTicker(providerName, range);
    if (PipelineError.isInstance(ticker)) return ticker;
    const firstMonth = historyMonths === undefined ? '' : firstMonthOf(historyMonths, now());
    if (monthOf(range.startDate) < firstMonth) return beforeHistory(range, firstMonth);
    return massiveRequests(range, { maxMonthsPerCall: months.most, nowMs: now() }).map((dates) => ({
      ticker,
      ...dates,
    }));
  }

  async function fetchRange(range: MonthlyRange, signal: AbortSignal): Promise<MonthlyPrices | PipelineError> {
    const requests = requestsOf(range);
    if (PipelineError.isInstance(requests)) return requests;
    const prices: MonthlyPrice[] = [];
    for (const request of requests) {
      const answer: MassiveBars = await askMassive(request, { ...connection, symbol: range.symbol, now, signal });
      const part = PipelineError.isInstance(answer) ? answer : readBars(range.symbol, request, answer);
      if (PipelineError.isInstance(part)) return part;
      prices.push(...part);
    }
    return readMonths(range, prices);
  }

  return {
    name: providerName,
    maxBatchSize: 1,
    timeoutMs: 30_000,
    cost: (ranges) => ranges.reduce((calls, range) => calls + callsOf(requestsOf(range)), 0),
    async fetch(ranges, { signal }) {
      signal.throwIfAborted();
      const answers: (MonthlyPrices | PipelineError)[] = [];
      for (const range of ranges) answers.push(await months.ask([range], () => fetchRange(range, signal)));
      return answers;
    },
  };
}

/** What is never sent has its price too: no call is free of cost. */
function callsOf(requests: readonly unknown[] | PipelineError): number {
  return PipelineError.isInstance(requests) ? 1 : requests.length;
}

function beforeHistory({ symbol, startDate }: MonthlyRange, firstMonth: string): ProviderError {
  const message = `${providerName}: ${symbol}: the plan's history begins in ${firstMonth}, asked for ${monthOf(startDate)}`;
  return new ProviderError('not_in_plan', message);
}

function readMonths(range: MonthlyRange, prices: readonly MonthlyPrice[]): MonthlyPrices | ProviderError {
  if (prices.length > 0) return pricesInRange(range, prices);
  const message = `${providerName}: ${range.symbol}: unknown ticker, or not traded since ${range.startDate}`;
  return new ProviderError('symbol_unknown', message);
}

/** The prices of one request's bars, which have to be of its months. */
function readBars(
  symbol: string,
  asked: DateRange,
  bars: readonly JsonRecord[],
): readonly MonthlyPrice[] | PipelineError {
  const subject = `${providerName}: ${symbol}`;
  const prices: MonthlyPrice[] = [];
  for (const bar of bars) {
    const date = barDate(bar['t']);
    if (date === undefined) {
      const seen = JSON.stringify(bar['t'] ?? null).slice(0, 60);
      return new ProviderError('value_invalid', `${subject}: t: expected a time in milliseconds, got ${seen}`);
    }
    const decimals = readDecimals(`${subject}: ${date}`, bar, fields);
    if (PipelineError.isInstance(decimals)) return decimals;
    prices.push({ date, price: decimals.price });
  }
  const dates = prices.map(({ date }) => date);
  return otherRange(subject, dates, asked) ?? otherInterval(subject, dates) ?? prices;
}

/**
 * A bar's `t` is the beginning of its month: midnight UTC for coins and pairs, midnight in New York for stocks, which is 4
 * or 5 o'clock of the same day in UTC. So the UTC date is right for all of them.
 */
function barDate(t: unknown): string | undefined {
  return typeof t === 'string' && /^\d{1,14}$/.test(t) ? dateOf(Number(t)) : undefined;
}
