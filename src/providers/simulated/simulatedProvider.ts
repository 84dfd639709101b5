import { z } from 'zod';
import { callback, defineOptions } from '../../model/defineOptions.ts';
import { ProviderError } from '../../model/errors.ts';
import type { Provider } from '../../model/ports.ts';
import { pause } from '../../flow/pause.ts';
import { chanceOf, seededRandom } from './chance.ts';
import { quotaWindow, type SimulatedQuota } from './quotaWindow.ts';

export interface SimulatedOptions {
  /** What the provider calls itself in outcomes and errors. Default: `simulated`. */
  name?: string | undefined;
  /** Makes other prices and other failures. Default: 1. */
  seed?: number | undefined;
  /** How long each answer takes, in milliseconds. Default: 0. */
  latencyMs?: number | undefined;
  /** Which part of all symbols is unknown, from 0 to 1; always the same symbols for a seed. Default: 0. */
  unknownRate?: number | undefined;
  /** Which part of all calls fails as if the provider were down for a moment, from 0 to 1. Default: 0. */
  transientRate?: number | undefined;
  /** The credits any window of time may hold; a call beyond it is refused with a `RateLimitError`. Default: no quota. */
  quota?: SimulatedQuota | undefined;
  /** Most inputs in one call. Default: 120 for assets, 50 for indexes. */
  maxBatchSize?: number | undefined;
  /** The time in milliseconds by which the quota's window slides. Default: performance.now. */
  now?: (() => number) | undefined;
  /** Numbers in [0, 1) that decide which calls fail. Default: a generator of its own, started with the seed. */
  random?: (() => number) | undefined;
}

const rate = z.number().min(0).max(1).default(0);

const checks = {
  name: z.string().min(1).default('simulated'),
  seed: z.int().default(1),
  latencyMs: z.number().min(0).default(0),
  unknownRate: rate,
  transientRate: rate,
  quota: z.object({ credits: z.number().positive(), windowMs: z.number().positive() }).optional(),
  maxBatchSize: z.int().min(1).optional(),
  now: callback<() => number>().default(() => () => performance.now()),
  random: callback<() => number>().optional(),
};

/** What one kind of simulated data adds. */
interface Simulation<I, T> {
  readonly maxBatchSize: number;
  readonly cost: (inputs: readonly I[]) => number;
  readonly make: (input: I, seed: number) => T;
}

/** What the simulated providers have in common: latency, failures and a quota; `owner` is the function that the user called. */
export function simulatedProvider<I extends { readonly symbol: string }, T>(
  owner: string,
  options: SimulatedOptions,
  { cost, make, ...defaults }: Simulation<I, T>,
): Provider<I, T> {
  const resolved = defineOptions<SimulatedOptions>(owner)(checks)(options);
  const { name, seed, latencyMs, unknownRate, transientRate, quota, now, ...rest } = resolved;
  const { maxBatchSize = defaults.maxBatchSize, random = seededRandom(seed) } = rest;
  // Shared by all calls, like the quota of one key at a real provider.
  const window = quota && quotaWindow(name, quota, now);

  function answer(input: I): T | ProviderError {
    const isUnknown = chanceOf(`${seed} unknown ${input.symbol}`) < unknownRate;
    if (isUnknown) return new ProviderError('symbol_unknown', `${name}: ${input.symbol}: unknown symbol`);
    return make(input, seed);
  }

  return {
    name,
    maxBatchSize,
    cost,
    async fetch(inputs, call) {
      call.signal.throwIfAborted();
      const seen = window?.spend(cost(inputs));
      const fails = random() < transientRate;
      await pause(latencyMs, call.signal);
      if (seen !== undefined) call.report(seen);
      if (fails) throw new ProviderError('provider_unavailable', `${name}: HTTP 503: simulated`, { retryable: true });
      return inputs.map(answer);
    },
  };
}
