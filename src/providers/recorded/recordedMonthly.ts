import type { Provider } from '../../model/ports.ts';
import type { MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import { pricesInRange } from '../monthlyRanges.ts';
import { isRecordedStock, recordedMonths } from './recordedPrices.ts';
import { recordedProvider, type RecordedOptions } from './recordedProvider.ts';

/**
 * Real month closes of five stocks that come with the package: MSFT, AMZN, IBM and AAPL from January 2000, GOOG from
 * August 2004, all to March 2010, dated with the first day of the month.
 *
 * A range without recorded months has none, which is no error; any other asset fails with the code `symbol_unknown`. It
 * costs a credit per symbol, like Twelve Data.
 *
 * @example
 * ```ts
 * import { recordedMonthly } from 'fintrack-pipelines';
 *
 * const range = { symbol: 'GOOG', assetType: 'STOCK', startDate: '2004-01-31', endDate: '2004-09-30' } as const;
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [months] = await recordedMonthly().fetch([range], call);
 * console.log(months);
 * // {
 * //   symbol: 'GOOG',
 * //   assetType: 'STOCK',
 * //   recordCount: 2,
 * //   prices: [
 * //     { date: '2004-08-01', price: '102.37' },
 * //     { date: '2004-09-01', price: '129.6' }
 * //   ]
 * // }
 * ```
 */
export function recordedMonthly(options: RecordedOptions = {}): Provider<MonthlyRange, MonthlyPrices> {
  return recordedProvider('recordedMonthly', options, {
    maxBatchSize: 120,
    cost: (ranges) => ranges.length,
    read: (range) => {
      const months = isRecordedStock(range) ? recordedMonths(range.symbol) : undefined;
      return months && pricesInRange(range, months);
    },
  });
}
