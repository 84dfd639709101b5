import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import type { LimitedOptions } from '../../src/limits/limited.ts';
import type { ProviderCall } from '../../src/model/batch.ts';
import { OptionsError, PipelineError, ProviderError, RateLimitError } from '../../src/model/errors.ts';
import type { FetchCall, Limiter, Provider } from '../../src/model/ports.ts';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import { call, summary, wordLengths, words } from './providers.ts';
import { seeded } from './traffic.ts';

const start = Date.UTC(2026, 0, 1, 12, 0, 13);

beforeEach(() => {
  vi.useFakeTimers({ now: start });
});

const after = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  promise.then(undefined, () => undefined);
  await vi.advanceTimersByTimeAsync(ms);
  return promise;
};

const unlimited = (): Limiter => creditLimiter({ credits: Infinity, maxConcurrent: 4 });
const unavailable = new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true });

describe('options', () => {
  it.each([{ timeoutMs: 0 }, { maxRetries: -1 }, { maxRetries: 1.5 }, { random: 1 }, { retries: 3 }])(
    'refuse %o',
    (options) => {
      expect(() => limited(wordLengths(), unlimited(), options as unknown as LimitedOptions)).toThrow(OptionsError);
    },
  );

  it.each([0, 1.5, NaN])('refuse a provider of at most %s inputs a call', (maxBatchSize) => {
    expect(() => limited(wordLengths({ maxBatchSize }), unlimited())).toThrow(/^limited: words: maxBatchSize/);
  });
});

describe('several work batches', () => {
  const startBatches = (batches: readonly { request?: string; batch: number }[]) => {
    const ended: string[] = [];
    const fetcher = limited(wordLengths(), creditLimiter({ credits: 8 }));
    for (const { request, batch } of batches) {
      const name = `${request ?? 'none'} ${String(batch)}`;
      const inputs = words(16).map((word) => `${name} ${word}`);
      void fetcher.fetch(inputs, call({ request, batch })).then(() => ended.push(name));
    }
    return ended;
  };

  it('of one request are done one after the other, the lower first', async () => {
    const ended = startBatches([
      { request: 'r', batch: 2 },
      { request: 'r', batch: 0 },
      { request: 'r', batch: 1 },
    ]);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(ended).toEqual(['r 0', 'r 1', 'r 2']);
  });

  it('of several requests take turns', async () => {
    const ended = startBatches([
      { request: 'long', batch: 0 },
      { request: 'long', batch: 1 },
      { request: 'long', batch: 2 },
      { request: 'short', batch: 0 },
    ]);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(ended.indexOf('short 0')).toBeLessThan(ended.indexOf('long 2'));
  });
});

describe('a work batch', () => {
  it('of 100 runs on 8 credits a minute: 13 calls, no refusal, everything served', async () => {
    const server = quotaServer({ credits: 8, random: seeded(1) });
    const provider: Provider<string, number> = {
      name: 'words',
      maxBatchSize: 120,
      cost: (inputs) => inputs.length,
      fetch: async (inputs, { signal, report }) => {
        report(await server.send(inputs.length, { signal }));
        return inputs.map((word) => word.length);
      },
    };
    const waits: Date[] = [];
    const calls: ProviderCall[] = [];
    const fetched = limited(provider, creditLimiter({ credits: 8 })).fetch(
      words(100),
      call({ onWait: (until) => waits.push(until), onCall: (made) => calls.push(made) }),
    );
    let endedAt = 0;
    void fetched.then(() => (endedAt = Date.now()));
    const results = await after(20 * 60_000, fetched);
    expect(summary(results)).toEqual(words(100).map((word) => word.length));
    expect(server.arrivals.map(({ credits }) => credits)).toEqual([...Array.from({ length: 12 }, () => 8), 4]);
    expect(server.refusals).toBe(0);
    expectWindow(server.arrivals, { limit: 8, windowMs: 60_000 });
    expect(Math.abs(endedAt - start - 720_000)).toBeLessThan(7_200);
    expect(waits).toHaveLength(12);
    for (const [index, wait] of waits.entries()) {
      expect(Math.abs(wait.getTime() - start - (index + 1) * 60_000)).toBeLessThan(5_000);
    }
    expect(calls.map(({ inputs, credits, result }) => [inputs, credits, result])).toEqual(
      server.arrivals.map(({ credits }) => [credits, credits, 'ok']),
    );
  });

  it('that is empty costs nothing', async () => {
    const provider = wordLengths();
    expect(await limited(provider, unlimited()).fetch([], call())).toEqual([]);
    expect(provider.calls).toEqual([]);
  });

  it('is cut to the maximum of the provider, in parallel up to the bound of the limiter', async () => {
    const provider = wordLengths({ maxBatchSize: 3 });
    const results = await after(350, limited(provider, unlimited()).fetch(words(20), call()));
    expect(summary(results)).toEqual(words(20).map((word) => word.length));
    expect(provider.calls.map(({ length }) => length)).toEqual([3, 3, 3, 3, 3, 3, 2]);
  });

  it('is cut where the costs of its inputs say so, and the rest of the credits goes back', async () => {
    const cost = (inputs: readonly string[]): number => inputs.reduce((sum, word) => sum + word.length, 0);
    const provider = wordLengths({ cost });
    const limiter = creditLimiter({ credits: 10 });
    const controller = new AbortController();
    const fetcher = limited(provider, limiter);
    const cut = fetcher.fetch(['xxxx', 'xxx', 'xxxxxx'], call({ signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(200);
    expect(provider.calls).toEqual([['xxxx', 'xxx']]);
    controller.abort();
    expect(summary(await cut)).toEqual([4, 3, 'canceled']);
    expect(limiter.forecast(3)).toEqual(new Date());
    expect(summary(await after(61_000, fetcher.fetch(['xxx', 'xxxxxx', 'x'], call())))).toEqual([3, 6, 1]);
    expect(provider.calls.slice(1)).toEqual([['xxx'], ['xxxxxx', 'x']]);
  });

  it('fails only the inputs that cost more than a window holds', async () => {
    const cost = (inputs: readonly string[]): number => inputs.reduce((sum, word) => sum + word.length, 0);
    const fetcher = limited(wordLengths({ cost }), creditLimiter({ credits: 5 }));
    const results = await after(600_000, fetcher.fetch(['xxxxxx', 'xx', 'xxxxxxx', 'xxx'], call()));
    expect(summary(results)).toEqual(['options_invalid', 2, 'options_invalid', 3]);
  });

  it('keeps one call waiting, with its lane and its request', async () => {
    const limiter = creditLimiter({ credits: 2 });
    const run = vi.spyOn(limiter, 'run');
    const fetched = limited(wordLengths(), limiter).fetch(words(7), call({ lane: 'market', request: 'r1' }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(run).toHaveBeenCalledTimes(2);
    expect(run.mock.calls.map(([want]) => want)).toEqual([
      { credits: 7, min: 1, lane: 'market', request: 'r1' },
      { credits: 5, min: 1, lane: 'market', request: 'r1' },
    ]);
    expect(summary(await after(600_000, fetched))).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('carries the time of each response', async () => {
    const [first, , last] = await after(
      70_000,
      limited(wordLengths(), creditLimiter({ credits: 2 })).fetch(words(3), call()),
    );
    const ages = [first, last].map((entry) => (entry?.status === 'ok' ? performance.now() - entry.receivedAtMs : NaN));
    expect(ages[0]! - ages[1]!).toBeGreaterThan(60_000);
    expect(ages[0]! - ages[1]!).toBeLessThan(60_200);
  });

  it('is side by side with others under one quota', async () => {
    const provider = wordLengths();
    const fetcher = limited(provider, creditLimiter({ credits: 8 }));
    const batches = await after(600_000, Promise.all([20, 15, 5].map((count) => fetcher.fetch(words(count), call()))));
    expect(batches.map((batch) => summary(batch).length)).toEqual([20, 15, 5]);
    expect(batches.flat().every(({ status }) => status === 'ok')).toBe(true);
  });
});

describe('a transient failure', () => {
  const failing = (times: number, error: PipelineError | Error) =>
    wordLengths({
      answer: (inputs, count) => (count <= times ? Promise.reject(error) : inputs.map((word) => word.length)),
    });

  it.each([
    ['a provider that is down', unavailable],
    [
      'a lost connection',
      new TypeError('fetch failed', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) }),
    ],
  ])('is retried with full jitter, and pays again: %s', async (_name, error) => {
    const provider = failing(3, error);
    const limiter = creditLimiter({ credits: 100 });
    const calls: ProviderCall[] = [];
    const fetched = limited(provider, limiter, { random: () => 0.5 }).fetch(
      words(2),
      call({ onCall: (made) => calls.push(made) }),
    );
    await vi.advanceTimersByTimeAsync(110);
    expect(provider.calls).toHaveLength(1);
    expect(summary(await after(250 + 500 + 1_000 + 3 * 110 + 100, fetched))).toEqual([1, 2]);
    expect(calls.map(({ result, credits }) => [result, credits])).toEqual([
      ...Array.from({ length: 3 }, () => ['provider_unavailable', 2]),
      ['ok', 2],
    ]);
    expect(limiter.forecast(93).getTime()).toBeGreaterThan(Date.now());
    expect(limiter.forecast(92).getTime()).toBe(Date.now());
  });

  it('fails its inputs after maxRetries', async () => {
    const provider = failing(100, unavailable);
    const results = await after(60_000, limited(provider, unlimited(), { maxRetries: 2 }).fetch(words(2), call()));
    expect(results).toEqual(words(2).map(() => ({ status: 'failed', error: unavailable })));
    expect(provider.calls).toHaveLength(3);
  });

  it('waits as long as the provider asks', async () => {
    const provider = failing(
      1,
      new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true, retryAfterMs: 20_000 }),
    );
    const fetched = limited(provider, unlimited()).fetch(words(1), call());
    await vi.advanceTimersByTimeAsync(19_900);
    expect(provider.calls).toHaveLength(1);
    expect(summary(await after(1_000, fetched))).toEqual([1]);
  });

  it('of one input is retried without the others', async () => {
    const answer = (inputs: readonly string[], count: number) =>
      inputs.map((word) => (count === 1 && word.length === 2 ? unavailable : word.length));
    const provider = wordLengths({ answer });
    expect(summary(await after(5_000, limited(provider, unlimited()).fetch(words(3), call())))).toEqual([1, 2, 3]);
    expect(provider.calls).toEqual([words(3), ['xx']]);
  });

  it('is a call without an answer in time', async () => {
    const answer = (inputs: readonly string[], count: number) =>
      count === 1 ? new Promise<never>(() => {}) : inputs.map((word) => word.length);
    const provider = wordLengths({ answer });
    const limiter = creditLimiter({ credits: 2 });
    const calls: ProviderCall[] = [];
    const fetched = limited(provider, limiter, { timeoutMs: 4_000, random: () => 1 }).fetch(
      words(2),
      call({ onCall: (made) => calls.push(made) }),
    );
    await vi.advanceTimersByTimeAsync(4_100);
    expect(calls).toMatchObject([{ result: 'timeout', inputs: 2 }]);
    // The request may still arrive: its credits are held 5 s longer.
    expect(Math.round((limiter.forecast(2).getTime() - start) / 1_000)).toBe(69);
    expect(summary(await after(80_000, fetched))).toEqual([1, 2]);
  });
});

describe('a lasting failure', () => {
  it.each<[string, unknown, string, RegExp]>([
    [
      'an error of the provider',
      new ProviderError('response_malformed', 'words: HTML'),
      'response_malformed',
      /^words: HTML$/,
    ],
    [
      'an error that is none of ours',
      new Error('GET https://api.test/?apikey=SECRET failed'),
      'internal',
      /^words: Error: GET https:\/\/\.\.\. failed$/,
    ],
    ['a value thrown', 'oops', 'internal', /^words: oops$/],
  ])('fails its call alone: %s', async (_name, thrown, code, message) => {
    const answer = (inputs: readonly string[], count: number) => {
      if (count === 1) throw thrown as Error;
      return inputs.map((word) => word.length);
    };
    const provider = wordLengths({ maxBatchSize: 2, answer });
    const results = await after(5_000, limited(provider, unlimited()).fetch(words(5), call()));
    expect(summary(results)).toEqual([code, code, 3, 4, 5]);
    expect(results[0]?.status === 'failed' && results[0].error.message).toMatch(message);
    expect(provider.calls).toHaveLength(3);
  });

  it('of one input fails that input', async () => {
    const unknown = new ProviderError('symbol_unknown', 'words: no such word');
    const answer = (inputs: readonly string[]) => inputs.map((word) => (word.length === 2 ? unknown : word.length));
    const provider = wordLengths({ answer });
    expect(summary(await after(500, limited(provider, unlimited()).fetch(words(3), call())))).toEqual([
      1,
      'symbol_unknown',
      3,
    ]);
    expect(provider.calls).toHaveLength(1);
  });

  it.each<[string, unknown, RegExp]>([
    ['too few values', [1], /^words: broke the provider contract with 1 values for 2 inputs$/],
    ['no list', undefined, /^words: broke the provider contract with no array for 2 inputs$/],
  ])('is a broken contract: %s', async (_name, answered, message) => {
    const provider = wordLengths({ answer: () => answered as number[] });
    const results = await after(500, limited(provider, unlimited()).fetch(words(2), call()));
    expect(results.map((entry) => entry.status === 'failed' && entry.error.message)).toEqual([
      expect.stringMatching(message),
      expect.stringMatching(message),
    ]);
    expect(provider.calls).toHaveLength(1);
  });

  it.each([
    [
      'a cost that is thrown',
      () => {
        throw new Error('no price');
      },
    ],
    ['a cost that is no number', () => NaN],
    ['a fractional cost', () => 0.5],
    ['a negative cost', () => -1],
  ])('is a broken contract, and no hang: %s', async (_name, cost) => {
    const provider = wordLengths({ cost });
    const results = await after(500, limited(provider, creditLimiter({ credits: 8 })).fetch(words(3), call()));
    expect(results.every(({ status }) => status === 'failed')).toBe(true);
    expect(provider.calls).toHaveLength(0);
  });

  it('that concerns the key fails the rest without another call', async () => {
    const unauthorized = new ProviderError('unauthorized', 'words: HTTP 401');
    const answer = (inputs: readonly string[], count: number) =>
      count === 2 ? Promise.reject(unauthorized) : inputs.map((word) => word.length);
    const provider = wordLengths({ answer });
    const results = await after(600_000, limited(provider, creditLimiter({ credits: 2 })).fetch(words(9), call()));
    expect(summary(results)).toEqual([1, 2, ...Array.from({ length: 7 }, () => 'unauthorized')]);
    expect(provider.calls).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['a call', 'one input'])('of the quota leaves the rest for another day: said of %s', async (of) => {
    const exhausted = new ProviderError('quota_exhausted', 'words: 800 of 800 used', { retryable: true });
    const answer = (inputs: readonly string[], count: number) => {
      if (count < 2) return inputs.map((word) => word.length);
      if (of === 'a call') throw exhausted;
      return inputs.map((word, index) => (index === 0 ? word.length : exhausted));
    };
    const provider = wordLengths({ answer });
    const results = await after(600_000, limited(provider, creditLimiter({ credits: 2 })).fetch(words(6), call()));
    expect(summary(results)).toEqual([1, 2, of === 'a call' ? 'quota' : 3, 'quota', 'quota', 'quota']);
    expect(provider.calls).toHaveLength(2);
  });

  it('ends what waits for a retry, too', async () => {
    const answer = (_inputs: readonly string[], count: number) =>
      Promise.reject(count === 1 ? unavailable : new ProviderError('unauthorized', 'words: HTTP 401'));
    const provider = wordLengths({ maxBatchSize: 1, answer });
    const limiter = creditLimiter({ credits: Infinity, maxConcurrent: 1 });
    const results = await after(400, limited(provider, limiter, { random: () => 1 }).fetch(words(3), call()));
    expect(summary(results)).toEqual(['unauthorized', 'unauthorized', 'unauthorized']);
    expect(provider.calls).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('of the limiter ends the batch', async () => {
    const limiter = creditLimiter({ credits: 2 });
    const fetched = limited(wordLengths(), limiter).fetch(words(4), call());
    await vi.advanceTimersByTimeAsync(1_000);
    void limiter.stop();
    expect(summary(await after(0, fetched))).toEqual([1, 2, 'canceled', 'canceled']);
    const full: Limiter = {
      run: () => Promise.reject(new PipelineError('request_refused', 'full')),
      forecast: () => new Date(),
    };
    expect(summary(await limited(wordLengths(), full).fetch(words(2), call()))).toEqual([
      'request_refused',
      'request_refused',
    ]);
  });
});

describe('a refusal for the rate', () => {
  const refused = new RateLimitError('words', { retryAfterMs: 30_000 });

  it('pauses, returns the inputs to the front and is no attempt', async () => {
    const answer = (inputs: readonly string[], count: number) =>
      count <= 5 ? Promise.reject(refused) : inputs.map((word) => word.length);
    const provider = wordLengths({ maxBatchSize: 2, answer });
    const limiter = creditLimiter({ credits: Infinity, maxConcurrent: 1 });
    const waits: number[] = [];
    const onWait = (until: Date): void => void waits.push(Math.round((until.getTime() - start) / 1_000));
    const fetched = limited(provider, limiter, { maxRetries: 0 }).fetch(words(4), call({ onWait }));
    expect(summary(await after(160_000, fetched))).toEqual([1, 2, 3, 4]);
    expect(provider.calls.map((inputs) => inputs[0])).toEqual([...Array.from({ length: 6 }, () => 'x'), 'xxx']);
    expect(waits).toContain(30);
  });

  it('of some inputs pauses as well, and keeps what the others brought', async () => {
    const answer = (inputs: readonly string[], count: number) =>
      inputs.map((word) => (count === 1 && word.length > 1 ? refused : word.length));
    const provider = wordLengths({ answer });
    const limiter = creditLimiter({ credits: 100 });
    const fetched = limited(provider, limiter, { maxRetries: 0 }).fetch(words(3), call());
    await vi.advanceTimersByTimeAsync(29_000);
    expect(provider.calls).toHaveLength(1);
    expect(summary(await after(2_000, fetched))).toEqual([1, 2, 3]);
    expect(provider.calls).toEqual([words(3), ['xx', 'xxx']]);
  });
});

describe('settle', () => {
  const settling = (settle: NonNullable<FetchCall<string, number>['settle']>, provider = wordLengths()) => {
    const limiter = creditLimiter({ credits: 3 });
    const asked = vi.fn(settle);
    return { provider, limiter, asked, fetched: limited(provider, limiter).fetch(words(6), call({ settle: asked })) };
  };

  it('is asked after a wait only, and what is fresh is not fetched', async () => {
    const { provider, limiter, asked, fetched } = settling(async (inputs) =>
      inputs.map((input) =>
        input.length === 5 ? { status: 'fresh', input, value: 55 } : { status: 'pending', input },
      ),
    );
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked).not.toHaveBeenCalled();
    expect(await after(60_000, fetched)).toMatchObject([
      { value: 1 },
      { value: 2 },
      { value: 3 },
      { status: 'ok', value: 4 },
      { status: 'fresh', value: 55 },
      { status: 'ok', value: 6 },
    ]);
    expect(asked.mock.calls).toEqual([[words(6).slice(3)]]);
    expect(provider.calls).toEqual([words(3), ['xxxx', 'xxxxxx']]);
    expect(limiter.forecast(1)).toEqual(new Date());
  });

  it('may settle everything that waits, without another call', async () => {
    const { provider, limiter, fetched } = settling(async (inputs) =>
      inputs.map((input) => ({ status: 'fresh', input, value: 0 })),
    );
    expect(summary(await after(61_000, fetched))).toEqual([1, 2, 3, 0, 0, 0]);
    expect(provider.calls).toHaveLength(1);
    expect(limiter.forecast(3)).toEqual(new Date());
  });

  it('may narrow an input', async () => {
    const { provider, fetched } = settling(async (inputs) =>
      inputs.map((input) => ({ status: 'pending', input: `-${input}` })),
    );
    expect(summary(await after(61_000, fetched))).toEqual([1, 2, 3, 5, 6, 7]);
    expect(provider.calls[1]).toEqual(['-xxxx', '-xxxxx', '-xxxxxx']);
  });

  it.each<[string, NonNullable<FetchCall<string, number>['settle']>]>([
    ['rejects', () => Promise.reject(new Error('database down'))],
    [
      'throws',
      () => {
        throw new Error('bug');
      },
    ],
    ['answers with too little', () => Promise.resolve([])],
  ])('costs nothing but credits when it %s', async (_name, settle) => {
    const { provider, fetched } = settling(settle);
    expect(summary(await after(61_000, fetched))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(provider.calls).toHaveLength(2);
  });

  it('is waited for no longer than 5 s', async () => {
    const { provider, fetched } = settling(() => new Promise(() => {}));
    expect(summary(await after(66_000, fetched))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(provider.calls).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not hold up an abort', async () => {
    const controller = new AbortController();
    const limiter = creditLimiter({ credits: 3 });
    const settle = (): Promise<never> => new Promise(() => {});
    const fetched = limited(wordLengths(), limiter).fetch(words(6), call({ settle, signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(61_000);
    controller.abort();
    expect(summary(await fetched)).toEqual([1, 2, 3, 'canceled', 'canceled', 'canceled']);
    await vi.advanceTimersByTimeAsync(0);
    expect(limiter.forecast(3)).toEqual(new Date());
  });
});

describe('an abort', () => {
  it('resolves at once with what was fetched, aborts the calls on their way and leaves nothing behind', async () => {
    const controller = new AbortController();
    const limiter = creditLimiter({ credits: 4 });
    const provider = wordLengths({
      maxBatchSize: 2,
      answer: (inputs, count) => (count > 1 ? new Promise(() => {}) : inputs.map((word) => word.length)),
    });
    const signals: AbortSignal[] = [];
    const { fetch } = provider;
    const watched = {
      ...provider,
      fetch: (...[inputs, circumstances]: Parameters<typeof fetch>) => {
        signals.push(circumstances.signal);
        return fetch(inputs, circumstances);
      },
    };
    const calls: ProviderCall[] = [];
    const removed = vi.spyOn(controller.signal, 'removeEventListener');
    const fetched = limited(watched, limiter).fetch(
      words(9),
      call({ signal: controller.signal, onCall: (made) => calls.push(made) }),
    );
    await vi.advanceTimersByTimeAsync(1_000);
    controller.abort();
    expect(summary(await fetched)).toEqual([1, 2, ...Array.from({ length: 7 }, () => 'canceled')]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
    expect(calls.map(({ result }) => result)).toEqual(['ok', 'canceled']);
    expect(removed).toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(66_000);
    expect(limiter.forecast(4)).toEqual(new Date());
  });

  it('before the start makes no call', async () => {
    const provider = wordLengths();
    const fetched = await limited(provider, unlimited()).fetch(words(2), call({ signal: AbortSignal.abort() }));
    expect(summary(fetched)).toEqual(['canceled', 'canceled']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(provider.calls).toEqual([]);
  });

  it('ends a wait between retries', async () => {
    const controller = new AbortController();
    const provider = wordLengths({ answer: () => Promise.reject(unavailable) });
    const fetched = limited(provider, unlimited(), { random: () => 1 }).fetch(
      words(2),
      call({ signal: controller.signal }),
    );
    await vi.advanceTimersByTimeAsync(200);
    controller.abort();
    expect(summary(await fetched)).toEqual(['canceled', 'canceled']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the caller's functions", () => {
  it.each(['onWait', 'onCall'])('end the batch with what %s throws', async (name) => {
    const bug = new Error('bug');
    const fetched = limited(wordLengths(), creditLimiter({ credits: 1 })).fetch(
      words(3),
      call({
        [name]: () => {
          throw bug;
        },
      }),
    );
    await expect(after(1_000, fetched)).rejects.toBe(bug);
    expect(vi.getTimerCount()).toBe(0);
  });
});
