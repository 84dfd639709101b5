import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import type { CreditLimiter } from '../../src/limits/creditLimiter.ts';
import { memoryQuotaStore } from '../../src/limits/quotas/memoryQuotaStore.ts';
import { PipelineError } from '../../src/model/errors.ts';
import type { QuotaStore } from '../../src/model/quotaPorts.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call, settled, startOfTests, startVirtualTime } from './limiterCalls.ts';
import { hourMs, never, passTime, seeded, send } from './traffic.ts';

beforeEach(() => {
  startVirtualTime();
});

const dayMs = 24 * hourMs;
const today = '2026-01-01';

function withQuota(credits: number, store: QuotaStore = memoryQuotaStore(), options = {}): CreditLimiter {
  return creditLimiter({ credits: 55, quotas: [{ credits, period: 'day', store }], maxConcurrent: 8, ...options });
}

const refusal = async (promise: Promise<unknown>, ms = 100): Promise<unknown> =>
  settled(
    promise.catch((error: unknown) => error),
    ms,
  );

/** Uses as many credits as it is granted, until it is refused for good. */
async function useUp(limiter: CreditLimiter, weight = 8): Promise<number> {
  let used = 0;
  try {
    for (;;) used += (await call(limiter, weight, { min: 1 })).credits;
  } catch (error) {
    expect(error).toMatchObject({ code: 'quota_exhausted' });
  }
  return used;
}

describe('the quota of a day', () => {
  it('is used to the last credit, and then refuses until the day ends in UTC', async () => {
    const limiter = withQuota(100);
    expect(await settled(useUp(limiter))).toBe(100);
    const error = (await refusal(call(limiter, 8, { min: 1 }))) as PipelineError;
    expect(PipelineError.isInstance(error)).toBe(true);
    expect(error.message).toBe(
      'creditLimiter: the quota of 100 credits a day is used up until 2026-01-02T00:00:00.000Z',
    );
    expect((Date.now() + error.retryAfterMs! - Date.UTC(2026, 0, 2)) / 1_000).toBeCloseTo(0, 0);
    await passTime(error.retryAfterMs!);
    expect(await settled(useUp(limiter))).toBe(100);
  });

  it('refuses a call only that accepts no less than is left', async () => {
    const limiter = withQuota(10);
    await settled(call(limiter, 7), 200);
    expect(await refusal(call(limiter, 4))).toMatchObject({ code: 'quota_exhausted' });
    expect((await settled(call(limiter, 4, { min: 1 }), 200)).credits).toBe(3);
  });

  it('has back what a call does not use', async () => {
    const limiter = withQuota(10);
    await settled(call(limiter, 8, { unused: 5 }), 200);
    expect((await settled(call(limiter, 8, { min: 1 }), 200)).credits).toBe(7);
  });

  it('is counted beside that of a month, each in its own period of one store', async () => {
    const store = memoryQuotaStore();
    const quotas = [
      { credits: 60, period: 'day', store },
      { credits: 100, period: 'month', store },
    ] as const;
    const limiter = creditLimiter({ credits: 55, quotas });
    expect(await settled(useUp(limiter))).toBe(60);
    await passTime(dayMs);
    expect(await settled(useUp(limiter))).toBe(40);
    const error = await refusal(call(limiter, 1));
    expect(error).toHaveProperty(
      'message',
      'creditLimiter: the quota of 100 credits a month is used up until 2026-02-01T00:00:00.000Z',
    );
    expect(await store.used?.('2026-01')).toBe(100);
  });

  it('goes to the store in blocks of 20, and of a fortieth where it is small', async () => {
    const booked = async (quota: number): Promise<number> => {
      const store = memoryQuotaStore();
      await settled(call(withQuota(quota, store), 1), 200);
      return (await store.used?.(today)) ?? 0;
    };
    expect([await booked(8_000), await booked(800), await booked(400), await booked(25)]).toEqual([20, 20, 10, 1]);
  });

  it('gets back on stop what was booked and not used', async () => {
    const store = memoryQuotaStore();
    const limiter = withQuota(800, store);
    await settled(call(limiter, 3), 200);
    await settled(limiter.stop(), 100);
    expect(await store.used?.(today)).toBe(3);
  });

  it('counts a call across midnight on both days', async () => {
    startVirtualTime(Date.UTC(2026, 0, 1, 23, 59, 59));
    const store = memoryQuotaStore();
    const limiter = withQuota(40, store);
    expect((await settled(call(limiter, 8, { ms: 3_000 }), 4_000)).credits).toBe(8);
    expect(await settled(useUp(limiter))).toBe(32);
    expect([await store.used?.(today), await store.used?.('2026-01-02')]).toEqual([8, 40]);
  });

  it('counts a call without an answer 5 s before midnight on both days', async () => {
    startVirtualTime(Date.UTC(2026, 0, 1, 23, 59, 54));
    const limiter = withQuota(40);
    const lost = limiter.run(
      { credits: 8 },
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        throw new PipelineError('timeout', 'no answer');
      },
      { signal: never },
    );
    expect(await refusal(lost, 10_000)).toMatchObject({ code: 'timeout' });
    expect(await settled(useUp(limiter))).toBe(32);
  });

  it.each([
    ['an hour back', -hourMs],
    ['an hour forward', hourMs],
  ])('does not grow when the clock jumps %s across midnight, and back', async (_name, jumpMs) => {
    startVirtualTime(Date.UTC(2026, 0, jumpMs > 0 ? 1 : 2, jumpMs > 0 ? 23 : 0, 30));
    const store = memoryQuotaStore();
    const limiter = withQuota(100, store);
    let here = 0;
    for (let round = 0; round < 2; round += 1) {
      here += (await settled(call(limiter, 8), 1_000)).credits;
      vi.setSystemTime(Date.now() + jumpMs);
      await settled(call(limiter, 8), 1_000);
      vi.setSystemTime(Date.now() - jumpMs);
    }
    here += await settled(useUp(limiter));
    expect(here).toBe(100);
  });
});

describe('60 crashes', () => {
  it.each(Array.from({ length: 3 }, (_, seed) => seed))('use 768 to 800 of 800, never more (%s)', async (seed) => {
    const random = seeded(seed);
    for (let crash = 0; crash < 20; crash += 1) {
      const store = memoryQuotaStore();
      const server = quotaServer({ credits: 10_000, random });
      const life = async (crashesAt: number): Promise<void> => {
        const limiter = withQuota(800, store);
        let isDead = false;
        const work = async (): Promise<void> => {
          while (!isDead) await limiter.run({ credits: 8, min: 1 }, (grant) => send(server, grant), { signal: never });
        };
        const workers = Promise.allSettled([work(), work(), work()]);
        await passTime(crashesAt);
        isDead = true; // nothing is given back
        if (crashesAt === Infinity) await workers;
      };
      await life(random() * 12 * 60_000);
      await life(20 * 60_000);
      const used = server.arrivals.reduce((sum, { credits }) => sum + credits, 0);
      expect(used).toBeGreaterThanOrEqual(768);
      expect(used).toBeLessThanOrEqual(800);
    }
  });
});

describe('the store of a quota', () => {
  const broken = (store: Partial<QuotaStore>): QuotaStore => ({ ...memoryQuotaStore(), ...store });

  it('that fails fails the calls, and grants nothing', async () => {
    const failure = new PipelineError('database_unavailable', 'the database is away', { retryable: true });
    const limiter = withQuota(800, broken({ book: () => Promise.reject(failure) }));
    expect(await refusal(call(limiter, 8))).toBe(failure);
    const gone = withQuota(800, broken({ book: () => Promise.reject(new Error('disk full')) }));
    expect(await refusal(call(gone, 8))).toMatchObject({ code: 'internal', message: 'disk full' });
  });

  it('that throws at once, or books what nobody asked for, is told apart', async () => {
    const throws = broken({
      book: () => {
        throw new Error('not open');
      },
    });
    expect(await refusal(call(withQuota(800, throws), 8))).toMatchObject({ message: 'not open' });
    for (const booked of [-1, 21, NaN, 2.5]) {
      const limiter = withQuota(800, broken({ book: () => Promise.resolve(booked) }));
      expect(await refusal(call(limiter, 8))).toHaveProperty(
        'message',
        `creditLimiter: the quota store booked ${String(booked)} of 20 credits`,
      );
    }
  });

  it('that never answers fails a call after 10 s, and the credits of the window are free at once', async () => {
    let isHanging = true;
    const memory = memoryQuotaStore();
    const hanging = broken({
      book: (...of) => (isHanging ? new Promise<never>(() => undefined) : memory.book(...of)),
    });
    const limiter = withQuota(800, hanging);
    expect(await refusal(call(limiter, 55), 10_500)).toMatchObject({ code: 'timeout', retryable: true });
    isHanging = false;
    expect((await settled(call(limiter, 55), 200)).credits).toBe(55);
  });

  it('that cannot take back loses credits, and nothing else', async () => {
    const limiter = withQuota(800, broken({ giveBack: () => Promise.reject(new Error('disk full')) }));
    await settled(call(limiter, 8), 200);
    await expect(settled(limiter.stop(), 100)).resolves.toBeUndefined();
  });

  it('serves the next call when the one that asked has been dropped meanwhile', async () => {
    const memory = memoryQuotaStore();
    const slow: QuotaStore = {
      ...memory,
      book: async (...of) => {
        await new Promise((resolve) => setTimeout(resolve, 500));
        return memory.book(...of);
      },
    };
    const limiter = withQuota(800, slow);
    const controller = new AbortController();
    const dropped = limiter.run({ credits: 8 }, () => Promise.resolve(), controller);
    const next = call(limiter, 5);
    await passTime(100);
    controller.abort(new Error('no longer wanted'));
    await expect(dropped).rejects.toThrow('no longer wanted');
    expect((await settled(next, 1_000)).credits).toBe(5);
    await settled(limiter.stop(), 1_000);
    expect(await memory.used?.(today)).toBe(5);
  });
});

describe('a plan', () => {
  it('knows what is used, once refreshed', async () => {
    const store = memoryQuotaStore();
    await store.book(today, 700, 800);
    const limiter = withQuota(800, store);
    await limiter.refresh();
    expect(limiter.windows()[1]).toEqual({
      credits: 800,
      windowMs: dayMs,
      left: 100,
      endsAt: new Date(Date.UTC(2026, 0, 2)),
    });
    await settled(call(limiter, 8), 200);
    expect(limiter.windows()[1]?.left).toBe(92);
  });

  it('goes on at the next midnights when the day has no more', async () => {
    const store = memoryQuotaStore();
    await store.book(today, 790, 800);
    const limiter = withQuota(800, store);
    await limiter.refresh();
    const minutesAfter = (midnight: number, credits: number): number =>
      Math.round((limiter.forecast(credits).getTime() - Date.UTC(2026, 0, midnight)) / 60_000);
    expect(limiter.forecast(10).getTime() - startOfTests).toBe(0);
    expect([minutesAfter(2, 11), minutesAfter(2, 10 + 800), minutesAfter(3, 10 + 801)]).toEqual([0, 14, 0]);
  });
});
