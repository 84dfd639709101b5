import type { Provider } from '../../model/ports.ts';
import type { IndexQuote, MarketIndex } from '../../model/records.ts';
import { simulatedPrices } from './simulatedPrices.ts';
import { simulatedProvider, type SimulatedOptions } from './simulatedProvider.ts';

/**
 * Invented values of any market indexes; see `simulatedQuotes` for what can be set. It costs a credit per call, like
 * Yahoo through RapidAPI.
 *
 * @example
 * ```ts
 * import { simulatedIndexes } from 'fintrack-pipelines';
 *
 * const provider = simulatedIndexes({ seed: 7, unknownRate: 1 });
 * const call = { signal: new AbortController().signal, report: () => {} };
 * console.log(provider.cost([{ symbol: '^GSPC' }, { symbol: 'GC=F' }]));
 * // 1
 * const [gold] = await provider.fetch([{ symbol: 'GC=F' }], call);
 * console.log(String(gold));
 * // ProviderError: simulated: GC=F: unknown symbol
 * ```
 */
export function simulatedIndexes(options: SimulatedOptions = {}): Provider<MarketIndex, IndexQuote> {
  return simulatedProvider('simulatedIndexes', options, {
    maxBatchSize: 50,
    cost: (indexes) => Math.min(1, indexes.length),
    make: ({ symbol }, seed) => {
      const { price, change, percentChange, high, low } = simulatedPrices(symbol, seed);
      return { symbol, price, priceChange: change, percentChange, priceHigh: high, priceLow: low };
    },
  });
}
