import type { Provider } from '../../model/ports.ts';
import type { IndexQuote, MarketIndex } from '../../model/records.ts';
import { isIndex, recordedQuote } from './recordedPrices.ts';
import { recordedProvider, type RecordedOptions } from './recordedProvider.ts';

/**
 * Real values of the S&P 500, `^GSPC`, that come with the package: the month closes of January 2000 to March 2010.
 *
 * `price` is the last close; `priceChange` and `percentChange` compare it with the month before; `priceHigh` and
 * `priceLow` are the highest and lowest of the last twelve closes, not of a day. Any other symbol fails with the code
 * `symbol_unknown`. It costs a credit per call, like Yahoo through RapidAPI.
 *
 * @example
 * ```ts
 * import { recordedIndexes } from 'fintrack-pipelines';
 *
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [index, unknown] = await recordedIndexes().fetch([{ symbol: '^GSPC' }, { symbol: '^NDX' }], call);
 * console.log(index);
 * // {
 * //   symbol: '^GSPC',
 * //   price: '1140.45',
 * //   priceChange: '35.96',
 * //   percentChange: '3.25580',
 * //   priceHigh: '1140.45',
 * //   priceLow: '872.81'
 * // }
 * console.log(String(unknown));
 * // ProviderError: recorded: ^NDX: no prices recorded
 * ```
 */
export function recordedIndexes(options: RecordedOptions = {}): Provider<MarketIndex, IndexQuote> {
  return recordedProvider('recordedIndexes', options, {
    maxBatchSize: 50,
    cost: (indexes) => Math.min(1, indexes.length),
    read: ({ symbol }) => {
      const quote = isIndex(symbol) ? recordedQuote(symbol) : undefined;
      if (quote === undefined) return undefined;
      const { price, change, percentChange, high, low } = quote;
      return { symbol, price, priceChange: change, percentChange, priceHigh: high, priceLow: low };
    },
  });
}
