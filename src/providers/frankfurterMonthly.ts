import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import type { Provider } from '../model/ports.ts';
import type { MonthlyPrices, MonthlyRange } from '../model/records.ts';
import { frankfurterChecks, type FrankfurterOptions } from './frankfurter/frankfurterOptions.ts';
import { frankfurterProvider } from './frankfurter/frankfurterProvider.ts';
import { addMonths, pricesInRange, splitRange, unionOf } from './monthlyRanges.ts';
import { MonthsPerCall } from './monthsPerCall.ts';

export interface FrankfurterMonthlyOptions extends FrankfurterOptions {
  /**
   * What the price of a month is: `close`, its last rate under the date of that rate, as other providers have it, or
   * `average`, Frankfurter's own average of the month, which makes for much shorter answers. Default: `close`.
   */
  price?: 'close' | 'average' | undefined;
  /** Most months in one request; a longer range is asked for in several. Default: 120. */
  maxMonthsPerCall?: number | undefined;
}

const resolveOptions = defineOptions<FrankfurterMonthlyOptions>('frankfurterMonthly')({
  ...frankfurterChecks,
  maxResponseBytes: z
    .int()
    .min(1)
    .default(16 * 1024 * 1024),
  price: z.enum(['close', 'average']).default('close'),
  maxMonthsPerCall: z.int().min(3).max(12_000).default(120),
});

/** Months asked for before the range: a currency that has rates there is known, also when the range has none yet. */
const monthsBefore = 2;

/**
 * Monthly rates of currency pairs from Frankfurter: no key, and one request for all pairs of one base currency and up to
 * 120 months.
 *
 * A request has one range of dates, so it asks from before the first month wanted to the latest end, and each pair gets the
 * months of its own range, oldest first, under the provider's dates. Pairs, errors and the cost are as with
 * `frankfurterQuotes`.
 *
 * @example
 * ```ts
 * import { frankfurterMonthly } from 'fintrack-pipelines';
 *
 * // Stands in for the network here; leave it out to ask Frankfurter.
 * const fetch = async () =>
 *   new Response(
 *     '[{"date":"2026-01-29","base":"EUR","quote":"USD","rate":1.1389},{"date":"2026-01-30","base":"EUR","quote":"USD","rate":1.1400}]',
 *   );
 * const provider = frankfurterMonthly({ fetch });
 *
 * const range = { symbol: 'EURUSD', assetType: 'FOREX', startDate: '2026-01-01', endDate: '2026-01-31' } as const;
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [months] = await provider.fetch([range], call);
 * console.log(months);
 * // {
 * //   symbol: 'EURUSD',
 * //   assetType: 'FOREX',
 * //   recordCount: 1,
 * //   prices: [ { date: '2026-01-30', price: '1.1400' } ]
 * // }
 * ```
 */
export function frankfurterMonthly(options: FrankfurterMonthlyOptions = {}): Provider<MonthlyRange, MonthlyPrices> {
  const { price, maxMonthsPerCall, ...resolved } = resolveOptions(options);
  const months = new MonthsPerCall(maxMonthsPerCall, monthsBefore + 1);
  const provider = frankfurterProvider<MonthlyRange, MonthlyPrices>(resolved, {
    requests: (ranges) => {
      const { startDate, endDate } = unionOf(ranges);
      const from = addMonths(startDate, -monthsBefore);
      const group = price === 'average' ? { group: 'month' } : {};
      return splitRange({ startDate: from, endDate }, months.most).map((part) => ({
        from: part.startDate,
        to: part.endDate,
        ...group,
      }));
    },
    read: pricesInRange,
  });
  return { ...provider, fetch: (ranges, call) => months.ask(ranges, () => provider.fetch(ranges, call)) };
}
