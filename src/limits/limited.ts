import { z } from 'zod';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import { OptionsError } from '../model/errors.ts';
import { limiterCheck, providerCheck } from '../model/portChecks.ts';
import type { Fetcher, Limiter, Provider } from '../model/ports.ts';
import type { KeyRefusals } from '../model/quotaPorts.ts';
import { AbortListeners } from './abortListeners.ts';
import { BatchRun } from './fetching/batchRun.ts';
import { estimate } from './estimate.ts';
import { jsonKey } from './fetching/inputQueue.ts';
import { ProviderState } from './fetching/providerState.ts';

export interface LimitedOptions {
  /** Time limit of one request to the provider, in milliseconds. Default: the provider's own, else 10000. */
  timeoutMs?: number | undefined;
  /** Most retries of one input after transient failures; refusals for the rate and an outage do not count. Default: 3. */
  maxRetries?: number | undefined;
  /**
   * Most retries in a minute, as a share of the requests of that minute, from 0; 5 more are always allowed. A call is one retry,
   * however many inputs it has. Default: 0.2.
   */
  retryShare?: number | undefined;
  /** So many calls without an answer, one after the other, open the provider's circuit. Default: 5. */
  circuitFailures?: number | undefined;
  /** How long an open circuit sends nothing before one call tries again, in milliseconds. Default: 30000. */
  circuitOpenMs?: number | undefined;
  /**
   * How long an outage is waited for, in milliseconds: when a trial call has failed after that, what waits fails with
   * `provider_unavailable`. 0 waits for no trial but one on its way; with `Infinity` retries wear out only while the provider
   * answers other calls. Default: 60000.
   */
  outageMs?: number | undefined;
  /**
   * How long one work batch may take, in milliseconds, its waits for credits included: what is not there by then is `skipped`
   * with reason `deadline`. Default: no limit.
   */
  deadlineMs?: number | undefined;
  /** How long an input that the provider does not know is not asked for again, in milliseconds. Default: 21600000 (6 h). */
  deadSymbolMs?: number | undefined;
  /**
   * What all processes on the key know of its refusal, so that one call of all of them tries it again: `postgresKeyRefusals`.
   * Default: each fetcher knows and tries for itself.
   */
  refusals?: KeyRefusals | undefined;
  /** Chance, from 0 to 1, for the jitter of the waits between retries. Default: Math.random. */
  random?: (() => number) | undefined;
  /** The wall clock, in milliseconds; must be the limiter's. Default: Date.now. */
  now?: (() => number) | undefined;
}

const milliseconds = z.number().min(0);
const millisecondsOrInfinity = z.union([z.literal(Infinity), milliseconds], {
  error: 'expected a number of at least 0, or Infinity',
});

const resolveOptions = defineOptions<LimitedOptions>('limited')({
  timeoutMs: z.int().min(1).max(3_600_000).optional(),
  maxRetries: z.int().min(0).max(100).default(3),
  retryShare: z.number().min(0).default(0.2),
  circuitFailures: z.int().min(1).default(5),
  circuitOpenMs: z.int().min(1).max(3_600_000).default(30_000),
  outageMs: millisecondsOrInfinity.default(60_000),
  deadlineMs: millisecondsOrInfinity.default(Infinity),
  deadSymbolMs: milliseconds.default(6 * 3_600_000),
  random: callback<() => number>().default(() => () => Math.random()),
  refusals: port<KeyRefusals>('a KeyRefusals', 'standing', 'refuse', 'claim', 'lift').optional(),
  now: callback<() => number>().default(() => () => Date.now()),
});

const checkArguments = defineOptions<{ provider: Provider<unknown, unknown>; limiter: Limiter }>('limited')({
  provider: providerCheck,
  limiter: limiterCheck,
});

/**
 * Makes a `Fetcher` of a provider and a limiter: it serves a whole work batch, in provider calls of at most the provider's
 * maximum and the credits granted, several at once up to the limiter's bound, with every outcome in its input's place. One
 * for each API key; any number of batches may use it at once.
 *
 * - A batch keeps one call waiting for credits and decides what to ask for when they are granted: as many inputs, in order,
 *   as the credits pay for; the rest of the credits goes back. A batch of 100 therefore runs on a plan of 8 credits a minute.
 * - What is left of a batch that was cut shares its call with the batches, by their numbers, of the same `request` and `lane`.
 *   `onCall` is called once, for the batch that asked, with all inputs and credits of the call.
 * - `onWait` is called when credits are not free yet. After a wait of a second or more, `settle` is asked what has become
 *   fresh meanwhile, and that is not fetched; when `settle` fails, everything is fetched.
 * - A `RateLimitError` pauses the limiter and returns its inputs to the front: no attempt, without a bound but the deadline
 *   and the caller's abort.
 * - A retryable error, of a call or of one input, is retried up to `maxRetries` times and within the retry budget, after a
 *   wait with full jitter: `random() * min(30 s, 500 ms * 2^n)`. Each retry pays again through the limiter.
 * - An input that is on its way for another batch is waited for, and not fetched a second time; a call is aborted when the
 *   last batch that waits for it has left.
 * - While the provider gives no answers (its circuit is open), nothing is sent but a trial now and then; inputs wait for it up
 *   to `outageMs`.
 * - `unauthorized` fails everything that is not fetched yet with that error, in this batch and in all others, and for 5 minutes
 *   what comes later. Then the first call tries again, alone; where it is refused too, nobody asks for twice as long, up to an hour.
 * - `quota_exhausted` leaves everything `skipped` with reason `quota` until the quota comes back.
 * - An input that the provider does not know fails, and is remembered for `deadSymbolMs`, unless more than a fifth of its
 *   batch is unknown. Every other error fails the inputs of its call, or its input, alone.
 * - On abort, and at the deadline, the promise resolves at once: what was fetched so far stands, because it is paid for, and
 *   the rest is `skipped` with reason `canceled` or `deadline`. Calls on their way are aborted.
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
  checkArguments({ provider, limiter });
  const settings = resolveOptions(options);
  if (!Number.isSafeInteger(provider.maxBatchSize) || provider.maxBatchSize < 1) {
    throw new OptionsError(
      `limited: ${provider.name}: maxBatchSize: expected a whole number of at least 1, got ${String(provider.maxBatchSize)}`,
    );
  }
  const { timeoutMs = provider.timeoutMs ?? 10_000 } = settings;
  const state = new ProviderState<I, T>(provider.name, { ...settings, timeoutMs });
  const keyOf = (input: I): string => provider.key?.(input) ?? jsonKey(input);
  const shared = { provider, limiter, state, aborts: new AbortListeners(), keyOf, ...settings, timeoutMs };
  return {
    name: provider.name,
    fetch: async (inputs, call) => new BatchRun(shared, inputs, call).run(),
    health: () => [state.health()],
    refresh: async () => limiter.refresh?.(),
    estimate: (inputs, of) => estimate(provider, limiter, inputs, of),
  };
}
