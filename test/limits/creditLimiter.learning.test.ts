import { beforeEach, describe, expect, it } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import type { CreditLimiter } from '../../src/limits/creditLimiter.ts';
import { RateLimitError } from '../../src/model/errors.ts';
import type { SharedWindow } from '../../src/model/quotaPorts.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { memoryWindow } from '../../src/testing/memoryWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import type { QuotaServer } from '../../src/testing/quotaServer.ts';
import { call, failing, settled, startVirtualTime } from './limiterCalls.ts';
import { hourMs, never, passTime, seeded, send } from './traffic.ts';

beforeEach(() => {
  startVirtualTime();
});

const credits = 55;

/** Two processes on one key. */
function limitersOn(window: SharedWindow): readonly [CreditLimiter, CreditLimiter] {
  const options = { credits, window, callTimeoutMs: 12_000 };
  return [creditLimiter(options), creditLimiter(options)];
}

function sendAll(limiter: CreditLimiter, server: QuotaServer, calls: number, weight: number): Promise<unknown> {
  const one = (): Promise<void> =>
    limiter.run({ credits: weight }, (grant) => send(server, grant), { signal: never }).catch(() => undefined);
  return Promise.all(Array.from({ length: calls }, one));
}

/** Refusals in a minute of which others have spent 40 of 55, where the second process starts a second after the first. */
async function coldStart(window: SharedWindow, seed: number): Promise<number> {
  const server = quotaServer({ credits, random: seeded(seed) });
  const [first, second] = limitersOn(window);
  server.spend(40);
  const work = [sendAll(first, server, 15, 8)];
  await passTime(1_000);
  work.push(sendAll(second, server, 15, 8));
  await settled(Promise.all(work), hourMs);
  expect(server.arrivals.filter(({ refused }) => !refused).length).toBe(30 - server.refusals);
  return server.refusals;
}

describe('limiters on one window', () => {
  it.each([1, 2, 3, 4])('meet no refusal in a minute where others have spent 40 of 55 (chance %i)', async (seed) => {
    const random = seeded(seed);
    const { report: _, ...unlearned } = memoryWindow({ credits, latencyMs: [1, 5], random });
    expect(await coldStart(unlearned, seed)).toBeGreaterThanOrEqual(4);
    expect(await coldStart(memoryWindow({ credits, latencyMs: [1, 5], random }), seed)).toBe(0);
  });

  it('meet hardly a refusal beside a steady second user of the key, and use what that leaves', async () => {
    const random = seeded(6);
    const server = quotaServer({ credits, random });
    const limiters = limitersOn(memoryWindow({ credits, latencyMs: [1, 5], random }));
    const other = setInterval(() => {
      server.spend(1);
    }, 5_000);
    let isOver = false;
    const work = async (limiter: CreditLimiter): Promise<void> => {
      while (!isOver) {
        await limiter
          .run({ credits: 8, min: 1 }, (grant) => send(server, grant), { signal: never })
          .catch(() => undefined);
      }
    };
    const workers = limiters.flatMap((limiter) => Array.from({ length: 5 }, () => work(limiter)));
    await passTime(2 * hourMs);
    clearInterval(other);
    isOver = true;
    const ours = server.arrivals.reduce((sum, arrival) => sum + arrival.credits, 0);
    await settled(Promise.all(workers));
    expectWindow(server.arrivals, { limit: credits, windowMs: 60_000 });
    expect(server.refusals).toBeLessThanOrEqual(2);
    expect(ours / (120 * (credits - 12))).toBeGreaterThan(0.95);
  });
});

describe('a shared window', () => {
  const free = async (limiter: CreditLimiter): Promise<number> =>
    (await settled(call(limiter, credits, { min: 1 }), 200)).credits;

  it.each([
    ['what is left', { left: 2 }, 2],
    ['what is used', { used: 50 }, 5],
    ['what is left before what is used', { used: 500, left: 7 }, 7],
    ['nothing from a longer window', { left: 0, resetMs: 86_400_000 }, 42],
    ['nothing from numbers that are none', { left: NaN, used: -1 }, 42],
    ['nothing from a higher plan than ours', { used: 9, left: 368 }, 42],
    ['no more than there is', { used: 1e300 }, 0],
  ])('takes from a report to one process, for the other, %s', async (_name, seen, left) => {
    const [one, other] = limitersOn(memoryWindow({ credits }));
    await settled(call(other, 5), 200);
    await settled(call(one, 8, { seen }), 200);
    const next = call(other, credits, { min: 1 });
    if (left > 0) expect((await settled(next, 200)).credits).toBe(left);
    else expect((await settled(next)).at).toBeGreaterThan(60);
  });

  it('counts as its own what was sent while the call was on its way', async () => {
    const [one, other] = limitersOn(memoryWindow({ credits }));
    await settled(call(other, 5), 200);
    const slow = call(one, 8, { ms: 1_000, seen: { used: 8 + 5 + 10 + 4 } });
    await settled(call(other, 10), 200);
    await settled(slow, 1_000);
    expect(await free(other)).toBe(credits - 27);
  });

  it('counts as its own what became free and was granted anew while the call was on its way', async () => {
    const [one, other] = limitersOn(memoryWindow({ credits, windowMs: 60_000 }));
    await settled(call(other, 40), 200);
    await passTime(59_000);
    const slow = call(one, 8, { ms: 5_000, seen: { used: 40 + 8 + 40 } });
    await settled(call(other, 40), 2_000);
    await settled(slow, 5_000);
    expect(await free(other)).toBe(credits - 48);
  });

  it('does not count as its own what a call gave back', async () => {
    const [one, other] = limitersOn(memoryWindow({ credits }));
    await settled(call(one, 8, { unused: 3, seen: { used: 5 + 10 } }), 200);
    expect(await free(other)).toBe(credits - 15);
  });

  it('does not count as its own what was refused', async () => {
    const [one, other] = limitersOn(memoryWindow({ credits }));
    await settled(failing(one, new RateLimitError('provider', { retryAfterMs: 10 }), 8), 100);
    await settled(call(other, 5, { seen: { left: 20 } }), 200);
    expect(await free(other)).toBe(20);
  });

  it('forgets a window and 5 s later, and keeps the most seen until then', async () => {
    const [one, other] = limitersOn(memoryWindow({ credits }));
    await settled(call(one, 1, { seen: { left: 4 } }), 10_000);
    await settled(call(one, 1, { seen: { left: 23 } }), 200);
    const next = await settled(call(other, 12, { min: 12 }));
    expect(next.at).toBeCloseTo(65.1, 1);
    expect((await settled(call(other, 40))).at).toBeGreaterThan(70);
  });

  it('is asked nothing that its own process can answer, and its failures fail no call', async () => {
    const reports: number[] = [];
    const window: SharedWindow = {
      ...memoryWindow({ credits }),
      report: (_grant, used) => {
        reports.push(used);
        throw new Error('connection lost');
      },
    };
    const [limiter] = limitersOn(window);
    await settled(call(limiter, 8, { seen: { used: 8 } }), 200);
    await settled(call(limiter, 5, { seen: { used: 14 } }), 200);
    await settled(limiter.stop(), 200);
    expect(reports).toEqual([14]);
  });

  it('has been told of everything once the limiter has stopped', async () => {
    const told: string[] = [];
    const later = async (what: string): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      told.push(what);
    };
    const window: SharedWindow = {
      ...memoryWindow({ credits }),
      report: () => later('report'),
      settle: () => later('settle'),
    };
    const [limiter] = limitersOn(window);
    await settled(call(limiter, 8, { seen: { left: 0 } }), 200);
    await settled(limiter.stop(), 3_000);
    expect(told).toEqual(['report', 'settle']);
  });
});
