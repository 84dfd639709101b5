import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { RateLimitError } from '../model/errors.ts';
import type { QuotaSeen } from '../model/ports.ts';
import type { Arrival } from './expectWindow.ts';

export interface QuotaServerOptions {
  /** The credits that it serves in a window. */
  credits: number;
  /** The length of the window, in milliseconds. Default: 60000. */
  windowMs?: number | undefined;
  /** The shortest and the longest way there, and back, in milliseconds. Default: [5, 200]. */
  latencyMs?: readonly [number, number] | undefined;
  /** The share of the requests, from 0 to 1, that never get an answer. Default: 0. */
  stallRate?: number | undefined;
  /**
   * How long a request without an answer may be on its way before it is counted, in milliseconds: up to the caller's time
   * limit and 5 s, which is what limiters allow for. Default: 14000.
   */
  stallMs?: number | undefined;
  /** Milliseconds by which a refusal asks to wait. Default: none. */
  retryAfterMs?: number | undefined;
  /** Chance, from 0 to 1, for latencies and stalls. Default: Math.random. */
  random?: (() => number) | undefined;
}

const milliseconds = z.number().min(0);

const resolveOptions = defineOptions<QuotaServerOptions>('quotaServer')({
  credits: z.int().min(1),
  windowMs: z.int().min(1).default(60_000),
  latencyMs: z.tuple([milliseconds, milliseconds]).default([5, 200]),
  stallRate: z.number().min(0).max(1).default(0),
  stallMs: milliseconds.default(14_000),
  retryAfterMs: milliseconds.optional(),
  random: callback<() => number>().default(() => () => Math.random()),
});

/** A provider's server with a quota, as a limiter meets it. */
export interface QuotaServer {
  /** Every request that it counted, the refused ones too, in the order in which they arrived; `at` is `performance.now()`. */
  readonly arrivals: readonly (Arrival & { readonly refused: boolean })[];
  /** How many of them it refused. */
  readonly refusals: number;
  /**
   * Sends a request: resolves with what the server says of its quota, rejects with a `RateLimitError` when a window holds
   * too much, and with the signal's reason when it aborts, which does not take the request back.
   */
  send(credits: number, call: { readonly signal: AbortSignal }): Promise<QuotaSeen>;
  /** Somebody else spends credits of the same quota, at once: as many of them as are there, which it returns. */
  spend(credits: number): number;
}

/**
 * A model of a provider's server for tests of limiters: a sliding window of credits, a latency each way, and requests that
 * stall. It counts a request when it arrives and lives on `setTimeout` and `performance.now()`, so that fake timers run a
 * day of traffic in a second. What it counted is for `expectWindow`.
 *
 * @example
 * ```ts
 * import { expectWindow, quotaServer } from 'fintrack-pipelines/testing';
 *
 * const server = quotaServer({ credits: 8, latencyMs: [0, 0] });
 * const { signal } = new AbortController();
 *
 * console.log(await server.send(5, { signal }));
 * // { used: 5, left: 3 }
 * await server.send(5, { signal }).catch((error) => console.log(error.message));
 * // quotaServer: 10 credits within 60000 ms, the limit is 8
 * console.log(expectWindow(server.arrivals.filter(({ refused }) => !refused), { limit: 8, windowMs: 60_000 }));
 * // 5
 * ```
 */
export function quotaServer(options: QuotaServerOptions): QuotaServer {
  const { credits: limit, windowMs, latencyMs, stallRate, stallMs, retryAfterMs, random } = resolveOptions(options);
  const arrivals: (Arrival & { readonly refused: boolean })[] = [];
  let refusals = 0;
  let used = 0;
  /** What counts in the window now; refused requests do not. */
  const counted: Arrival[] = [];

  const latency = (): number => latencyMs[0] + random() * (latencyMs[1] - latencyMs[0]);

  function usedNow(at: number): number {
    for (let first = counted[0]; first !== undefined && at - first.at >= windowMs; first = counted[0]) {
      used -= first.credits;
      counted.shift();
    }
    return used;
  }

  function count(credits: number): void {
    counted.push({ at: performance.now(), credits });
    used += credits;
  }

  function arrive(credits: number): QuotaSeen | RateLimitError {
    const at = performance.now();
    const usedThen = usedNow(at) + credits;
    const refused = usedThen > limit;
    arrivals.push({ at, credits, refused });
    if (!refused) {
      count(credits);
      return { used: usedThen, left: limit - usedThen };
    }
    refusals += 1;
    const message = `${usedThen} credits within ${windowMs} ms, the limit is ${limit}`;
    return new RateLimitError('quotaServer', { message, retryAfterMs });
  }

  return {
    arrivals,
    get refusals() {
      return refusals;
    },
    send: (credits, { signal }) =>
      new Promise((resolve, reject) => {
        const abort = (): void => {
          reject(signal.reason as Error);
        };
        if (signal.aborted) {
          abort();
          return;
        }
        signal.addEventListener('abort', abort, { once: true });
        const stalls = random() < stallRate;
        setTimeout(
          () => {
            const answer = arrive(credits);
            if (stalls) return;
            setTimeout(() => {
              signal.removeEventListener('abort', abort);
              if (answer instanceof RateLimitError) reject(answer);
              else resolve(answer);
            }, latency());
          },
          stalls ? random() * stallMs : latency(),
        );
      }),
    spend: (credits) => {
      const spent = Math.max(0, Math.min(credits, limit - usedNow(performance.now())));
      if (spent > 0) count(spent);
      return spent;
    },
  };
}
