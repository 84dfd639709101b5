import { callback, defineOptions } from '../model/defineOptions.ts';
import type { QuotaStore } from '../model/quotaPorts.ts';
import type { ContractCase } from './providerContract.ts';
import { quotaStoreCases } from './quotaStoreCases.ts';

/** A store of quotas in which nothing is booked yet. */
export interface QuotaStoreUnderTest extends AsyncDisposable {
  readonly store: QuotaStore;
  /** Another store on the same data, as a process that starts after a crash opens it: the first is not closed before. */
  reopen(): Promise<QuotaStore>;
}

const checkArguments = defineOptions<{ open: () => Promise<unknown> }>('quotaStoreContract')({
  open: callback<() => Promise<unknown>>(),
});

/**
 * The cases that every `QuotaStore` has to pass, as data for any test runner. Each opens an empty store of its own and
 * closes it.
 *
 * @example
 * ```ts
 * import { quotaStoreContract } from 'fintrack-pipelines/testing';
 *
 * // Counts in memory, and so survives nothing: for this example alone.
 * const open = async () => {
 *   const used = new Map<string, number>();
 *   const store = {
 *     book: async (period: string, credits: number, limit: number) => {
 *       const before = used.get(period) ?? 0;
 *       const booked = Math.max(0, Math.min(credits, limit - before));
 *       used.set(period, before + booked);
 *       return booked;
 *     },
 *     giveBack: async (period: string, credits: number) => {
 *       used.set(period, Math.max(0, (used.get(period) ?? 0) - credits));
 *     },
 *   };
 *   return { store, reopen: async () => store, [Symbol.asyncDispose]: async () => {} };
 * };
 * const cases = quotaStoreContract(open);
 *
 * // With vitest: for (const { name, run } of cases) it(name, run);
 * for (const { run } of cases) await run();
 * console.log(cases[0]?.name);
 * // books up to the limit, and no further
 * ```
 */
export function quotaStoreContract(open: () => Promise<QuotaStoreUnderTest>): readonly ContractCase[] {
  checkArguments({ open });
  return quotaStoreCases().map(({ name, check }) => ({
    name,
    run: async () => {
      const opened = await open();
      try {
        await check(opened);
      } finally {
        await opened[Symbol.asyncDispose]();
      }
    },
  }));
}
