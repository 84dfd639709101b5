import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import { PipelineError } from '../model/errors.ts';
import type { Provider } from '../model/ports.ts';
import type { Asset, Quote } from '../model/records.ts';
import { readDecimals } from './readDecimals.ts';
import { providerName } from './twelveData/askTwelveData.ts';
import { twelveDataChecks, type TwelveDataOptions } from './twelveData/twelveDataOptions.ts';
import { twelveDataProvider } from './twelveData/twelveDataProvider.ts';

export type { TwelveDataOptions };

const resolveOptions = defineOptions<TwelveDataOptions>('twelveDataQuotes')({
  ...twelveDataChecks,
  path: z.string().default('/quote'),
  maxResponseBytes: z
    .int()
    .min(1)
    .default(4 * 1024 * 1024),
});

const fields = {
  price: { key: 'close' },
  change: { key: 'change', signed: true },
  percentChange: { key: 'percent_change', signed: true },
  high: { key: 'high' },
  low: { key: 'low' },
} as const;

/**
 * Current prices of stocks, coins, currency pairs and commodities from Twelve Data: one request for up to 120 symbols,
 * one credit per symbol.
 *
 * A coin `BTC` is asked for as `BTC/USD`, a commodity `XAU` as `XAU/USD`, a pair `EURUSD` as `EUR/USD`. Prices keep the
 * provider's digits. A symbol that is unknown, not in the plan or without a proper price fails alone; a refusal of the
 * call rejects it, with a `RateLimitError` for the minute's credits and the code `quota_exhausted` for the day's.
 * Aborting the signal drops the request.
 *
 * @example
 * ```ts
 * import { twelveDataQuotes } from 'fintrack-pipelines';
 *
 * // Stands in for the network here; leave it out to ask Twelve Data.
 * const fetch = async () =>
 *   new Response('{"symbol":"AAPL","close":"228.34000","change":"2.47000","percent_change":"1.09355","high":"229.12","low":"225.1"}');
 * const provider = twelveDataQuotes({ apiKey: 'your-key', fetch });
 *
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [quote] = await provider.fetch([{ symbol: 'AAPL', assetType: 'STOCK' }], call);
 * console.log(quote);
 * // {
 * //   symbol: 'AAPL',
 * //   assetType: 'STOCK',
 * //   price: '228.34000',
 * //   change: '2.47000',
 * //   percentChange: '1.09355',
 * //   high: '229.12',
 * //   low: '225.1'
 * // }
 * ```
 */
export function twelveDataQuotes(options: TwelveDataOptions): Provider<Asset, Quote> {
  return twelveDataProvider(resolveOptions(options), {
    requests: () => [{}],
    read: ({ symbol, assetType }, record) => {
      const decimals = readDecimals(`${providerName}: ${symbol}`, record, fields);
      return PipelineError.isInstance(decimals) ? decimals : { symbol, assetType, ...decimals };
    },
  });
}
