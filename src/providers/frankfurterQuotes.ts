import { z } from 'zod';
import { percentBetween, subtractDecimals } from '../model/decimal.ts';
import { defineOptions } from '../model/defineOptions.ts';
import { ProviderError } from '../model/errors.ts';
import type { Provider } from '../model/ports.ts';
import type { Asset, Quote } from '../model/records.ts';
import { providerName } from './frankfurter/askFrankfurter.ts';
import { frankfurterChecks, type FrankfurterOptions } from './frankfurter/frankfurterOptions.ts';
import { frankfurterProvider } from './frankfurter/frankfurterProvider.ts';
import { addDays, dateOf } from './monthlyRanges.ts';

const resolveOptions = defineOptions<FrankfurterOptions>('frankfurterQuotes')({
  ...frankfurterChecks,
  maxResponseBytes: z
    .int()
    .min(1)
    .default(4 * 1024 * 1024),
});

/** How far back to look for the rate before the last one: beyond any holidays. */
const lookbackDays = 14;

/**
 * Reference rates of currency pairs from Frankfurter, which collects those of the central banks: no key, and one request
 * for all pairs of one base currency.
 *
 * These are rates of a day, not of the market at this moment. `price` is the last one published, `change` and
 * `percentChange` are from the one before it, and `high` and `low` are the rate itself, because a day has only one. Rates
 * keep the provider's digits. A currency that is unknown fails its pairs alone; assets other than FOREX fail with
 * `asset_type_unknown` and are not asked for. A refusal of the call rejects it, with a `RateLimitError` for the rate.
 * Aborting the signal drops the request.
 *
 * A call costs one credit per base currency. There is no quota, only a guard against abuse: a limiter of
 * `creditLimiter({ credits: 60, maxConcurrent: 2 })` is polite and quick.
 *
 * @example
 * ```ts
 * import { frankfurterQuotes } from 'fintrack-pipelines';
 *
 * // Stands in for the network here; leave it out to ask Frankfurter.
 * const fetch = async () =>
 *   new Response(
 *     '[{"date":"2026-07-16","base":"EUR","quote":"USD","rate":1.1400},{"date":"2026-07-17","base":"EUR","quote":"USD","rate":1.1457}]',
 *   );
 * const provider = frankfurterQuotes({ fetch });
 *
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [quote] = await provider.fetch([{ symbol: 'EUR/USD', assetType: 'FOREX' }], call);
 * console.log(quote);
 * // {
 * //   symbol: 'EUR/USD',
 * //   assetType: 'FOREX',
 * //   price: '1.1457',
 * //   change: '0.0057',
 * //   percentChange: '0.50000',
 * //   high: '1.1457',
 * //   low: '1.1457'
 * // }
 * ```
 */
export function frankfurterQuotes(options: FrankfurterOptions = {}): Provider<Asset, Quote> {
  const resolved = resolveOptions(options);
  return frankfurterProvider(resolved, {
    requests: () => [{ from: addDays(dateOf(resolved.now()), -lookbackDays) }],
    read: ({ symbol, assetType }, rates) => {
      const [previous = '0', price = '0'] = rates.slice(-2).map((rate) => rate.price);
      const percentChange = percentBetween(previous, price, 5);
      if (rates.length < 2 || percentChange === undefined) {
        const message = `${providerName}: ${symbol}: no change to tell: no two rates above zero in ${lookbackDays} days`;
        return new ProviderError('value_invalid', message);
      }
      const change = subtractDecimals(price, previous);
      return { symbol, assetType, price, change, percentChange, high: price, low: price };
    },
  });
}
