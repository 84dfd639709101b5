import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import type { CreditLimiter, CreditLimiterOptions } from '../../src/limits/creditLimiter.ts';
import { OptionsError, PipelineError, RateLimitError } from '../../src/model/errors.ts';
import type { Grant, QuotaSeen } from '../../src/model/ports.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { hourMs, never, seeded, send } from './traffic.ts';

const start = Date.UTC(2026, 0, 1, 12, 0, 13);

beforeEach(() => {
  vi.useFakeTimers({ now: start });
});

const seconds = (): number => (Date.now() - start) / 1_000;

interface CallOptions {
  readonly min?: number;
  readonly ms?: number;
  readonly seen?: QuotaSeen;
}

/** Runs a call that answers after `ms`; says when it started and with how many credits. */
async function call(limiter: CreditLimiter, credits: number, { min = credits, ms = 100, seen = {} }: CallOptions = {}) {
  return limiter.run(
    { credits, min },
    async (grant) => {
      const started = { at: seconds(), credits: grant.credits };
      await new Promise((resolve) => setTimeout(resolve, ms));
      grant.report(seen);
      return started;
    },
    { signal: never },
  );
}

const settled = async <T>(promise: PromiseLike<T>, ms = 10 * 60_000): Promise<T> => {
  promise.then(undefined, () => undefined);
  await vi.advanceTimersByTimeAsync(ms);
  return promise;
};

describe('options', () => {
  it.each([0, -1, 1.5, NaN, '8', undefined])('refuses %s credits', (credits) => {
    expect(() => creditLimiter({ credits } as CreditLimiterOptions)).toThrow(OptionsError);
    expect(() => creditLimiter({ credits } as CreditLimiterOptions)).toThrow(
      /^creditLimiter: credits: expected a whole/,
    );
  });

  it.each([
    { windowMs: 0 },
    { windowMs: Infinity },
    { maxConcurrent: 0 },
    { maxConcurrent: 1.5 },
    { minTimeMs: -1 },
    { now: 5 },
    { perMinute: 8 },
  ])('refuses %o', (option) => {
    expect(() => creditLimiter({ credits: 8, ...option } as unknown as CreditLimiterOptions)).toThrow(OptionsError);
  });
});

describe('credits', () => {
  it('are free again one window after the response', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const [, second] = await settled(Promise.all([call(limiter, 8, { ms: 3_000 }), call(limiter, 1)]));
    expect(second.at).toBeCloseTo(63.002, 2);
  });

  it('of a call without an answer are held 5 s longer', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const timeout = new PipelineError('timeout', 'no answer', { retryable: true });
    const first = limiter.run({ credits: 8 }, () => Promise.reject(timeout), { signal: never });
    const second = call(limiter, 1);
    await expect(settled(first)).rejects.toBe(timeout);
    expect((await second).at).toBeCloseTo(65.002, 1);
  });

  it('are granted in part, down to the least that is accepted', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const calls = [call(limiter, 5), call(limiter, 8, { min: 1, ms: 2_000 }), call(limiter, 8, { min: 4 })];
    const [, second, third] = await settled(Promise.all(calls));
    expect(second?.credits).toBe(3);
    expect(third?.credits).toBe(5);
    expect(third?.at).toBeCloseTo(60.1, 1);
  });

  it('wait a moment for others that come free just after, rather than to go apart', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const calls = [call(limiter, 5), call(limiter, 3), call(limiter, 100, { min: 1 })];
    const [, , third] = await settled(Promise.all(calls));
    expect(third?.credits).toBe(8);
    expect(third?.at).toBeCloseTo(60.2, 1);
  });

  it('do not wait for others for longer than a 150th of a window', async () => {
    const limiter = creditLimiter({ credits: 300, maxConcurrent: 100 });
    await settled(call(limiter, 1), 70_000);
    const apart = Array.from({ length: 30 }, (_, index) => call(limiter, 10, { ms: 100 + index * 100 }));
    const last = await settled(Promise.all([...apart, call(limiter, 300, { min: 1 })]));
    expect(last.at(-1)?.credits).toBe(40);
    expect(last.at(-1)?.at).toBeLessThan(70 + 61);
  });

  it('that never fit a window are refused at once', async () => {
    const limiter = creditLimiter({ credits: 8 });
    await expect(call(limiter, 9)).rejects.toThrow('creditLimiter: a call for 9 credits never fits a window of 8');
    await expect(call(limiter, 9)).rejects.toBeInstanceOf(OptionsError);
    expect((await settled(call(limiter, 9, { min: 8 }))).credits).toBe(8);
  });

  it.each([-1, 1.5, NaN])('cannot be %s', async (credits) => {
    await expect(call(creditLimiter({ credits: 8 }), credits)).rejects.toBeInstanceOf(OptionsError);
  });

  it('that the call does not need go to the next one at once', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const grants: Grant[] = [];
    await settled(call(limiter, 0), 200);
    const first = limiter.run(
      { credits: 8 },
      async (grant) => {
        grants.push(grant);
        grant.release(6);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      },
      { signal: never },
    );
    const second = call(limiter, 6);
    await settled(first, 5_000);
    expect((await second).at).toBeLessThan(0.3);
    grants[0]!.release(2); // the call is over, and has used them
    expect((await settled(call(limiter, 8, { min: 1 }))).credits).toBe(6);
    expect(() => grants[0]!.release(9)).toThrow(OptionsError);
  });

  it('are given back in parts, and never more of them than the call has', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const given = limiter.run(
      { credits: 4 },
      async (grant) => {
        grant.release(1);
        grant.release(3);
        for (const unused of [1, -1, 0.5]) {
          expect(() => {
            grant.release(unused);
          }).toThrow(`Grant.release: expected 0 to 0 credits, got ${unused}`);
        }
        return limiter.windows()[0]?.left;
      },
      { signal: never },
    );
    expect(await settled(given, 100)).toBe(8);
  });

  it('without a quota are granted as wanted', async () => {
    const limiter = creditLimiter({ credits: Infinity, maxConcurrent: 2 });
    const calls = await settled(Promise.all([call(limiter, 1_000_000), call(limiter, 5), call(limiter, 5)]));
    expect(calls.map(({ at }) => Math.round(at * 10))).toEqual([0, 0, 1]);
    await settled(call(limiter, 5, { seen: { used: 10, left: 0 } }));
    expect(limiter.forecast(1_000_000)).toEqual(new Date());
  });
});

describe('starts', () => {
  it('keep to maxConcurrent, the very first call alone', async () => {
    const limiter = creditLimiter({ credits: 100, maxConcurrent: 3 });
    const calls = await settled(Promise.all(Array.from({ length: 7 }, () => call(limiter, 1, { ms: 1_000 }))));
    expect(calls.map(({ at }) => Math.floor(at))).toEqual([0, 1, 1, 1, 2, 2, 2]);
  });

  it('let the first call with credits go alone: one without asks the provider nothing', async () => {
    const limiter = creditLimiter({ credits: 100, maxConcurrent: 3 });
    await settled(call(limiter, 0), 1_000);
    const returned = limiter.run({ credits: 2 }, async (grant) => grant.release(2), { signal: never });
    await settled(returned, 1_000);
    const calls = await settled(Promise.all(Array.from({ length: 3 }, () => call(limiter, 1, { ms: 1_000 }))));
    expect(calls.map(({ at }) => Math.floor(at))).toEqual([2, 3, 3]);
  });

  it('keep minTimeMs apart', async () => {
    const limiter = creditLimiter({ credits: 100, minTimeMs: 250 });
    const calls = await settled(Promise.all(Array.from({ length: 5 }, () => call(limiter, 1))));
    const gaps = calls.slice(1).map(({ at }, index) => at - calls[index]!.at);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0.25);
    expect(Math.max(...gaps)).toBeLessThan(0.27);
  });

  it('do not depend on the wall clock, whichever way it jumps', async () => {
    const limiter = creditLimiter({ credits: 8, minTimeMs: 10 });
    await settled(call(limiter, 8), 1_000);
    const at = performance.now();
    const minutes: number[] = [];
    for (const jump of [-hourMs, 2 * hourMs, -hourMs]) {
      const started = limiter.run({ credits: 8 }, async () => performance.now(), { signal: never });
      started.then((time) => minutes.push(Math.round((time - at) / 60_000)), expect.unreachable);
      await vi.advanceTimersByTimeAsync(30_000);
      vi.setSystemTime(Date.now() + jump);
      await vi.advanceTimersByTimeAsync(30_000);
    }
    expect(minutes).toEqual([1, 2, 3]);
  });

  // issue 11, item 1: found by the simulator.
  it.each([0, 1, 2, 4])('do not hang when the clock is set back %d turns after they were asked for', async (turns) => {
    const limiter = creditLimiter({ credits: 8 });
    await settled(call(limiter, 1), 1_000);
    const started = limiter.run({ credits: 1 }, async () => 'started', { signal: never });
    for (let turn = 0; turn < turns; turn++) await vi.advanceTimersByTimeAsync(0);
    vi.setSystemTime(Date.now() - hourMs);
    expect(await Promise.race([started, settled(Promise.resolve('hangs'), 5_000)])).toBe('started');
    const isStopped = limiter.stop().then(() => 'stopped');
    vi.setSystemTime(Date.now() - hourMs);
    expect(await Promise.race([isStopped, settled(Promise.resolve('hangs'), 5_000)])).toBe('stopped');
    await vi.advanceTimersByTimeAsync(0); // Bottleneck's own turn after a job
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a refusal for the rate', () => {
  async function refusal(limiter: CreditLimiter, retryAfterMs?: number): Promise<unknown> {
    return limiter
      .run({ credits: 1 }, () => Promise.reject(new RateLimitError('test', { retryAfterMs })), { signal: never })
      .catch((error: unknown) => error);
  }

  it.each([
    ['for as long as it asks', 60_000, 55_000, 55],
    ['until 250 ms after the next clock minute', 60_000, undefined, 47.25],
    ['until the next clock minute when it asks for the past', 60_000, -5_000, 47.25],
    ['until the next clock minute when it asks for rubbish', 60_000, NaN, 47.25],
    ['for a window shorter than a minute', 2_000, undefined, 2],
  ])('pauses the whole limiter %s', async (_name, windowMs, retryAfterMs, expected) => {
    const limiter = creditLimiter({ credits: 8, windowMs });
    expect(await settled(refusal(limiter, retryAfterMs), 100)).toBeInstanceOf(RateLimitError);
    expect(limiter.forecast(1).getTime() - start).toBeCloseTo(expected * 1_000, -2);
    const calls = await settled(Promise.all([call(limiter, 1), call(limiter, 1)]));
    for (const { at } of calls) expect(at).toBeGreaterThanOrEqual(expected);
    expect(calls[0].at).toBeLessThan(expected + 0.1);
  });

  it('holds up a call that was just about to start', async () => {
    const limiter = creditLimiter({ credits: 8, minTimeMs: 500 });
    await settled(call(limiter, 1), 1_000);
    const refused = refusal(limiter, 58_000);
    const next = call(limiter, 1);
    await settled(refused, 200); // the next one waits for its 500 ms
    expect((await settled(next)).at).toBeGreaterThan(59);
  });

  it('keeps every request from the server until it ends, with calls waiting for their turn too', async () => {
    const server = quotaServer({ credits: 8, retryAfterMs: 58_000, random: seeded(3) });
    const limiter = creditLimiter({ credits: 8, maxConcurrent: 4, minTimeMs: 500 });
    server.spend(5); // by another user of the key
    const calls = Array.from({ length: 16 }, () =>
      limiter
        .run({ credits: 2 }, async (grant) => server.send(grant.credits, { signal: never }), { signal: never })
        .catch(() => undefined),
    );
    await settled(Promise.all(calls), 20 * 60_000);
    const refused = server.arrivals.filter((arrival) => arrival.refused);
    expect(refused).not.toHaveLength(0);
    const answered = refused[0]!.at + 200; // and the one that had started before the answer came
    const during = server.arrivals.filter(({ at }) => at > answered + 200 && at < refused[0]!.at + 58_000);
    expect(during).toEqual([]);
    expect(server.arrivals).toHaveLength(16);
  });
});

describe('a call that waits', () => {
  it('is dropped at once on abort, and takes nothing with it', async () => {
    const limiter = creditLimiter({ credits: 8 });
    await settled(call(limiter, 8), 200);
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const task = vi.fn(() => Promise.resolve());
    const dropped = limiter.run({ credits: 8 }, task, { signal: controller.signal });
    const next = call(limiter, 8);
    controller.abort(reason);
    await expect(dropped).rejects.toBe(reason);
    expect((await settled(next)).at).toBeLessThan(61);
    expect(task).not.toHaveBeenCalled();
  });

  it('is dropped at once when it was just about to start, and the next one starts in its place', async () => {
    const limiter = creditLimiter({ credits: 8, minTimeMs: 500 });
    await settled(call(limiter, 1), 1_000);
    const controller = new AbortController();
    const task = vi.fn(() => Promise.resolve());
    const running = call(limiter, 1);
    const dropped = limiter.run({ credits: 6 }, task, { signal: controller.signal });
    const next = call(limiter, 6);
    await vi.advanceTimersByTimeAsync(200);
    controller.abort();
    await expect(dropped).rejects.toThrow();
    const [first, second] = await settled(Promise.all([running, next]), 2_000);
    expect(second.at - first.at).toBeGreaterThanOrEqual(0.5);
    expect(second.at - first.at).toBeLessThan(0.6);
    expect(task).not.toHaveBeenCalled();
  });

  it('is not even queued with a signal that has aborted', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const reason = new Error('too late');
    await expect(
      limiter.run({ credits: 8 }, () => Promise.resolve(), { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    expect((await settled(call(limiter, 8))).at).toBeLessThan(0.1);
  });

  it('leaves no timer and no listener behind', async () => {
    const limiter = creditLimiter({ credits: 8 });
    await settled(call(limiter, 8), 200);
    const controller = new AbortController();
    const added = vi.spyOn(controller.signal, 'addEventListener');
    const removed = vi.spyOn(controller.signal, 'removeEventListener');
    const waiting = Array.from({ length: 50 }, () => limiter.run({ credits: 1 }, () => Promise.resolve(), controller));
    await settled(Promise.all(waiting), hourMs);
    expect(added).toHaveBeenCalledTimes(1);
    expect(removed).toHaveBeenCalledTimes(1);
    const aborted = [call(limiter, 8), limiter.run({ credits: 8 }, () => Promise.resolve(), controller)];
    await vi.advanceTimersByTimeAsync(200);
    controller.abort();
    await expect(aborted[1]).rejects.toThrow();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is refused above 10,000', async () => {
    const limiter = creditLimiter({ credits: 8 });
    await settled(call(limiter, 8), 200);
    const controller = new AbortController();
    const wait = (): Promise<void> => limiter.run({ credits: 8 }, () => Promise.resolve(), controller);
    const waiting = Array.from({ length: 10_000 }, wait);
    await expect(wait()).rejects.toMatchObject({
      code: 'request_refused',
      message: 'creditLimiter: 10000 calls wait already',
    });
    controller.abort();
    expect((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected')).toBe(true);
    expect((await settled(call(limiter, 8))).at).toBeLessThan(61);
  });
});

describe('learning from the provider', () => {
  it('meets no refusal in a minute where others have spent 40 of 55', async () => {
    const server = quotaServer({ credits: 55, random: seeded(5) });
    const limiter = creditLimiter({ credits: 55, maxConcurrent: 8 });
    server.spend(40);
    const calls = Array.from({ length: 30 }, () =>
      limiter.run({ credits: 8 }, (grant) => send(server, grant), { signal: never }),
    );
    await settled(Promise.all(calls), hourMs);
    expect(server.arrivals).toHaveLength(30);
    expect(server.refusals).toBe(0);
  });

  it('meets hardly a refusal beside a steady second user of the key', async () => {
    const server = quotaServer({ credits: 55, random: seeded(6) });
    const limiter = creditLimiter({ credits: 55, maxConcurrent: 8 });
    const other = setInterval(() => {
      server.spend(1);
    }, 5_000);
    let isOver = false;
    const work = async (): Promise<void> => {
      while (!isOver) {
        await limiter
          .run({ credits: 8, min: 1 }, (grant) => send(server, grant), { signal: never })
          .catch(() => undefined);
      }
    };
    const workers = Array.from({ length: 8 }, work);
    await vi.advanceTimersByTimeAsync(2 * hourMs);
    isOver = true;
    clearInterval(other);
    await settled(Promise.all(workers));
    const ours = server.arrivals.reduce((sum, { credits, refused }) => sum + (refused ? 0 : credits), 0);
    expect(server.refusals).toBeLessThanOrEqual(4);
    expect(ours / 120).toBeGreaterThan(0.95 * (55 - 12));
  });

  it.each([
    ['what is left', { left: 2 }, 2],
    ['what is used', { used: 50 }, 5],
    ['what is left before what is used', { used: 500, left: 7 }, 7],
    ['nothing from a longer window', { left: 0, resetMs: 86_400_000 }, 47],
    ['nothing from numbers that are none', { left: NaN, used: -1 }, 47],
    ['nothing from a higher plan than ours', { used: 9, left: 368 }, 47],
  ])('takes from a report %s', async (_name, seen, free) => {
    const limiter = creditLimiter({ credits: 55 });
    await settled(call(limiter, 8, { seen }), 200);
    expect((await settled(call(limiter, 55, { min: 1 }), 200)).credits).toBe(free);
  });

  it('forgets a window and 5 s later', async () => {
    const limiter = creditLimiter({ credits: 8 });
    await settled(call(limiter, 1, { seen: { left: 0 } }), 200);
    expect((await settled(call(limiter, 8))).at).toBeCloseTo(65.1, 1);
  });
});

describe('forecast', () => {
  it('counts the windows that the credits take', async () => {
    const limiter = creditLimiter({ credits: 8 });
    expect(limiter.forecast(8)).toEqual(new Date(start));
    expect(limiter.forecast(100).getTime() - start).toBeCloseTo(12 * 60_002, -2);
    await settled(call(limiter, 5), 200);
    expect(limiter.forecast(3)).toEqual(new Date(start + 200));
    expect(limiter.forecast(4).getTime() - start).toBeCloseTo(60_102, -2);
  });

  it('counts the calls that wait already, each as one window at most', async () => {
    const limiter = creditLimiter({ credits: 8 });
    await settled(call(limiter, 8), 200);
    const controller = new AbortController();
    const waiting = [100, 5].map((credits) => limiter.run({ credits, min: 1 }, () => Promise.resolve(), controller));
    expect(limiter.forecast(8).getTime() - start).toBeCloseTo(60_102 + 2 * 60_002, -3);
    controller.abort();
    await Promise.allSettled(waiting);
    expect(limiter.forecast(8).getTime() - start).toBeCloseTo(60_102, -2);
  });
});

describe('stop', () => {
  it('drops what waits, lets calls on their way end, and refuses new ones', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const running = call(limiter, 8, { ms: 5_000 });
    const waiting = call(limiter, 8);
    await vi.advanceTimersByTimeAsync(100);
    const stopped = limiter.stop();
    await expect(waiting).rejects.toMatchObject({ code: 'canceled' });
    await expect(call(limiter, 8)).rejects.toMatchObject({ code: 'canceled' });
    let isStopped = false;
    void stopped.then(() => (isStopped = true));
    await vi.advanceTimersByTimeAsync(4_000);
    expect(isStopped).toBe(false);
    await settled(stopped, 2_000);
    await expect(running).resolves.toMatchObject({ credits: 8 });
    await settled(limiter[Symbol.asyncDispose](), 100);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is quick when nothing is on its way', async () => {
    const limiter = creditLimiter({ credits: 8 });
    await expect(settled(limiter.stop(), 10)).resolves.toBeUndefined();
  });
});
