import { vi } from 'vitest';
import type { Grant, Limiter, QuotaSeen } from '../../src/model/ports.ts';
import { never, passTime } from './traffic.ts';

export const startOfTests = Date.UTC(2026, 0, 1, 12, 0, 13);

export interface CallOptions {
  readonly min?: number;
  readonly ms?: number;
  readonly seen?: QuotaSeen;
  readonly lane?: string;
  readonly request?: string;
  readonly batch?: number;
  readonly unused?: number;
}

/** Runs a call that answers after `ms`; says when it started, in seconds, and with how many credits. */
export async function call(limiter: Limiter, credits: number, options: CallOptions = {}) {
  const { min = credits, ms = 100, seen = {}, unused = 0, ...of } = options;
  return limiter.run(
    { credits, min, ...of },
    async (grant: Grant) => {
      const started = { at: seconds(), credits: grant.credits };
      if (unused > 0) grant.release(unused);
      await new Promise((resolve) => setTimeout(resolve, ms));
      grant.report(seen);
      return started;
    },
    { signal: never },
  );
}

/** Since the start of the test, by the monotonic clock. */
export const seconds = (): number => (performance.now() - startedAt) / 1_000;

let startedAt = 0;

export function startVirtualTime(now = startOfTests): void {
  vi.useFakeTimers({ now });
  startedAt = performance.now();
}

/** What a promise becomes when virtual time passes. */
export async function settled<T>(promise: PromiseLike<T>, ms = 10 * 60_000): Promise<T> {
  promise.then(undefined, () => undefined);
  await passTime(ms);
  return promise;
}

/** Fails a call with an error of the provider's. */
export function failing(limiter: Limiter, error: Error, credits = 1): Promise<unknown> {
  return limiter.run({ credits }, () => Promise.reject(error), { signal: never }).catch((caught: unknown) => caught);
}
