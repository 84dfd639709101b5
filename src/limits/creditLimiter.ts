import Bottleneck from 'bottleneck';
import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { PipelineError } from '../model/errors.ts';
import type { Grant, Limiter } from '../model/ports.ts';
import { CreditWindow } from './creditWindow.ts';
import type { CreditHold } from './creditWindow.ts';
import { pauseMs } from './pause.ts';
import { isAnswer, isRateLimit } from './retryPolicy.ts';
import { WaitingCalls } from './waitingCalls.ts';
import type { WaitingCall } from './waitingCalls.ts';

/** A call without an answer may still arrive at the provider: its credits are held this much longer. */
const unansweredMs = 5_000;
/** `setTimeout` fires at once when it is asked to wait longer than this. */
const longestTimerMs = 2 ** 31 - 1;

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
  return new WindowedLimiter(resolveOptions(options));
}

type Settings = ReturnType<typeof resolveOptions>;
type Want = Parameters<Limiter['run']>[0];
type Task<R> = (grant: Grant) => Promise<R>;

/**
 * Three parts decide about a call: Bottleneck when one may start (`maxConcurrent`, `minTime`), the window how many credits
 * it gets, the queue here whose turn it is. A call enters Bottleneck only to start at once, because a job queued there can
 * neither be canceled nor change its weight; its reservoir is not used, because its refresh lets two windows' worth through.
 */
class WindowedLimiter implements CreditLimiter {
  readonly #settings: Settings;
  readonly #window: CreditWindow;
  readonly #waiting: WaitingCalls;
  readonly #calls = new Set<Promise<void>>();
  #starter: Bottleneck;
  #clockLead = clockLead();
  #isStarting = false;
  #isFirst = true;
  #pausedUntil = 0;
  #roundTripMs = 0;
  #wake: NodeJS.Timeout | undefined;
  #stopped: Promise<unknown> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#window = new CreditWindow(settings.credits, settings.windowMs);
    this.#waiting = new WaitingCalls(settings.credits);
    this.#starter = newStarter(settings);
  }

  async run<R>(want: Want, task: Task<R>, { signal }: { readonly signal: AbortSignal }): Promise<R> {
    if (this.#stopped !== undefined) throw stoppedError();
    const proceed = (): void => {
      this.#proceed();
    };
    const result = this.#waiting.add(want, (hold) => this.#perform(hold, task), signal, proceed);
    proceed();
    return result;
  }

  forecast(credits: number): Date {
    const at = performance.now();
    const grantedAt = this.#window.forecast(this.#waiting.creditsAhead + credits, at, this.#roundTripMs);
    return new Date(this.#settings.now() + Math.max(grantedAt, this.#pausedUntil, at) - at);
  }

  async stop(): Promise<void> {
    this.#stopped ??= Promise.all([this.#starter.stop({ dropWaitingJobs: false }), ...this.#calls]);
    clearTimeout(this.#wake);
    this.#waiting.dropAll(stoppedError());
    await this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Starts the first waiting call, or sees to it that this is tried again when it can succeed. */
  #proceed(): void {
    clearTimeout(this.#wake);
    const { first } = this.#waiting;
    if (first === undefined || this.#isStarting || this.#calls.size >= this.#mostCalls()) return;
    const at = performance.now();
    const waitMs = this.#readyAt(first, at) - at;
    if (waitMs <= 0) this.#askToStart();
    else if (waitMs < Infinity) {
      this.#wake = setTimeout(
        () => {
          this.#proceed();
        },
        Math.min(Math.ceil(waitMs), longestTimerMs),
      );
    }
  }

  #mostCalls(): number {
    return this.#isFirst && this.#window.capacity < Infinity ? 1 : this.#settings.maxConcurrent;
  }

  #readyAt(call: WaitingCall, at: number): number {
    return Math.max(this.#window.freeAt(call.min, at), this.#pausedUntil);
  }

  #askToStart(): void {
    this.#isStarting = true;
    this.#renewStarter();
    void this.#starter.schedule(() => {
      this.#isStarting = false;
      const call = this.#startFirst();
      this.#proceed();
      return call;
    });
  }

  /** Bottleneck reckons in `Date.now()`: once that is set back an hour, it starts nothing for an hour (LocalDatastore.js). */
  #renewStarter(): void {
    const lead = clockLead();
    if (lead > this.#clockLead - 1_000) return;
    this.#clockLead = lead;
    this.#starter = newStarter(this.#settings);
  }

  #startFirst(): Promise<void> {
    const { first } = this.#waiting;
    const at = performance.now();
    // Since the start was asked for, the call may have been dropped or the limiter paused.
    if (first === undefined || this.#readyAt(first, at) > at) return Promise.resolve();
    this.#waiting.shift();
    const hold = this.#window.take(Math.min(first.credits, this.#window.free(at)), at);
    const call = first.start(hold).finally(() => {
      this.#calls.delete(call);
      this.#proceed();
    });
    this.#calls.add(call);
    return call;
  }

  async #perform<R>(hold: CreditHold, task: Task<R>): Promise<R> {
    const startedAt = performance.now();
    let extraMs = 0;
    let refused = false;
    try {
      return await task(this.#grant(hold));
    } catch (error) {
      if (!isAnswer(error)) extraMs = unansweredMs;
      refused = PipelineError.isInstance(error) && isRateLimit(error);
      if (refused) this.#pause(error as PipelineError);
      throw error;
    } finally {
      const at = performance.now();
      if (extraMs === 0 && hold.credits > 0) this.#roundTripMs += (at - startedAt - this.#roundTripMs) / 8;
      this.#isFirst = false;
      this.#window.settle(hold, at, { extraMs, refused });
    }
  }

  #grant(hold: CreditHold): Grant {
    return {
      credits: hold.credits,
      release: (unused) => {
        this.#window.release(hold, unused);
        this.#proceed();
      },
      report: (seen) => {
        this.#window.report(hold, seen, performance.now());
      },
    };
  }

  #pause(error: PipelineError): void {
    const at = performance.now();
    this.#pausedUntil = Math.max(this.#pausedUntil, at + pauseMs(error, this.#settings.windowMs, this.#settings.now()));
  }
}

function newStarter({ maxConcurrent, minTimeMs }: Settings): Bottleneck {
  // It reckons in whole milliseconds, and timers may fire one early.
  return new Bottleneck({ maxConcurrent, minTime: minTimeMs === 0 ? 0 : minTimeMs + 2 });
}

function clockLead(): number {
  return Date.now() - performance.now();
}

function stoppedError(): PipelineError {
  return new PipelineError('canceled', 'creditLimiter: the limiter was stopped');
}
