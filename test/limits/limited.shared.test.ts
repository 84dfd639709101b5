import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import type { ProviderCall } from '../../src/model/batch.ts';
import { ProviderError, RateLimitError } from '../../src/model/errors.ts';
import type { FetchCall, Fetched, Limiter, Provider } from '../../src/model/ports.ts';
import { call, summary, wordLengths, words } from './providers.ts';

const unavailable = new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true });
const unlimited = (): Limiter => creditLimiter({ credits: Infinity, maxConcurrent: 4 });
const lengths = (inputs: readonly string[]): number[] => inputs.map((word) => word.length);

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12, 0, 13) });
});

/** Several batches on one fetcher, each with a signal of its own. */
const share = (
  batches: readonly (readonly string[])[],
  { provider = wordLengths(), limiter = unlimited(), options = {}, calls = batches.map(() => ({})) } = {},
) => {
  const signals: AbortSignal[] = [];
  const watched: Provider<string, number> = {
    ...provider,
    fetch: (inputs, circumstances) => {
      signals.push(circumstances.signal);
      return provider.fetch(inputs, circumstances);
    },
  };
  const fetcher = limited(watched, limiter, options);
  const controllers = batches.map(() => new AbortController());
  const results = batches.map((inputs, index) =>
    fetcher.fetch(inputs, call({ signal: controllers[index]!.signal, ...calls[index] })),
  );
  return { provider, fetcher, signals, controllers, results };
};

const settled = async (results: readonly Promise<readonly Fetched<number>[]>[], ms = 1_000) => {
  await vi.advanceTimersByTimeAsync(ms);
  return (await Promise.all(results)).map(summary);
};

describe('an input that several batches ask for', () => {
  it('is fetched once, and each batch gets its own outcome, with the time of the one response', async () => {
    const { provider, results } = share([['x', 'xx'], ['xx', 'xxx'], ['xx']]);
    expect(await settled(results)).toEqual([[1, 2], [2, 3], [2]]);
    expect(provider.calls).toEqual([['x', 'xx'], ['xxx']]);
    const [one, , three] = await Promise.all(results);
    expect(one?.[1]).toEqual(three?.[0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is fetched once also by a batch that comes while it is on its way', async () => {
    const { provider, fetcher, results } = share([words(3)]);
    await vi.advanceTimersByTimeAsync(50);
    const late = fetcher.fetch(['xx', 'xxxx'], call());
    expect(await settled([...results, late])).toEqual([
      [1, 2, 3],
      [2, 4],
    ]);
    expect(provider.calls).toEqual([words(3), ['xxxx']]);
  });

  it('waits for no credits of its own while it is on its way, and takes none', async () => {
    const limiter = creditLimiter({ credits: 3 });
    const { provider, fetcher, results } = share([words(3)], { limiter });
    await vi.advanceTimersByTimeAsync(50);
    const onWait = vi.fn();
    expect(await settled([...results, fetcher.fetch(words(2), call({ onWait }))], 100)).toEqual([
      [1, 2, 3],
      [1, 2],
    ]);
    expect(onWait).not.toHaveBeenCalled();
    expect(provider.calls).toEqual([words(3)]);
  });

  it('goes with the first batch that gets credits, whichever asked first; a batch it leaves empty waits no longer', async () => {
    const limiter = creditLimiter({ credits: 4 });
    const { provider, results } = share([words(4), ['y', 'yy', 'yyy', 'yyyy', 'x'], ['yyyy', 'yyy']], { limiter });
    expect(await settled(results.slice(0, 1), 500)).toEqual([[1, 2, 3, 4]]);
    expect(await settled(results, 61_000)).toEqual([
      [1, 2, 3, 4],
      [1, 2, 3, 4, 1],
      [4, 3],
    ]);
    expect(provider.calls).toEqual([words(4), ['y', 'yy', 'yyy', 'yyyy']]);
  });

  it('is fetched again once the answer is there', async () => {
    const { provider, fetcher, results } = share([['x']]);
    await settled(results);
    await settled([fetcher.fetch(['x'], call())]);
    expect(provider.calls).toEqual([['x'], ['x']]);
  });

  it('is the same by what it holds, or by the key of the provider', async () => {
    const provider: Provider<{ readonly id: number; readonly note?: string }, number> = {
      name: 'ids',
      maxBatchSize: 10,
      cost: (inputs) => inputs.length,
      fetch: vi.fn(async (inputs: readonly { readonly id: number }[]) => inputs.map(({ id }) => id)),
    };
    const two = async (shared: typeof provider) => {
      const fetcher = limited(shared, unlimited());
      const both = [fetcher.fetch([{ id: 1 }], call()), fetcher.fetch([{ id: 1, note: 'other' }], call())];
      await vi.advanceTimersByTimeAsync(100);
      return (await Promise.all(both)).map(summary);
    };
    expect(await two(provider)).toEqual([[1], [1]]);
    expect(provider.fetch).toHaveBeenCalledTimes(2);
    expect(await two({ ...provider, key: ({ id }) => String(id) })).toEqual([[1], [1]]);
    expect(provider.fetch).toHaveBeenCalledTimes(3);
  });

  it('stands in one batch several times, and is fetched once', async () => {
    const { provider, results } = share([['x', 'xx', 'x', 'x']]);
    expect(await settled(results)).toEqual([[1, 2, 1, 1]]);
    expect(provider.calls).toEqual([['x', 'xx']]);
  });

  it('is a call of the batch that paid for it', async () => {
    const calls: string[] = [];
    const onCall = (batch: string) => ({ onCall: ({ inputs }: ProviderCall) => calls.push(`${batch} ${inputs}`) });
    const { results } = share(
      [
        ['x', 'xx'],
        ['xx', 'xxx'],
      ],
      { calls: [onCall('one'), onCall('two')] },
    );
    await settled(results);
    expect(calls).toEqual(['one 2', 'two 1']);
  });
});

describe('a failure of a shared call', () => {
  it('is that of every batch, each of which tries again, together', async () => {
    const provider = wordLengths({ answer: (inputs, n) => (n <= 3 ? Promise.reject(unavailable) : lengths(inputs)) });
    const { results } = share([words(2), words(2), words(2)], { provider });
    expect(await settled(results, 10_000)).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(provider.calls).toEqual([words(2), words(2), words(2), words(2)]);
  });

  it('fails every batch once it is not tried again', async () => {
    const provider = wordLengths({ answer: () => Promise.reject(unavailable) });
    const { results } = share([words(2), words(1)], { provider, options: { maxRetries: 1, random: () => 1 } });
    expect(await settled(results, 10_000)).toEqual([
      ['provider_unavailable', 'provider_unavailable'],
      ['provider_unavailable'],
    ]);
    expect(provider.calls).toEqual([words(2), words(2)]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is one retry of the budget, however many batches it has', async () => {
    const provider = wordLengths({ answer: (inputs, n) => (n <= 3 ? Promise.reject(unavailable) : lengths(inputs)) });
    const batches = Array.from({ length: 8 }, () => words(2));
    const { results } = share(batches, { provider, options: { retryShare: 0, random: () => 1 } });
    expect(await settled(results, 10_000)).toEqual(batches.map(() => [1, 2]));
    expect(provider.calls).toHaveLength(4);
  });

  it('of one input concerns those who asked for it', async () => {
    const unknown = new ProviderError('symbol_unknown', 'words: no');
    const answer = (inputs: readonly string[]) => inputs.map((word) => (word === 'xx' ? unknown : word.length));
    const { results } = share([words(3), ['xx'], ['xxx']], { provider: wordLengths({ answer }) });
    expect(await settled(results)).toEqual([[1, 'symbol_unknown', 3], ['symbol_unknown'], [3]]);
  });

  it('for its rate sends everybody back to wait for the limiter, who fetch it once', async () => {
    const refused = new RateLimitError('words', { retryAfterMs: 30_000 });
    for (const part of [true, false]) {
      const answer = (inputs: readonly string[], n: number) => {
        if (n > 1) return lengths(inputs);
        if (!part) throw refused;
        return inputs.map((word) => (word.length > 1 ? refused : word.length));
      };
      const provider = wordLengths({ answer });
      const { results } = share([words(3), ['xx', 'x'], words(3)], { provider });
      await vi.advanceTimersByTimeAsync(29_000);
      expect(provider.calls).toHaveLength(1);
      expect(await settled(results, 3_000)).toEqual([
        [1, 2, 3],
        [2, 1],
        [1, 2, 3],
      ]);
      expect(provider.calls).toEqual([words(3), part ? ['xx', 'xxx'] : words(3)]);
    }
  });
});

describe('an abort of one of several', () => {
  it('ends that one at once, and the call goes on for the others', async () => {
    const { signals, controllers, results } = share([words(2), words(2)]);
    await vi.advanceTimersByTimeAsync(50);
    controllers[0]!.abort();
    expect(summary(await results[0]!)).toEqual(['canceled', 'canceled']);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    expect(await settled(results.slice(1))).toEqual([[1, 2]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('aborts the call when it was the last', async () => {
    const { signals, controllers, results } = share([words(2), words(2), ['x']]);
    await vi.advanceTimersByTimeAsync(50);
    controllers[1]!.abort();
    controllers[0]!.abort();
    expect(signals[0]!.aborted).toBe(false);
    controllers[2]!.abort();
    expect(signals[0]!.aborted).toBe(true);
    expect((await Promise.all(results)).map(summary)).toEqual([
      ['canceled', 'canceled'],
      ['canceled', 'canceled'],
      ['canceled'],
    ]);
    await vi.advanceTimersByTimeAsync(100); // the provider's own timer
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes on for an input that only one of them shares', async () => {
    const { signals, controllers, results } = share([words(3), ['xxx']]);
    await vi.advanceTimersByTimeAsync(50);
    controllers[0]!.abort();
    expect(summary(await results[0]!)).toEqual(['canceled', 'canceled', 'canceled']);
    expect(await settled(results.slice(1))).toEqual([[3]]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  it('lets nobody join the call that it aborted', async () => {
    const { provider, fetcher, controllers, results } = share([words(2)]);
    await vi.advanceTimersByTimeAsync(50);
    controllers[0]!.abort();
    const next = fetcher.fetch(words(2), call());
    expect(await settled([...results, next])).toEqual([
      ['canceled', 'canceled'],
      [1, 2],
    ]);
    expect(provider.calls).toHaveLength(2);
  });

  it('ends a wait for credits whose inputs another has taken along', async () => {
    const limiter = creditLimiter({ credits: 2 });
    const { controllers, results } = share([words(2), ['y', 'yy'], ['yy', 'y']], { limiter });
    await vi.advanceTimersByTimeAsync(60_150);
    controllers[1]!.abort();
    expect(summary(await results[1]!)).toEqual(['canceled', 'canceled']);
    expect(await settled(results.slice(2), 200)).toEqual([[2, 1]]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(limiter.forecast(2)).toEqual(new Date());
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no wait for credits behind where another has brought everything', async () => {
    const { results } = share([['x'], ['y'], ['y']], { limiter: creditLimiter({ credits: 1 }) });
    expect(await settled(results, 61_000)).toEqual([[1], [1], [1]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not keep the others from trying again', async () => {
    const provider = wordLengths({ answer: (inputs, n) => (n === 1 ? Promise.reject(unavailable) : lengths(inputs)) });
    const { controllers, results } = share([words(2), words(2)], { provider });
    await vi.advanceTimersByTimeAsync(50);
    controllers[0]!.abort();
    expect(await settled(results)).toEqual([
      ['canceled', 'canceled'],
      [1, 2],
    ]);
  });
});

describe('settle beside shared calls', () => {
  it('is not asked of what is on its way for others, and does not undo what they fetch', async () => {
    const limiter = creditLimiter({ credits: 3 });
    let answerSettle: () => void = () => undefined;
    const asked: string[][] = [];
    const settle: FetchCall<string, number>['settle'] = async (inputs) => {
      asked.push([...inputs]);
      await new Promise<void>((resolve) => (answerSettle = resolve));
      return inputs.map((input) =>
        input === 'y' ? { status: 'fresh', input, value: 99 } : { status: 'pending', input: `-${input}` },
      );
    };
    const { provider, results } = share([words(3), ['y', 'yy'], ['yy']], {
      limiter,
      calls: [{}, { settle }, {}],
    });
    // The second batch has its credits, and is asking its sink, while the third takes one of its inputs along.
    await vi.advanceTimersByTimeAsync(60_150);
    expect(asked).toEqual([['y', 'yy']]);
    expect(provider.calls).toEqual([words(3), ['yy']]);
    answerSettle();
    expect(await settled(results)).toEqual([[1, 2, 3], [99, 2], [2]]);
    expect(provider.calls).toHaveLength(2);
  });
});

describe('listeners', () => {
  it('are gone when every batch has ended', async () => {
    const controllers = Array.from({ length: 5 }, () => new AbortController());
    const counts = controllers.map(() => 0);
    for (const [index, { signal }] of controllers.entries()) {
      vi.spyOn(signal, 'addEventListener').mockImplementation(() => void (counts[index]! += 1));
      vi.spyOn(signal, 'removeEventListener').mockImplementation(() => void (counts[index]! -= 1));
    }
    const { results } = share(
      controllers.map(() => words(7)),
      {
        limiter: creditLimiter({ credits: 3 }),
        calls: controllers.map(({ signal }) => ({ signal, deadlineMs: 600_000 })),
      },
    );
    await vi.advanceTimersByTimeAsync(1_000);
    expect(counts).toEqual([1, 1, 1, 1, 1]);
    expect(await settled(results, 200_000)).toEqual(controllers.map(() => lengths(words(7))));
    expect(counts).toEqual([0, 0, 0, 0, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
