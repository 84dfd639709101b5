import { beforeEach, describe, expect, it } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import type { CreditLimiter } from '../../src/limits/creditLimiter.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call, settled, startOfTests, startVirtualTime } from './limiterCalls.ts';
import { hourMs, never, passTime, seeded, send } from './traffic.ts';

beforeEach(() => {
  startVirtualTime();
});

const lanes = ['market', 'index', 'historical'];

/** Keeps lanes busy; counts the credits that each got. */
function backlog(limiter: CreditLimiter, busy: readonly string[], ms = 100) {
  const granted = new Map<string, number>();
  let isOver = false;
  const work = async (lane: string): Promise<void> => {
    while (!isOver) {
      const { credits } = await call(limiter, 8, { min: 1, lane, ms });
      granted.set(lane, (granted.get(lane) ?? 0) + credits);
    }
  };
  const workers = busy.flatMap((lane) => [lane, lane, lane, lane]).map(work);
  return {
    share: (lane: string): number => (granted.get(lane) ?? 0) / [...granted.values()].reduce((sum, of) => sum + of, 0),
    end: async () => {
      isOver = true;
      await settled(Promise.all(workers), hourMs);
    },
  };
}

describe('lanes that wait side by side', () => {
  it.each([
    ['in bursts', 55, 60_000],
    ['on a small quota', 8, 60_000],
    ['in a trickle', 377, 1_000],
  ])('share %s: an eighth for each lower one, the rest for the highest', async (_name, credits, windowMs) => {
    const limiter = creditLimiter({ credits, windowMs, lanes });
    const all = backlog(limiter, lanes);
    await passTime(Math.min(hourMs, windowMs * 60));
    expect(all.share('historical')).toBeGreaterThanOrEqual(0.12);
    expect(all.share('index')).toBeGreaterThanOrEqual(0.12);
    expect(all.share('market')).toBeGreaterThanOrEqual(0.7);
    await all.end();
  });

  it('give everything to the only one that waits, but for the reserve', async () => {
    const limiter = creditLimiter({ credits: 8, lanes });
    expect(limiter.windows('market')[0]).toMatchObject({ credits: 8, left: 8 });
    expect(limiter.windows('historical')[0]).toMatchObject({ credits: 6, left: 6 });
    expect((await settled(call(limiter, 8, { min: 1, lane: 'historical' }), 200)).credits).toBe(6);
    expect((await settled(call(limiter, 8, { min: 1, lane: 'index' }), 200)).credits).toBe(2);
  });

  it('put calls of other lanes, and of none, into the lowest', async () => {
    const limiter = creditLimiter({ credits: 8, lanes, reserve: 3 });
    expect(limiter.windows('elsewhere')[0]?.credits).toBe(5);
    expect(limiter.windows()[0]?.credits).toBe(5);
    expect((await settled(call(limiter, 8, { min: 1 }), 200)).credits).toBe(5);
  });

  it('save nothing up while they are idle', async () => {
    const limiter = creditLimiter({ credits: 8, lanes, reserve: 0 });
    const market = backlog(limiter, ['market']);
    await passTime(2 * hourMs);
    const late = backlog(limiter, ['historical']);
    await passTime(hourMs);
    await Promise.all([market.end(), late.end()]);
    // Had it saved up its eighth of two hours, it would have had a quarter of the third.
    const order: string[] = [];
    for (const lane of ['historical', 'market', 'market']) void call(limiter, 8, { lane }).then(() => order.push(lane));
    await passTime(hourMs);
    expect(order).toHaveLength(3);
    expect(order[0]).toBe('market');
  });

  it('never take the reserve from a call that needs nearly the whole window', async () => {
    const limiter = creditLimiter({ credits: 8, lanes, reserve: 4 });
    expect((await settled(call(limiter, 7, { lane: 'historical' }))).credits).toBe(7);
  });
});

describe('a rare market job', () => {
  async function longestWait(options: { readonly lanes?: readonly string[]; readonly reserve?: number }) {
    const limiter = creditLimiter({ credits: 55, ...options });
    const historical = backlog(limiter, ['historical'], 300);
    await passTime(10 * 60_000);
    const waits: number[] = [];
    for (let job = 0; job < 12; job += 1) {
      await passTime(107_000); // at another moment of the window each time
      const askedAt = performance.now();
      await settled(
        limiter.run(
          { credits: 8, min: 1, lane: 'market' },
          () => {
            waits.push(performance.now() - askedAt);
            return Promise.resolve();
          },
          { signal: never },
        ),
        61_000,
      );
    }
    await historical.end();
    return Math.max(...waits);
  }

  it('is served at once beside a historical backlog', async () => {
    expect(await longestWait({ lanes })).toBeLessThan(50);
  });

  it('waits for most of a window without a reserve', async () => {
    expect(await longestWait({ lanes, reserve: 0 })).toBeGreaterThan(20_000);
  });

  it('finds one of the calls at once left to it', async () => {
    const limiter = creditLimiter({ credits: 55, lanes, maxConcurrent: 2 });
    await settled(call(limiter, 1, { lane: 'market' }), 200);
    const slow = [0, 1].map(() => call(limiter, 1, { lane: 'historical', ms: 9_000 }));
    await passTime(1_000);
    const market = await settled(call(limiter, 1, { lane: 'market' }), 500);
    expect(market.at).toBeLessThan(1.3);
    const [, second] = await settled(Promise.all(slow), 20_000);
    expect(second?.at).toBeGreaterThan(9);
  });
});

describe('requests of one lane', () => {
  it('take turns call by call', async () => {
    const limiter = creditLimiter({ credits: 1, windowMs: 1_000 });
    const order: string[] = [];
    for (const request of ['a', 'a', 'a', 'b', 'b', 'c']) {
      void call(limiter, 1, { request }).then(() => order.push(request));
    }
    await passTime(20_000);
    expect(order).toEqual(['a', 'b', 'c', 'a', 'b', 'a']);
  });

  it('are done by their lowest batches first', async () => {
    const limiter = creditLimiter({ credits: 1, windowMs: 1_000 });
    const order: number[] = [];
    for (const batch of [0, 3, 2, 2, 1]) void call(limiter, 1, { request: 'r', batch }).then(() => order.push(batch));
    await passTime(20_000);
    expect(order).toEqual([0, 1, 2, 2, 3]);
  });
});

describe('a forecast for a lane', () => {
  it('counts what goes before, and a lower lane by its eighth only', async () => {
    const limiter = creditLimiter({ credits: 8, lanes, reserve: 0 });
    await settled(call(limiter, 8, { lane: 'market' }), 200);
    const waiting = [
      ...Array.from({ length: 4 }, () => call(limiter, 8, { lane: 'historical' })),
      call(limiter, 8, { lane: 'index' }),
    ];
    const minutes = (credits: number, lane: string): number =>
      Math.round((limiter.forecast(credits, lane).getTime() - startOfTests) / 60_000);
    expect([minutes(6, 'market'), minutes(8, 'index'), minutes(8, 'historical')]).toEqual([1, 3, 6]);
    await settled(Promise.all(waiting), hourMs);
  });

  it('leaves the reserve to the others', () => {
    const limiter = creditLimiter({ credits: 8, lanes, reserve: 2 });
    expect(limiter.forecast(8, 'market').getTime() - startOfTests).toBe(0);
    expect(limiter.forecast(8, 'historical').getTime() - startOfTests).toBeCloseTo(60_002, -2);
    expect(limiter.forecast(60, 'historical').getTime() - startOfTests).toBeCloseTo(9 * 60_002, -2);
  });

  it('is where the last credit is granted, within 3 %', async () => {
    const limiter = creditLimiter({ credits: 55, lanes });
    const server = quotaServer({ credits: 55, random: seeded(8) });
    const other = Array.from({ length: 40 }, () =>
      limiter.run({ credits: 8, lane: 'market' }, (grant) => send(server, grant), { signal: never }),
    );
    const expected = limiter.forecast(1_500, 'historical').getTime() - startOfTests;
    let left = 1_500;
    let doneAt = 0;
    const work = async (): Promise<void> => {
      while (left > 0) {
        await limiter.run(
          { credits: Math.min(8, left), min: 1, lane: 'historical' },
          async (grant) => {
            const unused = Math.max(0, grant.credits - left);
            grant.release(unused);
            left -= grant.credits - unused;
            if (left === 0) doneAt = performance.now();
            await send(server, grant);
          },
          { signal: never },
        );
      }
    };
    const startedAt = performance.now();
    await settled(Promise.all([work(), work(), ...other]), hourMs);
    expectWindow(server.arrivals, { limit: 55, windowMs: 60_000 });
    expect(Math.abs(doneAt - startedAt - expected) / (doneAt - startedAt)).toBeLessThan(0.03);
  });
});
