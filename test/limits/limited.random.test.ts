import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { ProviderError, RateLimitError } from '../../src/model/errors.ts';
import type { Provider } from '../../src/model/ports.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call } from './providers.ts';
import { seeded } from './traffic.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12, 0, 13) });
});

const scenario = fc.record({
  seed: fc.nat(),
  credits: fc.integer({ min: 1, max: 60 }),
  windowMs: fc.constantFrom(1_000, 5_000, 60_000),
  maxConcurrent: fc.integer({ min: 1, max: 6 }),
  maxBatchSize: fc.integer({ min: 1, max: 40 }),
  batches: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 3 }),
  dearest: fc.integer({ min: 1, max: 3 }),
  stallRate: fc.constantFrom(0, 0.1),
  failures: fc.constantFrom(0, 0.05, 0.3),
  abortAfterMs: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
});

interface Input {
  readonly id: number;
  readonly cost: number;
}

/** Fails calls and inputs, for good and for a moment, in every way that concerns a batch or one of its inputs. */
function moody(random: () => number, failures: number, answer: (input: Input) => number) {
  const isBad = (): boolean => random() < failures;
  return (inputs: readonly Input[]): (number | ProviderError)[] => {
    if (isBad()) throw new ProviderError('provider_unavailable', 'down', { retryable: true });
    if (isBad()) throw new ProviderError('response_malformed', 'HTML');
    if (isBad()) throw new RateLimitError('moody', { retryAfterMs: 2_000 });
    if (random() < failures / 20) throw new ProviderError('unauthorized', 'no');
    if (random() < failures / 20) throw new ProviderError('quota_exhausted', 'gone');
    return inputs.map((input) => {
      if (isBad()) return new ProviderError('provider_unavailable', 'later', { retryable: true });
      if (isBad()) return new ProviderError('symbol_unknown', 'none');
      return random() < failures / 20 ? new RateLimitError('moody', { retryAfterMs: 2_000 }) : answer(input);
    });
  };
}

describe('any number of batches through any quota and any failures', () => {
  it('end with one outcome for each input, its own, and never exceed a window', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const { credits, windowMs, maxConcurrent, maxBatchSize, dearest, stallRate, failures } = given;
        const random = seeded(given.seed);
        const server = quotaServer({ credits, windowMs, stallRate, random });
        const answer = moody(random, failures, ({ id }) => id);
        const provider: Provider<Input, number> = {
          name: 'moody',
          maxBatchSize,
          cost: (inputs) => inputs.reduce((sum, { cost }) => sum + cost, 0),
          fetch: async (inputs, { signal, report }) => {
            report(await server.send(provider.cost(inputs), { signal }));
            return answer(inputs);
          },
        };
        const limiter = creditLimiter({ credits, windowMs, maxConcurrent });
        const fetcher = limited(provider, limiter, { random });
        const controller = new AbortController();
        if (given.abortAfterMs !== undefined)
          setTimeout(() => {
            controller.abort();
          }, given.abortAfterMs);
        const batches = given.batches.map((length, batch) =>
          Array.from({ length }, (_, index) => ({
            id: batch * 1_000 + index,
            cost: 1 + Math.floor(random() * dearest),
          })),
        );
        const fetching = Promise.all(
          batches.map((inputs) => fetcher.fetch(inputs, call({ signal: controller.signal }))),
        );
        let isDone = false;
        void fetching.then(() => (isDone = true));
        for (let round = 0; round < 300 && !isDone; round += 1) await vi.advanceTimersByTimeAsync(60_000);
        expect(isDone).toBe(true);
        const results = await fetching;
        expectWindow(server.arrivals, { limit: credits, windowMs });
        for (const [batch, fetched] of results.entries()) {
          const inputs = batches[batch]!;
          expect(fetched).toHaveLength(inputs.length);
          for (const [index, entry] of fetched.entries()) {
            const { id, cost } = inputs[index]!;
            if (entry.status === 'ok') expect(entry.value).toBe(id);
            if (failures === 0 && stallRate === 0 && given.abortAfterMs === undefined) {
              expect(entry.status).toBe(cost > credits ? 'failed' : 'ok');
            }
          }
        }
        await vi.advanceTimersByTimeAsync(20_000);
        expect(vi.getTimerCount()).toBeLessThanOrEqual(given.abortAfterMs === undefined ? 0 : 1);
        vi.clearAllTimers();
      }),
      { numRuns: 200 },
    );
  });
});
