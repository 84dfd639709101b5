import type { QuotaStore } from '../../model/quotaPorts.ts';

/**
 * A store of quotas in memory: the count of days and months lasts as long as the process. Where it has to survive a restart,
 * use `jsonFileStore`, or a table in PostgreSQL.
 *
 * @example
 * ```ts
 * import { creditLimiter, memoryQuotaStore } from 'fintrack-pipelines';
 *
 * const store = memoryQuotaStore();
 * console.log(await store.book('2026-11-24', 20, 30), await store.book('2026-11-24', 20, 30));
 * // 20 10
 * const limiter = creditLimiter({ credits: 8, quotas: [{ credits: 800, period: 'day', store }] });
 * console.log(limiter.windows().map(({ credits, left }) => `${left} of ${credits}`));
 * // [ '8 of 8', '800 of 800' ]
 * ```
 */
export function memoryQuotaStore(): QuotaStore {
  const used = new Map<string, number>();
  const usedOf = (period: string): number => used.get(period) ?? 0;
  return {
    book: (period, credits, limit) => {
      const booked = Math.max(0, Math.min(credits, limit - usedOf(period)));
      used.set(period, usedOf(period) + booked);
      return Promise.resolve(booked);
    },
    giveBack: (period, credits) => {
      used.set(period, Math.max(0, usedOf(period) - credits));
      return Promise.resolve();
    },
    used: (period) => Promise.resolve(usedOf(period)),
  };
}
