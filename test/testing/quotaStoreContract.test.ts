import { describe, expect, it } from 'vitest';
import type { QuotaStore } from '../../src/model/quotaPorts.ts';
import { quotaStoreContract } from '../../src/testing/quotaStoreContract.ts';

type Used = Map<string, number>;
type MakeStore = (used: Used) => QuotaStore;

const good = (used: Used): QuotaStore => ({
  book: async (period, credits, limit) => {
    const before = used.get(period) ?? 0;
    const booked = Math.max(0, Math.min(credits, limit - before));
    used.set(period, before + booked);
    return booked;
  },
  giveBack: async (period, credits) => {
    used.set(period, Math.max(0, (used.get(period) ?? 0) - credits));
  },
});

/** The names of the cases that a store fails. */
async function failedBy(make: MakeStore): Promise<string[]> {
  let open = 0;
  const cases = quotaStoreContract(async () => {
    open += 1;
    const used: Used = new Map();
    const close = async () => {
      open -= 1;
    };
    return { store: make(used), reopen: async () => make(used), [Symbol.asyncDispose]: close };
  });
  const failed: string[] = [];
  for (const { name, run } of cases) await run().catch(() => failed.push(name));
  expect(open).toBe(0);
  return failed;
}

describe('quotaStoreContract', () => {
  it('passes a good store', async () => {
    expect(await failedBy(good)).toEqual([]);
  });

  it.each<[string, MakeStore, string]>([
    [
      'takes every wish for granted',
      (used) => ({ ...good(used), book: async (_period, credits) => credits }),
      'books up to the limit, and no further',
    ],
    [
      'grants all or nothing',
      (used) => ({
        ...good(used),
        book: async (period, credits, limit) =>
          (used.get(period) ?? 0) + credits > limit ? 0 : good(used).book(period, credits, limit),
      }),
      'books the part of the first wish that the limit allows',
    ],
    [
      'answers less than nothing below the limit',
      (used) => ({
        ...good(used),
        book: async (period, credits, limit) => {
          const booked = Math.min(credits, limit - (used.get(period) ?? 0));
          used.set(period, (used.get(period) ?? 0) + booked);
          return booked;
        },
      }),
      'books nothing, and takes nothing away, when the limit has come down below what is used',
    ],
    [
      'knows one period',
      (used) => ({ ...good(used), book: (_period, credits, limit) => good(used).book('', credits, limit) }),
      'counts each period by itself',
    ],
    ['takes nothing back', (used) => ({ ...good(used), giveBack: async () => {} }), 'books again what was given back'],
    [
      'saves up what is given back beyond what was booked',
      (used) => ({
        ...good(used),
        giveBack: async (period, credits) => {
          used.set(period, (used.get(period) ?? 0) - credits);
        },
      }),
      'never lets more be booked than the limit, whatever is given back',
    ],
    [
      'reads, and writes later',
      (used) => ({
        ...good(used),
        book: async (period, credits, limit) => {
          const before = used.get(period) ?? 0;
          await Promise.resolve();
          const booked = Math.max(0, Math.min(credits, limit - before));
          used.set(period, before + booked);
          return booked;
        },
      }),
      'never goes beyond the limit when many book at once',
    ],
    ['forgets', () => good(new Map()), 'remembers what was booked and given back, without being closed'],
  ])('finds a store that %s', async (_what, make, name) => {
    expect(await failedBy(make)).toContain(name);
  });
});
