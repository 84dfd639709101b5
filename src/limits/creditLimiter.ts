import Bottleneck from 'bottleneck';
import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import type { Limiter } from '../model/ports.ts';
import { longestTimerMs, WindowedLimiter } from './windowedLimiter.ts';
import type { Starter } from './windowedLimiter.ts';

export interface CreditLimiterOptions {
  /**
   * The credits that the plan allows in a window: a whole number of at least 1, or `Infinity` for a provider without a
   * quota, where only `maxConcurrent` and `minTimeMs` bind.
   */
  credits: number;
  /** The length of the provider's window, in milliseconds. Default: 60000. */
  windowMs?: number | undefined;
  /** Most calls on their way at once. Default: 4. */
  maxConcurrent?: number | undefined;
  /** Least time between the starts of two calls, in milliseconds: the way to keep a cap per second. Default: 0. */
  minTimeMs?: number | undefined;
  /** The wall clock, in milliseconds, for dates only; durations are measured by `performance.now()`. Default: Date.now. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<CreditLimiterOptions>('creditLimiter')({
  credits: z.custom<number>((value) => value === Infinity || (Number.isSafeInteger(value) && Number(value) >= 1), {
    error: 'expected a whole number of at least 1, or Infinity',
  }),
  windowMs: z.int().min(1).max(longestTimerMs).default(60_000),
  maxConcurrent: z.int().min(1).max(10_000).default(4),
  minTimeMs: z.int().min(0).max(longestTimerMs).default(0),
  now: callback<() => number>().default(() => () => Date.now()),
});

/** A `Limiter` that can be stopped. It needs no stopping to end a process: while no call waits it holds no timer. */
export interface CreditLimiter extends Limiter, AsyncDisposable {
  /**
   * Drops the calls that wait, with a `PipelineError` of code `canceled`, refuses new ones the same way, and resolves
   * once the calls on their way have ended.
   */
  stop(): Promise<void>;
}

/**
 * Keeps one API key within its quota: never more than `credits` in any sliding window of `windowMs` at the provider, and
 * nearly all of them used. Make one for each key and share it between everything that uses the key.
 *
 * - A credit is free again one window after the RESPONSE of its call, because the provider counts the call somewhere
 *   between sending and response; after a call without an answer (timeout, abort, lost connection) 5 s later still.
 * - A call that wants `credits` and accepts `min` starts as soon as `min` are free, with what is free then. Calls start in
 *   the order in which they were asked for. The first call of a limiter goes alone, so that what the provider says of its
 *   quota binds the rest.
 * - A `RateLimitError` from a task pauses the whole limiter, for the error's `retryAfterMs`; without one, until 250 ms after
 *   the next clock minute, or for `windowMs` where the window is shorter than a minute. The refused call keeps its credits.
 * - `Grant.report` makes it learn: what the provider counted beyond our own calls was spent by others on the same key, and
 *   as much is kept back for a window and 5 s.
 *
 * Errors: an `OptionsError` for a bad option, or when a call accepts no less than more credits than a window holds; a
 * `PipelineError` with code `request_refused` when 10,000 calls wait already, and with code `canceled` after `stop`.
 *
 * @example
 * ```ts
 * import { creditLimiter } from 'fintrack-pipelines';
 *
 * const limiter = creditLimiter({ credits: 8, windowMs: 60_000 });
 * const { signal } = new AbortController();
 *
 * const credits = await limiter.run({ credits: 100, min: 1 }, (grant) => Promise.resolve(grant.credits), { signal });
 * console.log(credits);
 * // 8
 * ```
 */
export function creditLimiter(options: CreditLimiterOptions): CreditLimiter {
  const settings = resolveOptions(options);
  return new WindowedLimiter(settings, new BottleneckStarter(settings));
}

/**
 * Bottleneck says when the next call may start. Its reservoir is not used, because its refresh lets two windows' worth
 * through, and nothing is queued in it, because a job queued there can neither be canceled nor change its weight.
 */
class BottleneckStarter implements Starter {
  readonly #newBottleneck: () => Bottleneck;
  #bottleneck: Bottleneck;
  #clockLead = clockLead();

  constructor({ maxConcurrent, minTimeMs }: { readonly maxConcurrent: number; readonly minTimeMs: number }) {
    // It reckons in whole milliseconds, and timers may fire one early.
    const minTime = minTimeMs === 0 ? 0 : minTimeMs + 2;
    this.#newBottleneck = () => new Bottleneck({ maxConcurrent, minTime });
    this.#bottleneck = this.#newBottleneck();
  }

  start(job: () => Promise<void>): void {
    this.#survivePastClock();
    void this.#bottleneck.schedule(job);
  }

  async stop(): Promise<void> {
    await this.#bottleneck.stop({ dropWaitingJobs: false });
  }

  /** Bottleneck reckons in `Date.now()`: once that is set back an hour, it starts nothing for an hour (LocalDatastore.js). */
  #survivePastClock(): void {
    const lead = clockLead();
    if (lead < this.#clockLead - 1_000) this.#bottleneck = this.#newBottleneck();
    else if (lead < this.#clockLead) return;
    this.#clockLead = lead;
  }
}

/** By how much the wall clock is ahead of the monotonic one. */
function clockLead(): number {
  return Date.now() - performance.now();
}
