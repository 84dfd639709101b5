/** Keeps a limiter as busy as it can be against a modelled server, and measures at the server. */
import { creditLimiter, PipelineError } from 'fintrack-pipelines';
import { expectWindow, memoryWindow, quotaServer } from 'fintrack-pipelines/testing';
import { inVirtualTime, pass, seeded } from './virtualTime.mjs';

const hourMs = 3_600_000;
const unanswered = 5_000;
const { signal: never } = new AbortController();

/** One request with a time limit; `counts` what its credits were held for beyond the window. */
async function send(server, credits, timeoutMs = 10_000) {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new PipelineError('timeout', 'no answer', { retryable: true }));
  }, timeoutMs);
  try {
    return await server.send(credits, { signal: controller.signal });
  } finally {
    clearTimeout(timer);
  }
}

/** Most credits in any sliding window, as a share of the quota. */
export function mostInWindow(arrivals, { credits, windowMs }) {
  return expectWindow(arrivals, { limit: Number.MAX_SAFE_INTEGER, windowMs }) / credits;
}

const creditsOf = (arrivals) => arrivals.reduce((sum, { credits }) => sum + credits, 0);

/**
 * So many hours of traffic through a contestant. The server refuses nothing, so that everybody is measured by what they
 * send, and not by how they take a refusal.
 */
export function saturate(contestant, options) {
  const { credits, weight, hours, windowMs = 60_000, stallRate = 0, idleMs = 0, seed = 1 } = options;
  return inVirtualTime(async (clock) => {
    const server = quotaServer({ credits: 1_000_000_000, windowMs, stallRate, random: seeded(seed) });
    const run = contestant({ ...options, windowMs });
    await pass(clock, idleMs);
    const startedAt = performance.now();
    let isOver = false;
    let heldMs = 0;
    let used = 0;
    const task = async (grant) => {
      const sentAt = performance.now();
      let extraMs = 0;
      try {
        await send(server, grant.credits);
      } catch (error) {
        extraMs = unanswered;
        throw error;
      } finally {
        used += grant.credits;
        heldMs += grant.credits * (performance.now() - sentAt + extraMs);
      }
    };
    const work = async () => {
      while (!isOver) await run(task).catch(() => undefined);
    };
    for (let worker = 0; worker < Math.max(16, Math.ceil((2 * credits) / weight)); worker++) void work();
    await pass(clock, hours * hourMs);
    isOver = true;
    const lastedMs = performance.now() - startedAt;
    const arrivals = server.arrivals.filter(({ at }) => at <= startedAt + lastedMs);
    return {
      most: mostInWindow(arrivals, { credits, windowMs }),
      used: creditsOf(arrivals) / ((credits * lastedMs) / windowMs),
      /** The most that can be used, by how long calls held their credits beyond the window. */
      bound: windowMs / (windowMs + heldMs / used),
    };
  });
}

/** Beside somebody who spends a credit of the same key every 5 s. */
export function besideAnother({ credits, hours, everyMs = 5_000, windowMs = 60_000 }) {
  return inVirtualTime(async (clock) => {
    const server = quotaServer({ credits, windowMs, random: seeded(6) });
    const limiter = creditLimiter({ credits, windowMs, maxConcurrent: 8 });
    let others = 0;
    setInterval(() => {
      others += server.spend(1);
    }, everyMs);
    let isOver = false;
    const work = async () => {
      while (!isOver) {
        await limiter
          .run({ credits: 8, min: 1 }, async (grant) => grant.report(await send(server, grant.credits)), {
            signal: never,
          })
          .catch(() => undefined);
      }
    };
    for (let worker = 0; worker < 8; worker++) void work();
    await pass(clock, hours * hourMs);
    isOver = true;
    const ours = server.arrivals.filter(({ refused }) => !refused);
    const windows = (hours * hourMs) / windowMs;
    return {
      most: mostInWindow(ours, { credits, windowMs }),
      used: (creditsOf(ours) + others) / (credits * windows),
      refusals: server.refusals / hours,
    };
  });
}

/** Four limiters on one shared window, one of them dropped in the middle with its calls on their way. */
export function fourOnOneWindow({ credits, hours, windowMs = 60_000 }) {
  return inVirtualTime(async (clock) => {
    const random = seeded(4);
    const server = quotaServer({ credits, windowMs, random });
    const window = memoryWindow({ credits, windowMs, latencyMs: [1, 5], random });
    const dead = new Set();
    let isOver = false;
    const work = async (limiter) => {
      while (!isOver && !dead.has(limiter)) {
        await limiter.run(
          { credits: 8, min: 1 },
          async (grant) => {
            await send(server, grant.credits);
            if (dead.has(limiter)) await new Promise(() => undefined);
          },
          { signal: never },
        );
      }
    };
    const limiters = Array.from({ length: 4 }, () =>
      creditLimiter({ credits, windowMs, window, maxConcurrent: 8, callTimeoutMs: 12_000 }),
    );
    for (const limiter of limiters) for (let worker = 0; worker < 3; worker++) void work(limiter);
    await pass(clock, (hours / 2) * hourMs);
    dead.add(limiters[1]);
    await pass(clock, (hours / 2) * hourMs);
    isOver = true;
    return {
      most: mostInWindow(server.arrivals, { credits, windowMs }),
      used: creditsOf(server.arrivals) / ((credits * hours * hourMs) / windowMs),
      refusals: server.refusals,
    };
  });
}
