import type { Provider } from '../../model/ports.ts';
import type { Asset, Quote } from '../../model/records.ts';
import { recordedProvider, type RecordedOptions } from './recordedProvider.ts';
import { isRecordedStock, recordedQuote } from './recordedPrices.ts';

export type { RecordedOptions };

/**
 * Real prices of five stocks that come with the package, MSFT, AMZN, IBM, GOOG and AAPL, for demos and tests without
 * network: the month closes of January 2000 (GOOG: August 2004) to March 2010, adjusted for splits and dividends as of 2010.
 *
 * They are month closes, so a quote is made of them: `price` is the last close, of March 2010; `change` and
 * `percentChange` compare it with the month before; `high` and `low` are the highest and lowest of the last twelve closes,
 * not of a day. Any other asset fails with the code `symbol_unknown`. It costs a credit per symbol, like Twelve Data.
 *
 * @example
 * ```ts
 * import { recordedQuotes } from 'fintrack-pipelines';
 *
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [quote] = await recordedQuotes().fetch([{ symbol: 'AAPL', assetType: 'STOCK' }], call);
 * console.log(quote);
 * // {
 * //   symbol: 'AAPL',
 * //   assetType: 'STOCK',
 * //   price: '223.02',
 * //   change: '18.40',
 * //   percentChange: '8.99228',
 * //   high: '223.02',
 * //   low: '125.83'
 * // }
 * ```
 */
export function recordedQuotes(options: RecordedOptions = {}): Provider<Asset, Quote> {
  return recordedProvider('recordedQuotes', options, {
    maxBatchSize: 120,
    cost: (assets) => assets.length,
    read: (asset) => {
      const quote = isRecordedStock(asset) ? recordedQuote(asset.symbol) : undefined;
      return quote && { symbol: asset.symbol, assetType: asset.assetType, ...quote };
    },
  });
}
