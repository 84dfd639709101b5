import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import type { ProviderCall } from '../../src/model/batch.ts';
import { ProviderError, RateLimitError } from '../../src/model/errors.ts';
import type { FetchCall } from '../../src/model/ports.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call, summary, wordLengths } from './providers.ts';
import { seeded } from './traffic.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12, 0, 13) });
});

/** Inputs of batch `batch`: their names say whose they are. */
const inputsOf = (batch: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${String(batch)}-${String(index)}`);

const batchesIn = (inputs: readonly string[]): string[] => [...new Set(inputs.map((input) => input.split('-')[0]!))];

/** Work batches of 6 inputs at 4 credits a minute, each with a call of its own. */
const start = (
  calls: readonly Partial<FetchCall<string, number>>[],
  { provider = wordLengths(), limiter = creditLimiter({ credits: 4 }), size = 6, options = {} } = {},
) => {
  const fetcher = limited(provider, limiter, options);
  const controllers = calls.map(() => new AbortController());
  const results = calls.map((of, batch) =>
    fetcher.fetch(inputsOf(batch, size), call({ signal: controllers[batch]!.signal, batch, ...of })),
  );
  return { provider, controllers, results };
};

const summaries = async (results: ReturnType<typeof start>['results'], ms = 600_000) => {
  await vi.advanceTimersByTimeAsync(ms);
  return (await Promise.all(results)).map(summary);
};

const threes = (count: number): number[] => Array.from({ length: count }, () => 3);

describe('a call that has room', () => {
  it('makes 2,000 inputs in batches of 100, at 55 credits a minute, at most 40 calls, never over the window', async () => {
    const server = quotaServer({ credits: 55, random: seeded(1) });
    const ended: number[] = [];
    const sent: string[][] = [];
    const provider = {
      name: 'words',
      maxBatchSize: 120,
      cost: (inputs: readonly string[]) => inputs.length,
      fetch: async (inputs: readonly string[], { signal }: { readonly signal: AbortSignal }) => {
        sent.push([...inputs]);
        await server.send(inputs.length, { signal });
        return inputs.map((input) => input.length);
      },
    };
    const fetcher = limited(provider, creditLimiter({ credits: 55 }));
    const results = Array.from({ length: 20 }, async (_, batch) => {
      const fetched = await fetcher.fetch(inputsOf(batch, 100), call({ request: 'r', batch }));
      ended.push(batch);
      return fetched;
    });
    await vi.advanceTimersByTimeAsync(3_600_000);
    const fetched = (await Promise.all(results)).flat();
    expect(fetched.filter(({ status }) => status === 'ok')).toHaveLength(2_000);
    expect(server.arrivals.length).toBeLessThanOrEqual(40);
    expectWindow(server.arrivals, { limit: 55, windowMs: 60_000 });
    expect(sent.flat()).toEqual(Array.from({ length: 20 }, (_, batch) => inputsOf(batch, 100)).flat());
    expect(ended).toEqual(Array.from({ length: 20 }, (_, batch) => batch));
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes what the lowest other batches of the same request wait for, whichever asked first', async () => {
    const { provider, results } = start([{ batch: 2 }, { batch: 0 }, { batch: 1 }], { size: 5 });
    expect(await summaries(results)).toEqual([threes(5), threes(5), threes(5)]);
    // The names are those of the places: batch 0 is in place 1, batch 1 in place 2.
    expect(provider.calls.map(batchesIn)).toEqual([['1'], ['1', '2'], ['2', '0'], ['0']]);
  });

  it('takes nothing of other requests, of other lanes, or of batches without a number', async () => {
    const others: Partial<FetchCall<string, number>>[][] = [
      [{ request: 'one' }, { request: 'other' }],
      [{ lane: 'market' }, { lane: 'historical' }],
      [{ batch: undefined }, { batch: 1 }],
      [{ batch: 1 }, { batch: undefined }],
    ];
    for (const calls of others) {
      const { provider, results } = start(calls);
      expect(await summaries(results)).toEqual([threes(6), threes(6)]);
      for (const inputs of provider.calls) expect(batchesIn(inputs)).toHaveLength(1);
    }
  });

  it('asks for no more than the provider takes at once, and than its credits pay for', async () => {
    const cost = (inputs: readonly string[]): number => 2 * inputs.length;
    const provider = wordLengths({ maxBatchSize: 5, cost });
    const { results } = start([{}, {}, {}], { provider, limiter: creditLimiter({ credits: 8 }), size: 3 });
    expect(await summaries(results)).toEqual([threes(3), threes(3), threes(3)]);
    expect(Math.max(...provider.calls.map(({ length }) => length))).toBe(4);
    const small = wordLengths({ maxBatchSize: 5, cost: () => 1 });
    const wide = start([{}, {}, {}], { provider: small, limiter: creditLimiter({ credits: 100 }) });
    expect(await summaries(wide.results)).toEqual([threes(6), threes(6), threes(6)]);
    expect(small.calls.map(({ length }) => length)).toEqual([5, 5, 5, 3]);
  });

  it('takes nothing along where each batch fits a call', async () => {
    const { provider, results } = start([{}, {}, {}], { limiter: creditLimiter({ credits: 100 }) });
    expect(await summaries(results)).toEqual([threes(6), threes(6), threes(6)]);
    expect(provider.calls).toEqual([inputsOf(0, 6), inputsOf(1, 6), inputsOf(2, 6)]);
  });

  it('asks once for an input that several of the batches have', async () => {
    const provider = wordLengths();
    const fetcher = limited(provider, creditLimiter({ credits: 4 }));
    const lists = [
      ['a', 'b', 'c', 'd', 'e'],
      ['e', 'f'],
      ['f', 'g', 'a'],
    ];
    const results = lists.map((inputs, batch) => fetcher.fetch(inputs, call({ batch })));
    expect(await summaries(results)).toEqual([
      [1, 1, 1, 1, 1],
      [1, 1],
      [1, 1, 1],
    ]);
    expect(provider.calls).toEqual([
      ['a', 'b', 'c', 'd'],
      ['e', 'f', 'g'],
    ]);
  });

  it('is told once, with all its inputs and credits, to the batch that asked for it', async () => {
    const told: [number, Pick<ProviderCall, 'inputs' | 'credits'>][] = [];
    const onCall =
      (batch: number) =>
      ({ inputs, credits }: ProviderCall) =>
        void told.push([batch, { inputs, credits }]);
    const { results } = start([0, 1].map((batch) => ({ onCall: onCall(batch) })));
    await summaries(results);
    expect(told).toEqual([
      [0, { inputs: 4, credits: 4 }],
      [0, { inputs: 4, credits: 4 }],
      [1, { inputs: 4, credits: 4 }],
    ]);
  });
});

describe('a batch whose inputs came along', () => {
  it('leaves on abort, and the others get theirs', async () => {
    for (const leaver of [0, 1]) {
      const { controllers, results, provider } = start([{}, {}]);
      await vi.advanceTimersByTimeAsync(60_150);
      expect(provider.calls.map(batchesIn)).toEqual([['0'], ['0', '1']]);
      controllers[leaver]!.abort();
      const left = summary(await results[leaver]!);
      expect(left.filter((entry) => entry === 'canceled')).toHaveLength(leaver === 0 ? 2 : 6);
      expect(await summaries(results.slice(1 - leaver, 2 - leaver))).toEqual([threes(6)]);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it('ends at its deadline, alone', async () => {
    const { results } = start([{}, { deadlineMs: 60_150 }]);
    expect(await summaries(results)).toEqual([threes(6), Array.from({ length: 6 }, () => 'deadline')]);
  });

  it('asks for them again, first, when they are refused for the rate', async () => {
    const refused = new RateLimitError('words', { retryAfterMs: 90_000 });
    for (const isWhole of [true, false]) {
      const answer = (inputs: readonly string[], n: number) => {
        if (n === 2 && isWhole) throw refused;
        return inputs.map((input) => (n === 2 && input.startsWith('1') ? refused : input.length));
      };
      const provider = wordLengths({ answer });
      const { results } = start([{}, {}], { provider });
      expect(await summaries(results)).toEqual([threes(6), threes(6)]);
      expect(provider.calls[2]).toEqual(isWhole ? provider.calls[1] : inputsOf(1, 4));
    }
  });

  it('is tried again by itself, without others, after a failure', async () => {
    const failure = new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true });
    const answer = (inputs: readonly string[], n: number) =>
      n === 2 ? Promise.reject(failure) : inputs.map((input) => input.length);
    const provider = wordLengths({ answer });
    const { results } = start([{}, {}, {}], { provider, options: { random: () => 0 } });
    expect(await summaries(results)).toEqual([threes(6), threes(6), threes(6)]);
    expect(provider.calls[1]).toEqual([...inputsOf(0, 6).slice(4), ...inputsOf(1, 2)]);
    expect(provider.calls[2]).toEqual(inputsOf(0, 6).slice(4));
  });

  it('takes nobody along, and is taken along by nobody, when it is tried again', async () => {
    const failure = new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true });
    const answer = (inputs: readonly string[], n: number) =>
      n === 1 ? Promise.reject(failure) : inputs.map((input) => input.length);
    const provider = wordLengths({ answer });
    const fetcher = limited(provider, creditLimiter({ credits: 4 }), { random: () => 0 });
    const higher = fetcher.fetch(inputsOf(1, 6), call({ batch: 1 }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await summaries([higher, fetcher.fetch(inputsOf(0, 6), call({ batch: 0 }))])).toEqual([
      threes(6),
      threes(6),
    ]);
    expect(provider.calls.slice(0, 3)).toEqual([inputsOf(1, 4), inputsOf(0, 4), inputsOf(0, 6).slice(4)]);
  });

  it('is not asked again what of it is fresh for a second', async () => {
    const asked: number[] = [];
    const settle: FetchCall<string, number>['settle'] = async (inputs) => {
      asked.push(inputs.length);
      return inputs.map((input) => ({ status: 'pending', input }));
    };
    const provider = wordLengths({ maxBatchSize: 5 });
    const fetcher = limited(provider, creditLimiter({ credits: 20 }));
    const before = fetcher.fetch(inputsOf(9, 20), call());
    await vi.advanceTimersByTimeAsync(1_000);
    const results = [{}, { settle }].map((of, batch) => fetcher.fetch(inputsOf(batch, 6), call({ batch, ...of })));
    await before;
    expect(await summaries(results)).toEqual([threes(6), threes(6)]);
    expect(provider.calls.slice(-2)).toEqual([['0-5', ...inputsOf(1, 4)], inputsOf(1, 6).slice(4)]);
    expect(asked).toEqual([6]);
  });

  it('is not asked for what the provider turned out not to know', async () => {
    const unknown = new ProviderError('symbol_unknown', 'words: no');
    const answer = (inputs: readonly string[]) => inputs.map((input) => (input === 'dead' ? unknown : input.length));
    const provider = wordLengths({ answer });
    const fetcher = limited(provider, creditLimiter({ credits: 4 }));
    const first = fetcher.fetch(['dead', ...inputsOf(9, 5)], call());
    await vi.advanceTimersByTimeAsync(1_000);
    const results = [inputsOf(0, 5), ['dead']].map((inputs, batch) => fetcher.fetch(inputs, call({ batch })));
    expect(await summaries([first, ...results])).toEqual([
      ['symbol_unknown', ...threes(5)],
      threes(5),
      ['symbol_unknown'],
    ]);
    expect(provider.calls.flat().filter((input) => input === 'dead')).toHaveLength(1);
  });

  it('is asked first what of it has become fresh, and ends when all of it has', async () => {
    const asked: string[][] = [];
    const settle: FetchCall<string, number>['settle'] = async (inputs) => {
      asked.push([...inputs]);
      return inputs.map((input) => ({ status: 'fresh', input, value: 99 }));
    };
    const { provider, results } = start([{}, { settle }, {}]);
    await vi.advanceTimersByTimeAsync(60_150);
    expect(summary(await results[1]!)).toEqual([99, 99, 99, 99, 99, 99]);
    expect(asked).toEqual([inputsOf(1, 6)]);
    expect(await summaries([results[0]!, results[2]!])).toEqual([threes(6), threes(6)]);
    expect(provider.calls.map(batchesIn)).toEqual([['0'], ['0', '2'], ['2']]);
  });

  it('gets the credits of a batch that leaves while it is asked', async () => {
    const settle = vi.fn(() => new Promise<never>(() => undefined));
    const { controllers } = start([{}, { settle }]);
    await vi.advanceTimersByTimeAsync(65_000);
    expect(settle).toHaveBeenCalledTimes(1);
    controllers[0]!.abort();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(settle).toHaveBeenCalledTimes(2); // for a call of its own
    controllers[1]!.abort();
  });

  it('does not hold up a call when it leaves while it is asked', async () => {
    const settle = () => new Promise<never>(() => undefined);
    const { controllers, provider, results } = start([{}, { settle }]);
    await vi.advanceTimersByTimeAsync(65_000);
    expect(provider.calls).toHaveLength(1);
    controllers[1]!.abort();
    expect(await summaries(results, 1_000)).toEqual([threes(6), Array.from({ length: 6 }, () => 'canceled')]);
  });
});
