import { vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { PipelineError } from '../../src/model/errors.ts';
import type { Grant } from '../../src/model/ports.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import type { QuotaServer } from '../../src/testing/quotaServer.ts';
import { seeded } from '../support/seeded.ts';

export { seeded };

export const hourMs = 3_600_000;
export const never = new AbortController().signal;

const { setImmediate: realImmediate } = globalThis;
/** A real turn of the event loop, in which every promise goes as far as it can. */
const settle = (): Promise<void> =>
  new Promise((resolve) => {
    realImmediate(resolve);
  });

/** Lets so much virtual time pass, many times faster than `advanceTimersByTimeAsync`, which takes a millisecond a timer. */
export async function passTime(ms: number): Promise<void> {
  let isOver = false;
  await settle();
  setTimeout(() => {
    isOver = true;
  }, ms);
  while (!isOver) {
    vi.advanceTimersToNextTimer();
    await settle();
  }
}

/** One request with a time limit, as `limited` makes it. */
export async function send(server: QuotaServer, grant: Grant, timeoutMs = 10_000): Promise<void> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new PipelineError('timeout', 'no answer', { retryable: true }));
  }, timeoutMs);
  try {
    grant.report(await server.send(grant.credits, { signal: controller.signal }));
  } finally {
    clearTimeout(timer);
  }
}

export interface Traffic {
  readonly credits: number;
  readonly weight: number;
  readonly min?: number;
  readonly hours: number;
  readonly windowMs?: number;
  readonly maxConcurrent?: number;
  readonly stallRate?: number;
  /** How long the limiter exists before it is used. */
  readonly idleMs?: number;
  readonly seed?: number;
}

/** Keeps a limiter as busy as it can be, on the virtual clock. */
export async function saturate(traffic: Traffic) {
  const { credits, weight, min = weight, hours, windowMs = 60_000, stallRate = 0, idleMs = 0, seed = 1 } = traffic;
  const { maxConcurrent = 8 } = traffic;
  const server = quotaServer({ credits, windowMs, stallRate, random: seeded(seed) });
  const limiter = creditLimiter({ credits, windowMs, maxConcurrent });
  await passTime(idleMs);
  const startedAt = performance.now();
  let isOver = false;
  let heldMs = 0;
  let used = 0;
  const work = async (): Promise<void> => {
    while (!isOver) {
      await limiter
        .run(
          { credits: weight, min },
          async (grant) => {
            const sentAt = performance.now();
            let extraMs = 0;
            try {
              await send(server, grant);
            } catch (error) {
              extraMs = 5_000;
              throw error;
            } finally {
              used += grant.credits;
              heldMs += grant.credits * (performance.now() - sentAt + extraMs);
            }
          },
          { signal: never },
        )
        .catch(() => undefined);
    }
  };
  const workers = Array.from({ length: maxConcurrent + 2 }, work);
  await passTime(hours * hourMs);
  isOver = true;
  const endedAt = performance.now();
  const arrivals = server.arrivals.filter(({ at }) => at <= endedAt);
  const sum = arrivals.reduce((total, arrival) => total + arrival.credits, 0);
  const stopped = limiter.stop();
  await passTime(60_000);
  await Promise.all([stopped, ...workers]);
  return {
    arrivals: server.arrivals,
    refusals: server.refusals,
    /** The share of the quota that was used. */
    utilization: sum / ((credits * (endedAt - startedAt)) / windowMs),
    /** The most that can be used, by how long calls held their credits beyond the window. */
    bound: windowMs / (windowMs + heldMs / used),
  };
}
