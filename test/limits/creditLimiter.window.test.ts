import { beforeEach, describe, expect, it, vi } from 'vitest';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { saturate } from './traffic.ts';
import type { Traffic } from './traffic.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 0, 0, 13) });
});

describe('the quota, kept as busy as can be on a virtual clock', () => {
  it.each<[string, Traffic]>([
    ['24 h of 8 credits, all at once', { credits: 8, weight: 8, hours: 24 }],
    ['6 h of 8 credits, five or what is free', { credits: 8, weight: 5, min: 1, hours: 6 }],
    ['3 h of 55 credits, eight or what is free', { credits: 55, weight: 8, min: 1, hours: 3 }],
    ['3 h of 8 credits, one by one', { credits: 8, weight: 1, hours: 3 }],
    ['3 h of 55 credits by five, first used late', { credits: 55, weight: 5, hours: 3, idleMs: 54_000 }],
    [
      'half an hour of 377 credits, eight or what is free',
      { credits: 377, weight: 8, min: 1, hours: 0.5, maxConcurrent: 32 },
    ],
  ])('%s: never exceeded, and used to 99.5 %%', async (_name, traffic) => {
    const { arrivals, refusals, utilization } = await saturate(traffic);
    expectWindow(arrivals, { limit: traffic.credits, windowMs: 60_000 });
    expect(refusals).toBe(0);
    expect(utilization).toBeGreaterThanOrEqual(0.995);
  });

  it.each<[string, Traffic]>([
    ['12 h of 8 credits, five or what is free', { credits: 8, weight: 5, min: 1, hours: 12 }],
    ['3 h of 55 credits, eight or what is free', { credits: 55, weight: 8, min: 1, hours: 3 }],
    ['3 h of 8 credits, one by one', { credits: 8, weight: 1, hours: 3 }],
    ['3 h of 55 credits by five', { credits: 55, weight: 5, hours: 3 }],
    [
      'half an hour of 377 credits, eight or what is free',
      { credits: 377, weight: 8, min: 1, hours: 0.5, maxConcurrent: 32 },
    ],
  ])('%s: never exceeded while 30 %% of the calls stall, and used up to what they hold', async (_name, traffic) => {
    const { arrivals, refusals, utilization, bound } = await saturate({ ...traffic, stallRate: 0.3, seed: 7 });
    expectWindow(arrivals, { limit: traffic.credits, windowMs: 60_000 });
    expect(refusals).toBe(0);
    expect(bound).toBeGreaterThan(0.9);
    expect(utilization).toBeGreaterThanOrEqual(0.995 * bound);
  });
});
