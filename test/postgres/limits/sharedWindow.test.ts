import { describe, expect, it } from 'vitest';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import type { SharedWindow } from '../../../src/model/quotaPorts.ts';
import { postgresWindow } from '../../../src/postgres/limits/postgresWindow.ts';
import { expectWindow } from '../../../src/testing/expectWindow.ts';
import { quotaServer } from '../../../src/testing/quotaServer.ts';
import { seeded, send } from '../../limits/traffic.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { useVirtualTime } from './virtualTime.ts';

const windowMs = 60_000;
const forGood = 2 ** 31 - 1;

/** A window that can be cut off from its process, as if that had died. */
function mortal(window: SharedWindow): SharedWindow & { die(): void } {
  let isDead = false;
  const alive = <Result>(ask: () => Promise<Result>): Promise<Result> => (isDead ? new Promise(() => {}) : ask());
  return {
    take: (want) => alive(() => window.take(want)),
    release: (grant, unused) => alive(() => window.release(grant, unused)),
    settle: (grant, freeInMs, refused) => alive(() => window.settle(grant, freeInMs, refused)),
    report: (grant, used, forMs) => alive(async () => window.report?.(grant, used, forMs)),
    die: () => {
      isDead = true;
    },
  };
}

describe('limiters on one window', () => {
  it.each([
    { credits: 8, weight: 1, min: 1, stallRate: 0, least: 0.95 },
    { credits: 20, weight: 8, min: 1, stallRate: 0, least: 0.95 },
    { credits: 8, weight: 3, min: 2, stallRate: 0.3, least: 0.5 },
  ])(
    'keep within $credits credits, $weight at a time, and use them, also when one of four is dropped',
    async ({ credits, weight, min, stallRate, least }) => {
      await using database = track(await openTestDatabase({ migrated: true, poolSize: 4, idleTimeoutMs: forGood }));
      const time = useVirtualTime();
      const server = quotaServer({ credits, windowMs, stallRate, random: seeded(1) });
      const now = (): number => Date.UTC(2026, 10, 24) + performance.now();
      const key = { provider: 'twelve-data', apiKey: 'some-api-key' };
      const windows = Array.from({ length: 4 }, () =>
        mortal(time.watch(postgresWindow({ database, ...key, credits, windowMs, now }))),
      );
      const limiters = windows.map((window) => creditLimiter({ credits, windowMs, window, callTimeoutMs: 12_000 }));
      let isOver = false;
      const work = async (limiter: (typeof limiters)[number]): Promise<void> => {
        const want = { credits: weight, min };
        const { signal } = new AbortController();
        // A dropped limiter never answers again, and its worker ends with the test.
        while (!isOver) await limiter.run(want, (grant) => send(server, grant), { signal }).catch(() => {});
      };
      for (const limiter of limiters) for (let worker = 0; worker < 3; worker += 1) void work(limiter);

      const [minutes, startedAt] = [16, performance.now()];
      await time.run((minutes / 2) * windowMs);
      windows[0]?.die();
      await time.run((minutes / 2) * windowMs);
      isOver = true;
      const endedAt = performance.now();

      expect(server.refusals).toBe(0);
      const used = server.arrivals.reduce((sum, arrival) => sum + arrival.credits, 0);
      expect(expectWindow(server.arrivals, { limit: credits, windowMs })).toBe(credits);
      expect(used / ((credits * (endedAt - startedAt)) / windowMs)).toBeGreaterThan(least);
      for (const window of windows) window.die();
    },
  );
});

describe('limiters on one window beside other users of the key', () => {
  it('meet no refusal in a minute where the others have spent 40 of 55', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 4, idleTimeoutMs: forGood }));
    const time = useVirtualTime();
    const server = quotaServer({ credits: 55, windowMs, random: seeded(1) });
    server.spend(40);
    const key = { provider: 'twelve-data', apiKey: 'some-api-key', credits: 55 };
    const now = (): number => Date.UTC(2026, 10, 24) + performance.now();
    const work = Array.from({ length: 2 }, async (_, second) => {
      const window = time.watch(postgresWindow({ database, ...key, now }));
      const limiter = creditLimiter({ credits: 55, window });
      await new Promise((resolve) => setTimeout(resolve, second * 1_000));
      const { signal } = new AbortController();
      const calls = Array.from({ length: 15 }, () =>
        limiter.run({ credits: 8 }, (grant) => send(server, grant), { signal }),
      );
      await Promise.all(calls);
    });
    await time.run(10 * windowMs);
    await Promise.all(work);
    expect(server.arrivals).toHaveLength(30);
    expect(server.refusals).toBe(0);
  });
});
