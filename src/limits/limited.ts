import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { OptionsError } from '../model/errors.ts';
import type { Fetcher, Limiter, Provider } from '../model/ports.ts';
import { AbortListeners } from './abortListeners.ts';
import { BatchRun } from './batchRun.ts';
import { estimate } from './estimate.ts';

export interface LimitedOptions {
  /** Time limit of one request to the provider, in milliseconds. Default: 10000. */
  timeoutMs?: number | undefined;
  /** Most retries of one input after transient failures; refusals for the rate do not count. Default: 3. */
  maxRetries?: number | undefined;
  /** Chance, from 0 to 1, for the jitter of the waits between retries. Default: Math.random. */
  random?: (() => number) | undefined;
  /** The wall clock, in milliseconds; must be the limiter's. Default: Date.now. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<LimitedOptions>('limited')({
  timeoutMs: z.int().min(1).max(3_600_000).default(10_000),
  maxRetries: z.int().min(0).max(100).default(3),
  random: callback<() => number>().default(() => () => Math.random()),
  now: callback<() => number>().default(() => () => Date.now()),
});

/**
 * Makes a `Fetcher` of a provider and a limiter: it serves a whole work batch, in provider calls of at most the provider's
 * maximum and the credits granted, several at once up to the limiter's bound, with every outcome in its input's place. One
 * for each API key; any number of batches may use it at once.
 *
 * - A batch keeps one call waiting for credits and decides what to ask for when they are granted: as many inputs, in order,
 *   as the credits pay for; the rest of the credits goes back. A batch of 100 therefore runs on a plan of 8 credits a minute.
 * - `onWait` is called when credits are not free yet. After a wait of a second or more, `settle` is asked what has become
 *   fresh meanwhile, and that is not fetched; when `settle` fails, everything is fetched.
 * - A `RateLimitError` pauses the limiter and returns its inputs to the front: no attempt, without a bound but the caller's
 *   abort.
 * - A retryable error, of a call or of one input, is retried up to `maxRetries` times, after a wait with full jitter:
 *   `random() * min(30 s, 500 ms * 2^n)`. Each retry pays again through the limiter.
 * - `unauthorized` fails the rest of the batch with that error, `quota_exhausted` leaves it `skipped` with reason `quota`;
 *   neither makes another call. Every other error fails the inputs of its call, or its input, alone.
 * - On abort the promise resolves at once: what was fetched so far stands, because it is paid for, and the rest is
 *   `skipped` with reason `canceled`. Calls on their way are aborted.
 *
 * The promise rejects only with what one of the caller's own functions (`onWait`, `onCall`) throws.
 *
 * @example
 * ```ts
 * import { creditLimiter, limited } from 'fintrack-pipelines';
 * import type { Provider } from 'fintrack-pipelines';
 *
 * const lengths: Provider<string, number> = {
 *   name: 'lengths',
 *   maxBatchSize: 2,
 *   cost: (words) => words.length,
 *   fetch: (words) => Promise.resolve(words.map((word) => word.length)),
 * };
 * const fetcher = limited(lengths, creditLimiter({ credits: 100 }));
 *
 * let calls = 0;
 * const onCall = (): void => {
 *   calls += 1;
 * };
 * const fetched = await fetcher.fetch(['a', 'bb', 'ccc'], { signal: new AbortController().signal, onCall });
 * console.log(fetched.map((entry) => (entry.status === 'ok' ? entry.value : entry.status)), calls);
 * // [ 1, 2, 3 ] 2
 * ```
 */
export function limited<I, T>(provider: Provider<I, T>, limiter: Limiter, options: LimitedOptions = {}): Fetcher<I, T> {
  const settings = resolveOptions(options);
  if (!Number.isSafeInteger(provider.maxBatchSize) || provider.maxBatchSize < 1) {
    throw new OptionsError(
      `limited: ${provider.name}: maxBatchSize: expected a whole number of at least 1, got ${String(provider.maxBatchSize)}`,
    );
  }
  const aborts = new AbortListeners();
  return {
    name: provider.name,
    fetch: (inputs, call) => new BatchRun({ provider, limiter, aborts, ...settings }, inputs, call).run(),
    refresh: async () => limiter.refresh?.(),
    estimate: (inputs, of) => estimate(provider, limiter, inputs, of),
  };
}
