import type { Provider } from '../../model/ports.ts';
import type { Asset, Quote } from '../../model/records.ts';
import { simulatedPrices } from './simulatedPrices.ts';
import { simulatedProvider, type SimulatedOptions } from './simulatedProvider.ts';

export type { SimulatedOptions };
export type { SimulatedQuota } from './quotaWindow.ts';

/**
 * Invented quotes of any assets, with the latency, the failures and the quota you set: for tests, load and dry runs.
 *
 * The same seed and symbol always make the same quote. It costs a credit per symbol, like Twelve Data. A call beyond the
 * quota rejects with a `RateLimitError`, a transient failure with a retryable `ProviderError`; an unknown symbol fails
 * alone. Aborting the signal rejects at once and leaves no timer.
 *
 * @example
 * ```ts
 * import { simulatedQuotes, type QuotaSeen } from 'fintrack-pipelines';
 *
 * const provider = simulatedQuotes({ quota: { credits: 2, windowMs: 60_000 } });
 * const report = ({ used, left }: QuotaSeen) => console.log(used, 'used', left, 'left');
 * const call = { signal: new AbortController().signal, report };
 * const assets = [{ symbol: 'ACME', assetType: 'STOCK' }, { symbol: 'EUR/USD', assetType: 'FOREX' }] as const;
 *
 * const quotes = await provider.fetch(assets, call);
 * // 2 used 0 left
 * console.log(quotes.length);
 * // 2
 * await provider.fetch(assets, call).catch((error) => console.log(error.code));
 * // rate_limited
 * ```
 */
export function simulatedQuotes(options: SimulatedOptions = {}): Provider<Asset, Quote> {
  return simulatedProvider('simulatedQuotes', options, {
    maxBatchSize: 120,
    cost: (assets) => assets.length,
    make: ({ symbol, assetType }, seed) => ({ symbol, assetType, ...simulatedPrices(symbol, seed) }),
  });
}
