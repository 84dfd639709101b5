import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter, type CreditLimiterOptions } from '../../src/limits/creditLimiter.ts';
import { estimate, mostAtOnce } from '../../src/limits/estimate.ts';
import { limited } from '../../src/limits/limited.ts';
import type { Limiter } from '../../src/model/ports.ts';
import { call, wordLengths, words } from './providers.ts';

const now = Date.UTC(2026, 10, 24, 14);

beforeEach(() => {
  vi.useFakeTimers({ now });
});

const callsOf = (count: number, limiter: CreditLimiterOptions, options: object = {}, ahead = 0) => {
  const { calls, credits } = estimate(wordLengths(options), creditLimiter(limiter), words(count), { ahead });
  return [calls, credits];
};

describe('estimate', () => {
  it.each<[string, number, CreditLimiterOptions, object, number, readonly [number, number]]>([
    ['nothing', 0, { credits: 8 }, {}, 0, [0, 0]],
    ['what a window pays for at a time', 100, { credits: 8 }, {}, 0, [13, 100]],
    ['at most what the provider takes', 100, { credits: 55 }, { maxBatchSize: 30 }, 0, [4, 100]],
    ['after what the batches before leave of a window', 6, { credits: 8 }, {}, 5, [2, 6]],
    ['after what comes along in the last call of batches that are cut too', 10, { credits: 8 }, {}, 5, [1, 10]],
    ['all at once without a quota', 250, { credits: Infinity }, {}, 3, [3, 250]],
    ['by windows within windows', 40, { credits: 8, windows: [{ credits: 20, windowMs: 300_000 }] }, {}, 0, [6, 40]],
    ['with a call for each', 12, { credits: 5 }, { cost: () => 1 }, 0, [1, 1]],
    [
      'three credits each, which leave some of a window',
      5,
      { credits: 8 },
      { cost: (list: string[]) => list.length * 3 },
      0,
      [3, 15],
    ],
    [
      'nothing that costs more than a window',
      3,
      { credits: 8 },
      { cost: (list: string[]) => list.length * 9 },
      0,
      [0, 0],
    ],
    ['whatever is left of a day', 10, { credits: 8, quotas: [{ credits: 9, period: 'day' }] }, {}, 0, [2, 10]],
  ])('cuts %s', (_, count, limiter, options, ahead, expected) => {
    expect(callsOf(count, limiter, options, ahead)).toEqual(expected);
  });

  it('says when the last credits will have been granted', () => {
    const limiter = creditLimiter({ credits: 8 });
    const at = (count: number, ahead: number) =>
      estimate(wordLengths(), limiter, words(count), { ahead }).doneAt.getTime() - now;
    expect([at(8, 0), at(9, 0), at(0, 9), at(0, 100)].map((ms) => Math.round(ms / 60_000))).toEqual([0, 1, 1, 12]);
  });

  it('counts the calls of other requests that wait, and those of its own only once', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const fetcher = limited(wordLengths(), limiter);
    void fetcher.fetch(words(8), call({ request: 'before' }));
    void fetcher.fetch(words(16).slice(8), call({ request: 'own' }));
    await vi.advanceTimersByTimeAsync(1_000);
    const minutes = (request: string) =>
      Math.round(((fetcher.estimate?.([], { request, ahead: 8 }).doneAt.getTime() ?? 0) - now) / 60_000);
    expect([minutes('own'), minutes('other')]).toEqual([1, 2]);
  });

  it('asks the limiter to read anew', async () => {
    const refresh = vi.fn<NonNullable<Limiter['refresh']>>(() => Promise.resolve());
    await limited(wordLengths(), Object.assign(creditLimiter({ credits: 8 }), { refresh })).refresh?.();
    expect(refresh).toHaveBeenCalledOnce();
  });
});

describe('the wait of a batch', () => {
  it('is for what a window holds at most', async () => {
    const waits: unknown[] = [];
    const fetcher = limited(wordLengths(), creditLimiter({ credits: 8 }));
    const onWait = (until: Date, credits?: number) =>
      waits.push([Math.round((until.getTime() - now) / 60_000), credits]);
    void fetcher.fetch(words(20), call({ onWait }));
    await vi.advanceTimersByTimeAsync(121_000);
    expect(waits).toEqual([
      [1, 8],
      [2, 4],
    ]);
  });

  it('knows no bound without windows', () => {
    expect(mostAtOnce([])).toBe(Infinity);
  });
});
