import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { ProviderError, RateLimitError } from '../../src/model/errors.ts';
import type { Fetched, Provider } from '../../src/model/ports.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call } from './providers.ts';
import { seeded } from './traffic.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12, 0, 13) });
});

const maybe = (max: number): fc.Arbitrary<number | undefined> =>
  fc.option(fc.integer({ min: 0, max }), { nil: undefined, freq: 3 });

const batch = fc.record({
  length: fc.integer({ min: 0, max: 40 }),
  startAfterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20_000 })),
  abortAfterMs: maybe(100_000),
  deadlineMs: maybe(200_000),
  failFast: fc.boolean(),
  /** Those with a number share their calls. */
  number: maybe(3),
});

const scenario = fc.record({
  seed: fc.nat(),
  credits: fc.integer({ min: 1, max: 60 }),
  windowMs: fc.constantFrom(1_000, 5_000, 60_000),
  maxConcurrent: fc.integer({ min: 1, max: 6 }),
  maxBatchSize: fc.integer({ min: 1, max: 40 }),
  batches: fc.array(batch, { minLength: 1, maxLength: 4 }),
  /** How many different inputs there are: the fewer, the more of them are shared. */
  inputs: fc.constantFrom(5, 60, 100_000),
  dearest: fc.integer({ min: 1, max: 3 }),
  stallRate: fc.constantFrom(0, 0.1),
  failures: fc.constantFrom(0, 0.05, 0.3),
  /** From when to when the provider answers nothing. */
  outage: fc.option(fc.tuple(fc.nat({ max: 30_000 }), fc.nat({ max: 300_000 })), { nil: undefined }),
  circuitFailures: fc.integer({ min: 1, max: 5 }),
  outageMs: fc.constantFrom(0, 60_000, Infinity),
});

interface Input {
  readonly id: number;
  readonly cost: number;
}

/** Fails calls and inputs, for good and for a moment, in every way that concerns a batch or one of its inputs. */
function moody(random: () => number, failures: number, isDown: () => boolean, answer: (input: Input) => number) {
  const isBad = (): boolean => random() < failures;
  return (inputs: readonly Input[]): (number | ProviderError)[] => {
    if (isDown() || isBad()) throw new ProviderError('provider_unavailable', 'down', { retryable: true });
    if (isBad()) throw new ProviderError('response_malformed', 'HTML');
    if (isBad()) throw new RateLimitError('moody', { retryAfterMs: 2_000 });
    if (random() < failures / 20) throw new ProviderError('unauthorized', 'no');
    if (random() < failures / 20) throw new ProviderError('quota_exhausted', 'gone', { retryAfterMs: 30_000 });
    return inputs.map((input) => {
      if (isBad()) return new ProviderError('provider_unavailable', 'later', { retryable: true });
      if (isBad()) return new ProviderError('symbol_unknown', 'none');
      return random() < failures / 20 ? new RateLimitError('moody', { retryAfterMs: 2_000 }) : answer(input);
    });
  };
}

/** Notices when an input is on its way twice at once. */
function onTheWay() {
  const ids = new Set<number>();
  const twice: number[] = [];
  return {
    twice,
    enter: (inputs: readonly Input[], signal: AbortSignal): (() => void) => {
      for (const { id } of inputs) {
        if (ids.has(id)) twice.push(id);
        ids.add(id);
      }
      const leave = (): void => {
        signal.removeEventListener('abort', leave);
        for (const { id } of inputs) ids.delete(id);
      };
      signal.addEventListener('abort', leave);
      return leave;
    },
  };
}

describe('any number of batches through any quota, failures, outages, deadlines and aborts', () => {
  it('end with one outcome for each input, its own, fetch nothing twice at once, and never exceed a window', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const { credits, windowMs, maxConcurrent, maxBatchSize, dearest, stallRate, failures, outage } = given;
        const random = seeded(given.seed);
        // What is aborted arrives within 5 s, which is what limiters allow for.
        const server = quotaServer({ credits, windowMs, stallRate, stallMs: 5_000, random });
        const startedAt = performance.now();
        const isDown = (): boolean => {
          const [from = Infinity, forMs = 0] = outage ?? [];
          const ms = performance.now() - startedAt;
          return ms >= from && ms < from + forMs;
        };
        const answer = moody(random, failures, isDown, ({ id }) => id);
        const wire = onTheWay();
        const provider: Provider<Input, number> = {
          name: 'moody',
          maxBatchSize,
          cost: (inputs) => inputs.reduce((sum, { cost }) => sum + cost, 0),
          fetch: async (inputs, { signal, report }) => {
            const leave = wire.enter(inputs, signal);
            try {
              report(await server.send(provider.cost(inputs), { signal }));
              return answer(inputs);
            } finally {
              leave();
            }
          },
        };
        const limiter = creditLimiter({ credits, windowMs, maxConcurrent });
        const { circuitFailures, outageMs } = given;
        const fetcher = limited(provider, limiter, { random, circuitFailures, outageMs });
        const newInput = (): Input => {
          const id = Math.floor(random() * given.inputs);
          return { id, cost: 1 + (id % dearest) };
        };
        const results: (readonly Fetched<number>[])[] = [];
        const batches = given.batches.map(({ length }) => Array.from({ length }, newInput));
        for (const [index, { startAfterMs, abortAfterMs, deadlineMs, failFast, number }] of given.batches.entries()) {
          const controller = new AbortController();
          setTimeout(() => {
            const { signal } = controller;
            const circumstances = call<Input, number>({ signal, deadlineMs, failFast, batch: number });
            void fetcher.fetch(batches[index]!, circumstances).then((fetched) => (results[index] = fetched));
          }, startAfterMs);
          if (abortAfterMs === undefined) continue;
          setTimeout(() => {
            controller.abort();
          }, abortAfterMs);
        }
        const isDone = (): boolean => batches.every((_, index) => results[index] !== undefined);
        for (let round = 0; round < 300 && !isDone(); round += 1) await vi.advanceTimersByTimeAsync(60_000);
        expect(isDone()).toBe(true);
        expect(wire.twice).toEqual([]);
        expectWindow(server.arrivals, { limit: credits, windowMs });
        const isCalm = failures === 0 && stallRate === 0 && outage === undefined;
        for (const [index, fetched] of results.entries()) {
          const { abortAfterMs, deadlineMs } = given.batches[index]!;
          const inputs = batches[index]!;
          expect(fetched).toHaveLength(inputs.length);
          for (const [place, entry] of fetched.entries()) {
            const { id, cost } = inputs[place]!;
            if (entry.status === 'ok') expect(entry.value).toBe(id);
            if (isCalm && abortAfterMs === undefined && deadlineMs === undefined) {
              expect(entry.status).toBe(cost > credits ? 'failed' : 'ok');
            }
          }
        }
        await vi.advanceTimersByTimeAsync(120_000);
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
