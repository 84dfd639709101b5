import Bottleneck from 'bottleneck';
import { z } from 'zod';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import { OptionsError } from '../model/errors.ts';
import type { Limiter, QuotaWindow } from '../model/ports.ts';
import type { QuotaStore, SharedWindow } from '../model/quotaPorts.ts';
import { creditSources } from './credits/creditSources.ts';
import type { LongPause } from './credits/stops.ts';
import { memoryQuotaStore } from './quotas/memoryQuotaStore.ts';
import { longestPeriodMs } from './quotas/quotaPeriod.ts';
import type { QuotaPeriod } from './quotas/quotaPeriod.ts';
import { longestTimerMs, WindowedLimiter } from './windowedLimiter.ts';
import type { Starter } from './windowedLimiter.ts';

/** A quota of a day or a month, in UTC. */
export interface CreditQuota {
  /** The credits that the plan allows in a period: a whole number of at least 1. */
  credits: number;
  period: QuotaPeriod;
  /** Where the count survives a restart: `jsonFileStore`, or a table. Default: memoryQuotaStore(). */
  store?: QuotaStore | undefined;
}

export interface CreditLimiterOptions {
  /**
   * The credits that the plan allows in a window: a whole number of at least 1, or `Infinity` for a provider without a
   * quota, where only `maxConcurrent` and `minTimeMs` bind.
   */
  credits: number;
  /** The length of the provider's window, in milliseconds. Default: 60000. */
  windowMs?: number | undefined;
  /** Further windows, each of them kept as strictly, such as one per second beside one per minute. Default: none. */
  windows?: readonly { readonly credits: number; readonly windowMs: number }[] | undefined;
  /** Quotas of days and months. Default: none. */
  quotas?: readonly CreditQuota[] | undefined;
  /**
   * The window itself, where several processes share it, such as a table in PostgreSQL; `credits` and `windowMs` have to be
   * its own. Default: a window of this process alone.
   */
  window?: SharedWindow | undefined;
  /**
   * With a shared `window`, the longest that a call may take in milliseconds, from asking for its credits to its end: longer
   * than its time limit, or its credits are granted to another process while it is on its way. Default: 20000.
   */
  callTimeoutMs?: number | undefined;
  /** The names of the lanes, the highest first. Calls of any other lane are in the lowest. Default: one lane for all. */
  lanes?: readonly string[] | undefined;
  /** Credits of the window that the lowest lane never takes. Default: a quarter with several `lanes`, otherwise 0. */
  reserve?: number | undefined;
  /** Begin as if all credits of the windows had just been used: after an unclean stop. Default: false. */
  startsUsed?: boolean | undefined;
  /** Most calls on their way at once. Default: 4. */
  maxConcurrent?: number | undefined;
  /** Least time between the starts of two calls, in milliseconds. Default: 0. */
  minTimeMs?: number | undefined;
  /**
   * Told when a provider asks for a longer pause than a window of the plan: the limiter pauses for that window. Default: nobody.
   */
  onLongPause?: ((pause: LongPause) => void) | undefined;
  /** The wall clock, in milliseconds, for dates and periods; durations are measured by `performance.now()`. Default: Date.now. */
  now?: (() => number) | undefined;
}

const credits = z.custom<number>((value) => Number.isSafeInteger(value) && Number(value) >= 1, {
  error: 'expected a whole number of at least 1',
});
const windowMs = z.int().min(1).max(longestTimerMs);

const resolveOptions = defineOptions<CreditLimiterOptions>('creditLimiter')({
  credits: z.custom<number>((value) => value === Infinity || (Number.isSafeInteger(value) && Number(value) >= 1), {
    error: 'expected a whole number of at least 1, or Infinity',
  }),
  windowMs: windowMs.default(60_000),
  windows: z.array(z.strictObject({ credits, windowMs })).default([]),
  quotas: z
    .array(
      z.strictObject({
        credits,
        period: z.enum(['day', 'month']),
        store: port<QuotaStore>('a QuotaStore', 'book', 'giveBack').default(() => memoryQuotaStore()),
      }),
    )
    .default([]),
  window: port<SharedWindow>('a SharedWindow', 'take', 'release', 'settle').optional(),
  callTimeoutMs: z.int().min(1).max(longestTimerMs).default(20_000),
  lanes: z.array(z.string().min(1)).default([]),
  reserve: z.int().min(0).optional(),
  startsUsed: z.boolean().default(false),
  maxConcurrent: z.int().min(1).max(10_000).default(4),
  minTimeMs: z.int().min(0).max(longestTimerMs).default(0),
  onLongPause: callback<(pause: LongPause) => void>().optional(),
  now: callback<() => number>().default(() => () => Date.now()),
});

/** A `Limiter` that can be stopped. It needs no stopping to end a process: while no call waits it holds no timer. */
export interface CreditLimiter extends Limiter, AsyncDisposable {
  windows(lane?: string): readonly QuotaWindow[];
  refresh(): Promise<void>;
  /**
   * Drops the calls that wait, with a `PipelineError` of code `canceled`, refuses new ones the same way, and resolves
   * once the calls on their way have ended and the stores have back what was booked of their quotas and not used.
   */
  stop(): Promise<void>;
}

/**
 * Keeps one API key within its quota: never more than `credits` in any sliding window of `windowMs` at the provider, and
 * nearly all of them used. Make one for each key and share it between everything that uses the key.
 *
 * - A credit is free again one window after the RESPONSE of its call, because the provider counts the call somewhere
 *   between sending and response; after a call without an answer (timeout, abort, lost connection) 5 s later still.
 * - A call that wants `credits` and accepts `min` starts as soon as `min` are free, with what is free then. The first call of a
 *   limiter goes alone, so that what the provider says of its quota binds the rest.
 * - Requests take turns, call by call; of one request, the lower batch goes first. With `lanes` the highest lane that waits
 *   goes first, but each lower one that waits gets an eighth of the credits. `reserve` credits and one of the calls at once are
 *   never the lowest lane's, so that a rare call of a higher one is served at once; when both wait, the eighth is the lowest
 *   lane's all the same.
 * - A `RateLimitError` from a task pauses the whole limiter, for the error's `retryAfterMs`, but for one window at most: a longer
 *   one is told to `onLongPause`. Without one it pauses until 250 ms after the next clock minute, or for `windowMs` where the window
 *   is shorter than a minute. The refused call keeps its credits.
 * - When a quota is used up, calls reject with a `PipelineError` of code `quota_exhausted`, whose `retryAfterMs` leads to the
 *   end of the period, in UTC. A task that fails with that code closes the limiter for all: for its `retryAfterMs`, without
 *   one until the day ends. No spent quota closes the limiter for longer than a day, or than its longest quota's period.
 * - `Grant.report` makes it learn: what the provider counted beyond our own calls was spent by others on the same key, and
 *   as much is kept back for a window and 5 s. A shared `window` learns it for all of its processes.
 *
 * Errors: an `OptionsError` for a bad option, or when a call accepts no less than more credits than a window holds; a
 * `PipelineError` with code `request_refused` when 10,000 calls wait already, with code `canceled` after `stop`, and the
 * error of the store or of the shared window when that cannot be asked: without them nothing is granted.
 *
 * @example
 * ```ts
 * import { creditLimiter } from 'fintrack-pipelines';
 *
 * const limiter = creditLimiter({ credits: 8, windowMs: 60_000, quotas: [{ credits: 800, period: 'day' }] });
 * const { signal } = new AbortController();
 *
 * const credits = await limiter.run({ credits: 100, min: 1 }, (grant) => Promise.resolve(grant.credits), { signal });
 * console.log(credits);
 * // 8
 * console.log(limiter.windows().map(({ left }) => left));
 * // [ 0, 792 ]
 * ```
 */
export function creditLimiter(options: CreditLimiterOptions): CreditLimiter {
  const settings = resolveOptions(options);
  const { lanes, maxConcurrent, now, quotas } = settings;
  const reserve = reserveOf(settings);
  if (settings.window !== undefined && settings.credits === Infinity) {
    throw new OptionsError('creditLimiter: credits: expected a whole number with a shared window, got Infinity');
  }
  const longestStopMs = Math.max(longestPeriodMs.day, ...quotas.map(({ period }) => longestPeriodMs[period]));
  const longestPauseMs = Math.max(settings.windowMs, ...settings.windows.map((each) => each.windowMs));
  const { windowMs, onLongPause } = settings;
  return new WindowedLimiter(
    { windowMs, maxConcurrent, lanes, reserve, longestPauseMs, longestStopMs, onLongPause, now },
    creditSources(settings),
    new BottleneckStarter(settings),
  );
}

/** The reserve as a share of the window. */
function reserveOf({ credits, lanes, reserve }: Pick<CreditLimiterOptions, 'credits' | 'lanes' | 'reserve'>): number {
  if (reserve === undefined) return (lanes?.length ?? 0) > 1 ? Math.floor(credits / 4) / credits || 0 : 0;
  if (reserve < credits) return reserve / credits;
  throw new OptionsError(`creditLimiter: reserve: expected less than the ${credits} credits, got ${reserve}`);
}

/**
 * Bottleneck says when the next call may start. Its reservoir is not used, because its refresh lets two windows' worth
 * through, and nothing is queued in it, because a job queued there can neither be canceled nor change its weight.
 */
class BottleneckStarter implements Starter {
  readonly #newBottleneck: () => Bottleneck;
  readonly #longestWaitMs: number;
  readonly #jobs = new Set<Promise<void>>();
  #bottleneck: Bottleneck;
  #clockLead = clockLead();

  constructor({ maxConcurrent, minTimeMs }: { readonly maxConcurrent: number; readonly minTimeMs: number }) {
    // It reckons in whole milliseconds, and timers may fire one early.
    const minTime = minTimeMs === 0 ? 0 : minTimeMs + 2;
    this.#newBottleneck = () => new Bottleneck({ maxConcurrent, minTime });
    this.#bottleneck = this.#newBottleneck();
    this.#longestWaitMs = Math.min(minTime + 1_000, longestTimerMs);
  }

  start(job: () => Promise<void>): void {
    const run = this.#run(job).finally(() => this.#jobs.delete(run));
    this.#jobs.add(run);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#jobs);
  }

  /** The clock may also be set back between asking Bottleneck and its start: whoever waits too long asks once more. */
  #run(job: () => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      let asked: Bottleneck | undefined;
      let hasBegun = false;
      const begin = async (): Promise<void> => {
        if (hasBegun) return;
        hasBegun = true;
        clearTimeout(timer);
        await job();
        resolve();
      };
      const ask = (): void => {
        this.#survivePastClock();
        timer = setTimeout(ask, this.#longestWaitMs);
        if (asked === this.#bottleneck) return;
        asked = this.#bottleneck;
        asked.schedule(begin).catch(() => undefined); // dropped with its Bottleneck: it is asked for once more
      };
      ask();
    });
  }

  /** Bottleneck reckons in `Date.now()`: once that is set back an hour, it starts nothing for an hour (LocalDatastore.js). */
  #survivePastClock(): void {
    const lead = clockLead();
    if (lead < this.#clockLead - 1_000) {
      // What waits in it is asked for once more, and what runs goes on; its timers would keep the process.
      void this.#bottleneck.stop();
      this.#bottleneck = this.#newBottleneck();
    } else if (lead < this.#clockLead) return;
    this.#clockLead = lead;
  }
}

/** By how much the wall clock is ahead of the monotonic one. */
function clockLead(): number {
  return Date.now() - performance.now();
}
