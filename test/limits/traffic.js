import { vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.js';
import { PipelineError } from '../../src/model/errors.js';
import { quotaServer } from '../../src/testing/quotaServer.js';
export const hourMs = 3_600_000;
export const never = new AbortController().signal;
/** The same chances in every run (mulberry32). */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
/** One request with a time limit, as `limited` makes it. */
export async function send(server, grant, timeoutMs = 10_000) {
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
/** Keeps a limiter as busy as it can be, on the virtual clock. */
export async function saturate(traffic) {
  const { credits, weight, min = weight, hours, windowMs = 60_000, stallRate = 0, idleMs = 0, seed = 1 } = traffic;
  const { maxConcurrent = 8 } = traffic;
  const server = quotaServer({ credits, windowMs, stallRate, random: seeded(seed) });
  const limiter = creditLimiter({ credits, windowMs, maxConcurrent });
  await vi.advanceTimersByTimeAsync(idleMs);
  const startedAt = performance.now();
  let isOver = false;
  let heldMs = 0;
  let used = 0;
  const work = async () => {
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
  await vi.advanceTimersByTimeAsync(hours * hourMs);
  isOver = true;
  const endedAt = performance.now();
  const arrivals = server.arrivals.filter(({ at }) => at <= endedAt);
  const sum = arrivals.reduce((total, arrival) => total + arrival.credits, 0);
  const stopped = limiter.stop();
  await vi.advanceTimersByTimeAsync(60_000);
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
