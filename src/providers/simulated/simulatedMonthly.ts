import type { Provider } from '../../model/ports.ts';
import type { MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import { monthsBetween } from '../monthlyRanges.ts';
import { simulatedClose } from './simulatedPrices.ts';
import { simulatedProvider, type SimulatedOptions } from './simulatedProvider.ts';

/**
 * Invented month closes of any assets, one for every month of the range, dated with its first day; see `simulatedQuotes`
 * for what can be set. It costs a credit per symbol, like Twelve Data.
 *
 * @example
 * ```ts
 * import { simulatedMonthly } from 'fintrack-pipelines';
 *
 * const range = { symbol: 'ACME', assetType: 'STOCK', startDate: '2025-12-31', endDate: '2026-02-15' } as const;
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [months] = await simulatedMonthly().fetch([range], call);
 * console.log(months && 'prices' in months && months.prices.map(({ date }) => date));
 * // [ '2025-12-01', '2026-01-01', '2026-02-01' ]
 * ```
 */
export function simulatedMonthly(options: SimulatedOptions = {}): Provider<MonthlyRange, MonthlyPrices> {
  return simulatedProvider('simulatedMonthly', options, {
    maxBatchSize: 120,
    cost: (ranges) => ranges.length,
    make: ({ symbol, assetType, startDate, endDate }, seed) => {
      const prices = monthsBetween(startDate, endDate).map((month) => ({
        date: `${month}-01`,
        price: simulatedClose(symbol, month, seed),
      }));
      return { symbol, assetType, recordCount: prices.length, prices };
    },
  });
}
