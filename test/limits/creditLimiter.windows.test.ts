import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import type { CreditLimiterOptions } from '../../src/limits/creditLimiter.ts';
import { OptionsError, ProviderError, RateLimitError } from '../../src/model/errors.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call, failing, settled, startOfTests, startVirtualTime } from './limiterCalls.ts';
import { hourMs, never, passTime, seeded, send } from './traffic.ts';

beforeEach(() => {
  startVirtualTime();
});

const dayMs = 24 * hourMs;

describe('several windows', () => {
  it('are all kept, and the narrowest of each moment used up', async () => {
    const windows = [
      { credits: 12, windowMs: 10_000 },
      { credits: 1_500, windowMs: hourMs },
    ];
    const server = quotaServer({ credits: 1_500, windowMs: hourMs, random: seeded(4) });
    const limiter = creditLimiter({ credits: 55, windows, maxConcurrent: 8 });
    let isOver = false;
    const work = async (): Promise<void> => {
      while (!isOver) await limiter.run({ credits: 5, min: 1 }, (grant) => send(server, grant), { signal: never });
    };
    const workers = Array.from({ length: 10 }, work);
    await passTime(2 * hourMs);
    isOver = true;
    await settled(Promise.all(workers), hourMs);
    const mostBy = [
      expectWindow(server.arrivals, { limit: 12, windowMs: 10_000 }),
      expectWindow(server.arrivals, { limit: 55, windowMs: 60_000 }),
      expectWindow(server.arrivals, { limit: 1_500, windowMs: hourMs }),
    ];
    expect(mostBy).toEqual([12, 55, 1_500]);
    expect(server.refusals).toBe(0);
  });

  it('are told, forecast and given back to alike', async () => {
    const limiter = creditLimiter({ credits: 55, windows: [{ credits: 5, windowMs: 1_000 }] });
    expect((await settled(call(limiter, 8, { min: 1, unused: 3 }), 200)).credits).toBe(5);
    expect(limiter.windows()).toEqual([
      { credits: 55, windowMs: 60_000, left: 53 },
      { credits: 5, windowMs: 1_000, left: 3 },
    ]);
    expect(limiter.forecast(3)).toEqual(new Date());
    expect(limiter.forecast(4).getTime() - startOfTests).toBeCloseTo(1_102, -2);
    expect(limiter.forecast(54).getTime() - startOfTests).toBeCloseTo(60_102, -2);
  });

  it('refuse a call that does not fit the smallest', async () => {
    const limiter = creditLimiter({ credits: 55, windows: [{ credits: 5, windowMs: 1_000 }] });
    await expect(call(limiter, 6)).rejects.toThrow('creditLimiter: a call for 6 credits never fits a window of 5');
  });

  it.each([
    [{ windows: [{ credits: 0, windowMs: 1_000 }] }, 'windows.0.credits: expected a whole number of at least 1, got 0'],
    [
      { windows: [{ credits: -5, windowMs: 1_000 }] },
      'windows.0.credits: expected a whole number of at least 1, got -5',
    ],
    [{ windows: [{ credits: 2.5, windowMs: 1_000 }] }, 'windows.0.credits: expected a whole'],
    [{ windows: [{ credits: 5, windowMs: 0 }] }, 'windows.0.windowMs: '],
    [{ quotas: [{ credits: 0, period: 'day' }] }, 'quotas.0.credits: expected a whole number of at least 1, got 0'],
    [{ quotas: [{ credits: 800.5, period: 'day' }] }, 'quotas.0.credits: expected a whole'],
    [{ quotas: [{ credits: 800, period: 'year' }] }, 'quotas.0.period: '],
    [{ quotas: [{ credits: 800, period: 'day', store: {} }] }, 'quotas.0.store: expected a QuotaStore'],
    [{ reserve: 8 }, 'reserve: expected less than the 8 credits, got 8'],
    [{ reserve: -1 }, 'reserve: '],
    [{ reserve: 0.5 }, 'reserve: '],
    [{ lanes: [''] }, 'lanes.0: '],
    [{ window: {} }, 'window: expected a SharedWindow'],
    [{ callTimeoutMs: 0 }, 'callTimeoutMs: '],
    [{ startsUsed: 'yes' }, 'startsUsed: '],
  ])('%o is refused: %s', (option, message) => {
    const options = { credits: 8, ...option } as unknown as CreditLimiterOptions;
    expect(() => creditLimiter(options)).toThrow(OptionsError);
    expect(() => creditLimiter(options)).toThrow(`creditLimiter: ${message}`);
  });
});

describe('a start after an unclean stop', () => {
  it('goes over no window, where a start as if nothing had been used does', async () => {
    async function mostAcrossACrash(startsUsed: boolean): Promise<number> {
      const server = quotaServer({ credits: 80, random: seeded(9), latencyMs: [5, 200] });
      const first = creditLimiter({ credits: 8 });
      void first.run({ credits: 8 }, (grant) => send(server, grant), { signal: never });
      await passTime(20); // and dies here, its call on the way
      const second = creditLimiter({ credits: 8, startsUsed });
      await settled(second.run({ credits: 8 }, (grant) => send(server, grant), { signal: never }));
      await settled(first.stop());
      return expectWindow(server.arrivals, { limit: 80, windowMs: 60_000 });
    }
    expect(await mostAcrossACrash(true)).toBe(8);
    expect(await mostAcrossACrash(false)).toBe(16);
  });

  it('waits for a window and 5 s', async () => {
    const limiter = creditLimiter({ credits: 8, startsUsed: true });
    expect(limiter.forecast(1).getTime() - startOfTests).toBe(65_002);
    expect((await settled(call(limiter, 8))).at).toBeCloseTo(65.002, 2);
    expect((await settled(call(creditLimiter({ credits: Infinity, startsUsed: true }), 8), 200)).credits).toBe(8);
  });
});

describe('what a provider says of when to call again', () => {
  it.each([
    // Issue 10, item 20: at most one window of the plan.
    ['in ten years: a window', 10 * 365 * dayMs, {}, 60_000],
    [
      'in ten years: the longest of its windows',
      10 * 365 * dayMs,
      { windows: [{ credits: 90, windowMs: hourMs }] },
      hourMs,
    ],
    [
      'in ten years: a window, whatever its quotas',
      10 * 365 * dayMs,
      { quotas: [{ credits: 500, period: 'month' }] },
      60_000,
    ],
    ['in 60,000 s: a window', 60_000_000, {}, 60_000],
    ['in ten years, without windows: a minute', 10 * 365 * dayMs, { credits: Infinity }, 60_000],
    ['in a window', 60_000, {}, 60_000],
    ['just after the next minute', 60_250, {}, 60_250],
    ['sooner', 9_000, {}, 9_000],
    ['in the past: the next clock minute', -5_000, {}, 47_250],
    ['at no time: the next clock minute', Infinity, {}, 47_250],
  ] as const)('after a refusal, %s', async (_name, retryAfterMs, options, expected) => {
    const limiter = creditLimiter({ credits: 8, ...options });
    await settled(failing(limiter, new RateLimitError('test', { retryAfterMs })), 10);
    expect(limiter.forecast(1).getTime() - startOfTests).toBeCloseTo(expected, -2);
  });

  // Issue 10, item 20.
  it('and tells of a pause that is longer than a window', async () => {
    const told: unknown[] = [];
    const limiter = creditLimiter({ credits: 8, onLongPause: (pause) => told.push(pause) });
    for (const retryAfterMs of [30_000, 60_250, undefined]) {
      await settled(failing(limiter, new RateLimitError('test', { retryAfterMs })), 61_000);
      await vi.advanceTimersByTimeAsync(61_000);
    }
    expect(told).toEqual([]);
    const error = new RateLimitError('test', { retryAfterMs: 60_000_000 });
    await settled(failing(limiter, error), 200);
    expect(told).toEqual([{ askedMs: 60_000_000, pauseMs: 60_000, error }]);
  });

  it.each([
    ['in ten years: a day', 10 * 365 * dayMs, dayMs],
    ['in two hours', 2 * hourMs, 2 * hourMs],
    ['in the past: the end of the day', -5_000, 12 * hourMs - 13_000],
    ['nothing: the end of the day', undefined, 12 * hourMs - 13_000],
    ['rubbish: the end of the day', NaN, 12 * hourMs - 13_000],
  ])('when its quota is gone, %s', async (_name, retryAfterMs, expected) => {
    const limiter = creditLimiter({ credits: 8 });
    await settled(failing(limiter, new ProviderError('quota_exhausted', 'gone', { retryAfterMs })), 10);
    const refused = await settled(failing(limiter, new Error('never sent')), 1);
    expect(refused).toMatchObject({ code: 'quota_exhausted' });
    expect((refused as ProviderError).retryAfterMs).toBeCloseTo(expected, -2);
    expect(limiter.forecast(1).getTime() - startOfTests).toBeCloseTo(expected, -2);
    await passTime(expected);
    expect((await settled(call(limiter, 1), 200)).credits).toBe(1);
  });

  it('about its quota closes the limiter for everyone who waits, too', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const gone = new ProviderError('quota_exhausted', 'words: 800 of 800 used', { retryAfterMs: hourMs });
    const first = failing(limiter, gone, 8);
    const waiting = [call(limiter, 8), call(limiter, 1)].map((promise) => promise.catch((error: unknown) => error));
    expect(await settled(first, 10)).toBe(gone);
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: 'quota_exhausted' });
      expect(String(error)).toContain("creditLimiter: the provider's quota is used up until 2026-01-01T13:00:13");
    }
    expect(vi.getTimerCount()).toBe(0);
  });
});
