import { beforeEach, describe, expect, it } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import type { CreditLimiter, CreditLimiterOptions } from '../../src/limits/creditLimiter.ts';
import { memoryQuotaStore } from '../../src/limits/quotas/memoryQuotaStore.ts';
import { PipelineError } from '../../src/model/errors.ts';
import type { SharedWindow } from '../../src/model/quotaPorts.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { memoryWindow } from '../../src/testing/memoryWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call, seconds, settled, startVirtualTime } from './limiterCalls.ts';
import { hourMs, never, passTime, seeded, send } from './traffic.ts';

beforeEach(() => {
  startVirtualTime();
});

interface Seen {
  readonly takes: Parameters<SharedWindow['take']>[0][];
  readonly releases: number[];
  readonly settles: number[];
}

/** A window that writes down what it is asked. */
function watched(credits: number): SharedWindow & { readonly seen: Seen } {
  const window = memoryWindow({ credits });
  const seen: Seen = { takes: [], releases: [], settles: [] };
  return {
    seen,
    take: (want) => {
      seen.takes.push(want);
      return window.take(want);
    },
    release: (grant, unused) => {
      seen.releases.push(unused);
      return window.release(grant, unused);
    },
    settle: (grant, freeInMs, refused) => {
      seen.settles.push(freeInMs);
      return window.settle(grant, freeInMs, refused);
    },
  };
}

describe('four limiters on one window', () => {
  it.each([
    ['8 credits', 8, 3],
    ['55 credits', 55, 1],
  ])('of %s never exceed it and use 98 %%, one dropped in the middle', async (_name, credits, hours) => {
    const random = seeded(credits);
    const server = quotaServer({ credits, random });
    const window = memoryWindow({ credits, latencyMs: [1, 5], random });
    const limiters = Array.from({ length: 4 }, () =>
      creditLimiter({ credits, window, maxConcurrent: 8, callTimeoutMs: 12_000 }),
    );
    const dead = new Set<CreditLimiter>();
    let isOver = false;
    const work = async (limiter: CreditLimiter): Promise<void> => {
      while (!isOver) {
        if (dead.has(limiter)) return;
        const task = limiter.run(
          { credits: 8, min: 1 },
          async (grant) => {
            // A process that dies settles nothing any more: its call hangs for ever.
            const isDead = dead.has(limiter);
            await send(server, grant);
            if (isDead || dead.has(limiter)) await new Promise<never>(() => undefined);
          },
          { signal: never },
        );
        await task;
      }
    };
    const workers = limiters.flatMap((limiter) => [work(limiter), work(limiter), work(limiter)]);
    await passTime((hours / 2) * hourMs);
    dead.add(limiters[1]!);
    await passTime((hours / 2) * hourMs);
    const used = server.arrivals.reduce((sum, arrival) => sum + arrival.credits, 0);
    expectWindow(server.arrivals, { limit: credits, windowMs: 60_000 });
    expect(server.refusals).toBe(0);
    expect(used / (credits * 60 * hours)).toBeGreaterThanOrEqual(0.98);
    isOver = true;
    await settled(Promise.race([Promise.all(workers), Promise.resolve()]), 10 * 60_000);
  });
});

describe('a shared window', () => {
  const limiterOf = (window: SharedWindow, options: Partial<CreditLimiterOptions> = {}): CreditLimiter =>
    creditLimiter({ credits: 8, window, callTimeoutMs: 12_000, ...options });

  it('holds credits for a call, the window and 5 s, and for the window from the answer on', async () => {
    const window = watched(8);
    await settled(call(limiterOf(window), 5, { min: 2, unused: 1 }), 200);
    expect(window.seen.takes).toMatchObject([{ credits: 5, min: 2, reserve: 0, holdMs: 12_000 + 60_002 + 5_000 }]);
    expect(window.seen.releases).toEqual([1]);
    expect(window.seen.settles).toEqual([60_002]);
  });

  it('holds them 5 s longer without an answer', async () => {
    const window = watched(8);
    const lost = new PipelineError('timeout', 'no answer', { retryable: true });
    const failed = limiterOf(window).run({ credits: 5 }, () => Promise.reject(lost), { signal: never });
    await expect(settled(failed, 200)).rejects.toBe(lost);
    expect(window.seen.settles).toEqual([65_002]);
  });

  it('tells each call when it has to have ended', async () => {
    const deadline = await settled(
      limiterOf(memoryWindow({ credits: 8 })).run(
        { credits: 1 },
        (grant) => Promise.resolve(grant.deadlineAtMs! - performance.now()),
        { signal: never },
      ),
      100,
    );
    expect(deadline).toBeGreaterThan(11_900);
    expect(deadline).toBeLessThanOrEqual(12_000);
  });

  it('is asked again when it says so, and not before', async () => {
    const window = watched(8);
    const limiter = limiterOf(window);
    await settled(call(limiter, 8), 1_000);
    const next = call(limiter, 8);
    await passTime(59_000);
    expect(window.seen.takes).toHaveLength(2);
    expect((await settled(next)).at).toBeCloseTo(60.1, 0);
  });

  it('keeps its reserve from the lowest lane, but is asked at once for a higher one', async () => {
    const window = watched(8);
    const limiter = limiterOf(window, { lanes: ['market', 'historical'] });
    await settled(call(limiter, 6, { lane: 'historical' }), 200);
    const waiting = call(limiter, 1, { lane: 'historical' });
    await passTime(1_100);
    const at = seconds();
    const market = await settled(call(limiter, 2, { lane: 'market' }), 200);
    expect(market.at - at).toBeLessThan(0.01);
    expect(window.seen.takes.map(({ reserve }) => reserve)).toEqual(expect.arrayContaining([2, 0]));
    await settled(waiting);
  });

  it('keeps its reserve, too, when a higher call is dropped while it is asked for that', async () => {
    const window = memoryWindow({ credits: 8, latencyMs: [500, 500] });
    const limiter = limiterOf(window, { lanes: ['market', 'historical'], reserve: 3 });
    const controller = new AbortController();
    const market = limiter.run({ credits: 8, lane: 'market' }, () => Promise.resolve(), { signal: controller.signal });
    market.catch(() => undefined);
    const historical = call(limiter, 8, { min: 1, lane: 'historical' });
    await passTime(200);
    controller.abort();
    expect((await settled(historical, 5_000)).credits).toBe(5);
  });

  it('gets everything back that a call dropped meanwhile does not need', async () => {
    const window = memoryWindow({ credits: 8, latencyMs: [500, 500] });
    const limiter = limiterOf(window);
    const controller = new AbortController();
    const dropped = limiter.run({ credits: 8 }, () => Promise.resolve(), controller);
    await passTime(100);
    controller.abort(new Error('no longer wanted'));
    await expect(dropped).rejects.toThrow('no longer wanted');
    await passTime(1_500);
    expect((await settled(call(limiterOf(window), 8), 1_000)).credits).toBe(8);
  });

  it('that answers so late that the hold is nearly over serves nobody with it', async () => {
    let latencyMs = 7_000;
    const memory = memoryWindow({ credits: 8 });
    const window: SharedWindow = {
      ...memory,
      take: async (want) => {
        const taken = await memory.take(want);
        await new Promise((resolve) => setTimeout(resolve, latencyMs));
        latencyMs = 0;
        return taken;
      },
    };
    const served = limiterOf(window).run(
      { credits: 8 },
      (grant) => Promise.resolve({ at: seconds(), leftMs: grant.deadlineAtMs! - performance.now() }),
      { signal: never },
    );
    expect(await settled(served, 8_000)).toEqual({ at: 7, leftMs: 12_000 });
  });

  it('that fails, throws or never answers fails the call, and grants nothing', async () => {
    const memory = memoryWindow({ credits: 8 });
    const away = new PipelineError('database_unavailable', 'the database is away', { retryable: true });
    const failing = limiterOf({ ...memory, take: () => Promise.reject(away) });
    await expect(settled(call(failing, 8), 100)).rejects.toBe(away);
    const throwing = limiterOf({
      ...memory,
      take: () => {
        throw new Error('not open');
      },
    });
    await expect(settled(call(throwing, 8), 100)).rejects.toMatchObject({ code: 'internal', message: 'not open' });
    const hanging = limiterOf({ ...memory, take: () => new Promise(() => undefined) });
    await expect(settled(call(hanging, 8), 11_000)).rejects.toMatchObject({ code: 'timeout' });
  });

  it('gets back what it grants after nobody waits for the answer any more', async () => {
    const memory = watched(8);
    const window: SharedWindow = {
      ...memory,
      take: async (want) => {
        await new Promise((resolve) => setTimeout(resolve, 15_000));
        return memory.take(want);
      },
    };
    await expect(settled(call(limiterOf(window), 8), 11_000)).rejects.toMatchObject({ code: 'timeout' });
    await passTime(5_000);
    expect(memory.seen.releases).toEqual([8]);
  });

  it('that cannot be told of an end keeps its hold, and the call succeeds', async () => {
    const window: SharedWindow = {
      ...memoryWindow({ credits: 8 }),
      settle: () => Promise.reject(new Error('connection lost')),
    };
    const limiter = limiterOf(window);
    expect((await settled(call(limiter, 8), 200)).credits).toBe(8);
    expect((await settled(call(limiter, 8))).at).toBeCloseTo(77, 0);
    await expect(settled(limiter.stop())).resolves.toBeUndefined();
  });

  it('has been told of every end once the limiter has stopped', async () => {
    const memory = watched(8);
    const window: SharedWindow = {
      ...memory,
      settle: async (grant, freeInMs) => {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        await memory.settle(grant, freeInMs);
      },
    };
    const limiter = limiterOf(window);
    await settled(call(limiter, 8), 200);
    await settled(limiter.stop(), 2_000);
    expect(memory.seen.settles).toEqual([60_002]);
  });

  it('needs a number of credits', () => {
    expect(() => creditLimiter({ credits: Infinity, window: memoryWindow({ credits: 8 }) })).toThrow(
      'creditLimiter: credits: expected a whole number with a shared window, got Infinity',
    );
  });

  it('has a quota book no more at once than it could ever grant', async () => {
    const store = memoryQuotaStore();
    const quotas = [{ credits: 800, period: 'day', store }] as const;
    const limiter = limiterOf(memoryWindow({ credits: 8 }), { quotas });
    expect((await settled(call(limiter, 120, { min: 1 }), 1_000)).credits).toBe(8);
    expect(await store.used?.('2026-01-01')).toBe(20);
  });

  it('goes together with quotas and further windows, and pays no one for nothing', async () => {
    const window = watched(55);
    const limiter = creditLimiter({
      credits: 55,
      window,
      windows: [{ credits: 5, windowMs: 1_000 }],
      quotas: [{ credits: 12, period: 'day' }],
    });
    const first = await settled(call(limiter, 8, { min: 1 }), 2_000);
    const second = await settled(call(limiter, 8, { min: 1 }), 2_000);
    const third = await settled(call(limiter, 8, { min: 1 }), 2_000);
    expect([first.credits, second.credits, third.credits]).toEqual([5, 5, 2]);
    await expect(settled(call(limiter, 1), 2_000)).rejects.toMatchObject({ code: 'quota_exhausted' });
    expect(window.seen.takes.map(({ credits }) => credits)).toEqual([5, 5, 2]);
    expect(limiter.forecast(55 - 12 + 1).getTime()).toBeGreaterThan(Date.now());
  });
});
