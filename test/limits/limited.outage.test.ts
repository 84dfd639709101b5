import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { OptionsError, PipelineError, ProviderError, RateLimitError } from '../../src/model/errors.ts';
import type { Limiter, Provider } from '../../src/model/ports.ts';
import { call, summary, wordLengths, words } from './providers.ts';

const start = Date.UTC(2026, 0, 1, 12, 0, 13);
const unavailable = new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true });
const lengths = (inputs: readonly string[]): number[] => inputs.map((word) => word.length);
const unlimited = (): Limiter => creditLimiter({ credits: Infinity, maxConcurrent: 4 });

/** Grants what is wanted at once. */
const immediate: Limiter = {
  run: ({ credits }, task) => task({ credits, release: () => undefined, report: () => undefined }),
  forecast: () => new Date(),
};

beforeEach(() => {
  vi.useFakeTimers({ now: start });
});

type Options = Parameters<typeof limited>[2];

/** A provider that is down until `backAt`, in milliseconds from the start of the test. */
const downUntil = (backAt: number, options: Options = {}) => {
  const times: number[] = [];
  const provider = wordLengths({
    answer: (inputs) => {
      times.push(Date.now() - start);
      return Date.now() - start < backAt ? Promise.reject(unavailable) : lengths(inputs);
    },
  });
  return { provider, times, fetcher: limited(provider, unlimited(), { random: () => 0, ...options }) };
};

/** When a batch ended, to 50 ms, and how. */
const follow = (fetched: ReturnType<ReturnType<typeof limited<string, number>>['fetch']>) => {
  const seen: { endedAt?: number; results?: unknown[] } = {};
  void fetched.then((results) =>
    Object.assign(seen, { endedAt: Math.round((Date.now() - start) / 50) * 50, results: summary(results) }),
  );
  return seen;
};

describe('options', () => {
  it.each([
    { retryShare: -1 },
    { circuitFailures: 0 },
    { circuitOpenMs: 0 },
    { outageMs: -1 },
    { deadlineMs: NaN },
    { deadSymbolMs: Infinity },
  ])('refuse %o', (options) => {
    expect(() => limited(wordLengths(), unlimited(), options)).toThrow(OptionsError);
  });

  it('take no end of an outage, and no deadline', () => {
    expect(() => limited(wordLengths(), unlimited(), { outageMs: Infinity, deadlineMs: Infinity })).not.toThrow();
  });
});

describe('the time limit of a call', () => {
  const silent = (timeoutMs?: number) => ({ ...wordLengths({ answer: () => new Promise(() => {}) }), timeoutMs });

  it.each([
    ['10 s', undefined, undefined, 10_000],
    ['that of the provider', 30_000, undefined, 30_000],
    ['that of the options', 30_000, 5_000, 5_000],
  ])('is %s', async (_name, ofProvider, timeoutMs, expected) => {
    const fetcher = limited(silent(ofProvider), unlimited(), { timeoutMs, maxRetries: 0 });
    const seen = follow(fetcher.fetch(['x'], call()));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen).toEqual({ endedAt: expected, results: ['timeout'] });
  });

  it('ends before the credits of the call may be granted to another process', async () => {
    const sent = vi.fn();
    const withDeadline = (leftMs: number): Limiter => ({
      run: (want, task) =>
        task({
          credits: want.credits,
          deadlineAtMs: performance.now() + leftMs,
          release: () => undefined,
          report: () => undefined,
        }),
      forecast: () => new Date(),
    });
    const provider: Provider<string, number> = { ...silent(), fetch: () => new Promise<never>(sent) };
    const seen = follow(limited(provider, withDeadline(3_000), { maxRetries: 0 }).fetch(['x'], call()));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen).toEqual({ endedAt: 3_000, results: ['timeout'] });
    sent.mockClear();
    expect(summary(await limited(provider, withDeadline(0), { maxRetries: 0 }).fetch(['x'], call()))).toEqual([
      'timeout',
    ]);
    expect(sent).not.toHaveBeenCalled();
  });
});

describe('the retry budget', () => {
  it('lets 5 calls of a minute be tried again, and the inputs of any other fail at once', async () => {
    let isDown = true;
    const answer = (inputs: readonly string[]) => (isDown ? Promise.reject(unavailable) : lengths(inputs));
    const provider = wordLengths({ maxBatchSize: 1, answer });
    const limiter = creditLimiter({ credits: Infinity, maxConcurrent: 100 });
    const fetcher = limited(provider, limiter, { retryShare: 0, circuitFailures: 1_000, random: () => 1 });
    const few = fetcher.fetch(words(9), call());
    await vi.advanceTimersByTimeAsync(300);
    isDown = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(summary(await few)).toEqual([1, 2, 3, 4, 5, ...Array.from({ length: 4 }, () => 'provider_unavailable')]);
    expect(provider.calls).toHaveLength(14);
  });
});

describe('a provider that is down', () => {
  it('is sent nothing but a trial every 30 s, and its inputs wait for it', async () => {
    const { provider, times, fetcher } = downUntil(50_000);
    const waits: number[] = [];
    const batches = ['a', 'b', 'c', 'd'].map((name) =>
      follow(
        fetcher.fetch(
          words(3).map((word) => name + word),
          call({ onWait: (until) => waits.push(until.getTime() - start) }),
        ),
      ),
    );
    await vi.advanceTimersByTimeAsync(20_000);
    // Four calls, and of their retries as many as are on their way when the fifth failure opens the circuit.
    const before = provider.calls.length;
    expect(before).toBeLessThanOrEqual(8);
    expect(fetcher.health?.()).toMatchObject([{ provider: 'words', state: 'down', error: unavailableFor(20) }]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(provider.calls).toHaveLength(before + 1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(batches.map(({ results }) => results)).toEqual(batches.map(() => [2, 3, 4]));
    expect(times.filter((at) => at > 20_000 && at < 60_000)).toHaveLength(1);
    expect(Math.max(...batches.map(({ endedAt }) => endedAt ?? NaN))).toBeLessThan(61_000);
    expect(Math.max(...waits)).toBeLessThan(61_000);
    expect(fetcher.health?.()).toEqual([{ provider: 'words', state: 'up' }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  const unavailableFor = (seconds: number) =>
    expect.objectContaining({ message: `words: down for ${seconds} s: words: HTTP 503` }) as unknown;

  it('fails what waits for it when a trial fails after outageMs', async () => {
    const { provider, fetcher } = downUntil(Infinity, { maxRetries: 100 });
    const batches = ['a', 'b'].map((name) => follow(fetcher.fetch([name], call())));
    await vi.advanceTimersByTimeAsync(59_000);
    expect(batches).toEqual([{}, {}]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(batches.map(({ results }) => results)).toEqual([['provider_unavailable'], ['provider_unavailable']]);
    const sent = provider.calls.length;
    // Without a wait while it is known to be down; the first after that is a trial.
    expect(summary(await fetcher.fetch(['c'], call()))).toEqual(['provider_unavailable']);
    expect(provider.calls).toHaveLength(sent);
    await vi.advanceTimersByTimeAsync(30_000);
    const trial = follow(fetcher.fetch(['d', 'e'], call()));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(trial.results).toEqual(['provider_unavailable', 'provider_unavailable']);
    expect(provider.calls).toHaveLength(sent + 1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each<[string, Options, { failFast?: boolean }]>([
    ['where outageMs is 0', { outageMs: 0 }, {}],
    ['where another provider can be asked', {}, { failFast: true }],
  ])('is not waited for %s', async (_name, options, circumstances) => {
    const { provider, fetcher } = downUntil(Infinity, { ...options, maxRetries: 0, circuitFailures: 1 });
    await vi.advanceTimersByTimeAsync(0);
    const first = follow(fetcher.fetch(['x'], call(circumstances)));
    await vi.advanceTimersByTimeAsync(200);
    expect(first.results).toEqual(['provider_unavailable']);
    const [entry] = await fetcher.fetch(['y'], call(circumstances));
    expect(entry).toEqual({ status: 'failed', error: unavailableFor(0) });
    expect(provider.calls).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is waited for without end where outageMs is Infinity, until the deadline or an abort', async () => {
    const controller = new AbortController();
    const { fetcher } = downUntil(3_600_000, {
      outageMs: Infinity,
      maxRetries: 100,
      circuitFailures: 1,
      circuitOpenMs: 60_000,
    });
    const patient = follow(fetcher.fetch(['x'], call()));
    const late = follow(fetcher.fetch(['y'], call({ deadlineMs: 600_000 })));
    const aborted = follow(fetcher.fetch(['z'], call({ signal: controller.signal })));
    await vi.advanceTimersByTimeAsync(1_000_000);
    controller.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect([patient, late.results, aborted.results]).toEqual([{}, ['deadline'], ['canceled']]);
    expect(late.endedAt).toBe(600_000);
    await vi.advanceTimersByTimeAsync(2_700_000);
    expect(patient.results).toEqual([1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('wears out no retries of the inputs that try it, however long it lasts', async () => {
    const { fetcher, times } = downUntil(7_200_000, { outageMs: Infinity, maxRetries: 4 });
    const seen = follow(fetcher.fetch(['x'], call()));
    await vi.advanceTimersByTimeAsync(7_260_000);
    expect(times.length).toBeGreaterThan(200);
    expect(seen.results).toEqual([1]);
  });

  it.each([
    ['of its first inputs', {}],
    ['without any retries', { maxRetries: 0 }],
    ['where it takes long to be noticed', { circuitFailures: 1_000 }],
  ])('fails nothing before its circuit opens where outageMs is Infinity: the retries %s', async (_name, options) => {
    const { fetcher, times } = downUntil(3_600_000, { outageMs: Infinity, random: Math.random, ...options });
    const seen = follow(fetcher.fetch(['x'], call()));
    await vi.advanceTimersByTimeAsync(3_700_000);
    expect(seen.results).toEqual([1]);
    for (let minute = 1; minute < 60; minute += 1) {
      expect(times.filter((at) => at >= minute * 60_000 && at < (minute + 1) * 60_000).length).toBeLessThan(60);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  /** One that gives an answer to everything but `bad`. */
  const answersAllBut = (bad: string, options: Options) => {
    const answer = (inputs: readonly string[]) =>
      inputs.includes(bad) ? Promise.reject(unavailable) : lengths(inputs);
    const limiter = creditLimiter({ credits: Infinity, maxConcurrent: 1 });
    return limited(wordLengths({ answer, maxBatchSize: 1 }), limiter, { random: () => 0, ...options });
  };

  it('is not one that answers the others: their neighbor fails after its retries, whatever outageMs is', async () => {
    const fetcher = answersAllBut('bad', { outageMs: Infinity });
    const others = setInterval(() => void fetcher.fetch(['good'], call()), 50);
    const seen = follow(fetcher.fetch(['bad'], call()));
    await vi.advanceTimersByTimeAsync(10_000);
    clearInterval(others);
    expect(seen.results).toEqual(['provider_unavailable']);
  });

  it('is tried with other inputs after a trial that failed, first of the same batch, then of others', async () => {
    const open = () => answersAllBut('bad', { circuitFailures: 1 });
    const alone = follow(open().fetch(['bad', 'a', 'bb'], call()));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(alone.results).toEqual(['provider_unavailable', 1, 2]);
    const [fetcher, request] = [open(), { request: 'one' }];
    const first = follow(fetcher.fetch(['bad'], call({ ...request, batch: 0 })));
    const second = follow(fetcher.fetch(['a'], call({ ...request, batch: 1 })));
    await vi.advanceTimersByTimeAsync(120_000);
    expect([first.results, second.results]).toEqual([['provider_unavailable'], [1]]);
  });

  it('is tried by the next batch when the trial is aborted', async () => {
    const controller = new AbortController();
    let isSilent = false;
    const answer = (inputs: readonly string[]) =>
      inputs.includes('x') && isSilent ? new Promise<never>(() => {}) : Promise.reject(unavailable);
    const provider = wordLengths({ answer });
    const fetcher = limited(provider, unlimited(), { circuitFailures: 1, random: () => 0 });
    const trial = follow(fetcher.fetch(['x'], call({ signal: controller.signal })));
    await vi.advanceTimersByTimeAsync(1_000);
    isSilent = true;
    const waiting = follow(fetcher.fetch(['y'], call()));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(provider.calls).toEqual([['x'], ['x']]);
    controller.abort();
    await vi.advanceTimersByTimeAsync(200);
    expect([trial.results, waiting.results]).toEqual([['canceled'], undefined]);
    expect(provider.calls).toEqual([['x'], ['x'], ['y']]);
  });

  it('stays down for whoever asks until a call is answered, also when nobody calls', async () => {
    const controller = new AbortController();
    const { fetcher } = downUntil(60_000, { circuitFailures: 1, outageMs: Infinity });
    void fetcher.fetch(['x'], call({ signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(1_000);
    controller.abort();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(fetcher.health?.()).toMatchObject([{ provider: 'words', state: 'down' }]);
    void fetcher.fetch(['y'], call());
    await vi.advanceTimersByTimeAsync(1_000);
    expect(fetcher.health?.()).toEqual([{ provider: 'words', state: 'up' }]);
  });

  it('is forgotten by a batch that ends', async () => {
    const controller = new AbortController();
    const { fetcher } = downUntil(Infinity, { circuitFailures: 1 });
    const waiting = follow(fetcher.fetch(['x'], call({ signal: controller.signal })));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(vi.getTimerCount()).toBe(1);
    controller.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(waiting.results).toEqual(['canceled']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes no credits while it is down', async () => {
    const limiter = creditLimiter({ credits: 8 });
    const provider = wordLengths({ answer: () => Promise.reject(unavailable) });
    const fetcher = limited(provider, limiter, { circuitFailures: 1, maxRetries: 0, outageMs: 0 });
    const both = [fetcher.fetch(['x'], call()), fetcher.fetch(words(7), call())];
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await Promise.all(both)).map(summary).flat()).toEqual(
      Array.from({ length: 8 }, () => 'provider_unavailable'),
    );
    expect(provider.calls).toEqual([['x']]);
    expect(limiter.forecast(7)).toEqual(new Date());
  });

  it('is not one that refuses for the rate', async () => {
    const refused = new RateLimitError('words', { retryAfterMs: 1_000 });
    const answer = (inputs: readonly string[], n: number) => (n <= 50 ? Promise.reject(refused) : lengths(inputs));
    const seen = follow(limited(wordLengths({ answer }), unlimited()).fetch(['x'], call()));
    await vi.advanceTimersByTimeAsync(100_000);
    expect(seen.results).toEqual([1]);
    expect(seen.endedAt).toBeLessThan(60_000);
  });
});

describe('a key that is refused', () => {
  it('stops every batch with one error, those on their way and those to come', async () => {
    const unauthorized = new ProviderError('unauthorized', 'words: HTTP 401: wrong key');
    const answer = (inputs: readonly string[], n: number) => (n === 2 ? Promise.reject(unauthorized) : lengths(inputs));
    const provider = wordLengths({ answer });
    const limiter = creditLimiter({ credits: 2 });
    const fetcher = limited(provider, limiter);
    const named = (name: string): string[] => words(4).map((word) => name + word);
    const batches = ['a', 'b', 'c'].map((name) => fetcher.fetch(named(name), call()));
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await Promise.all(batches)).toEqual([
      [
        expect.objectContaining({ value: 2 }),
        expect.objectContaining({ value: 3 }),
        ...Array.from({ length: 2 }, () => ({ status: 'failed', error: unauthorized })),
      ],
      ...['b', 'c'].map(() => Array.from({ length: 4 }, () => ({ status: 'failed', error: unauthorized }))),
    ]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(await fetcher.fetch(['x'], call())).toEqual([{ status: 'failed', error: unauthorized }]);
    expect(provider.calls).toHaveLength(2);
    expect(fetcher.health?.()).toMatchObject([{ provider: 'words', state: 'refused', error: unauthorized }]);
    expect(vi.getTimerCount()).toBe(0);
    const anew = follow(limited(provider, limiter).fetch(['x'], call()));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(anew.results).toEqual([1]);
  });
});

describe('a key that is refused while other calls are on their way', () => {
  const unauthorized = new ProviderError('unauthorized', 'words: HTTP 401');
  const open = (other: () => Promise<never>) => {
    const answer = (inputs: readonly string[]) => (inputs[0] === 'x' ? Promise.reject(unauthorized) : other());
    return limited(wordLengths({ answer, maxBatchSize: 1 }), immediate);
  };

  it('leaves those canceled that are aborted then', async () => {
    const controller = new AbortController();
    const seen = follow(open(() => new Promise(() => {})).fetch(words(2), call({ signal: controller.signal })));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen.results).toBeUndefined();
    controller.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen.results).toEqual(['unauthorized', 'canceled']);
  });

  it('stays refused, whatever those answer', async () => {
    const gone = new ProviderError('quota_exhausted', 'words: day', { retryAfterMs: 1_000 });
    const fetcher = open(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      throw gone;
    });
    const seen = follow(fetcher.fetch(words(2), call()));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen.results).toEqual(['unauthorized', 'quota']);
    expect(fetcher.health?.()).toMatchObject([{ state: 'refused' }]);
  });
});

describe('a quota that is gone', () => {
  const exhausted = (retryAfterMs?: number) =>
    new ProviderError('quota_exhausted', 'words: 800 of 800 used', { retryAfterMs });

  it('leaves the inputs of every batch for later, until it comes back', async () => {
    const gone = exhausted(7_200_000);
    let refusedAt = NaN;
    const answer = (inputs: readonly string[]) => {
      if (Date.now() > start + 7_200_000) return lengths(inputs);
      refusedAt = Date.now();
      return Promise.reject(gone);
    };
    const provider = wordLengths({ answer });
    const fetcher = limited(provider, creditLimiter({ credits: 2 }));
    const batches = ['a', 'b'].map((name) => fetcher.fetch([name, name + name, name + name + name], call()));
    await vi.advanceTimersByTimeAsync(200);
    const until = new Date(refusedAt + 7_200_000);
    const skipped = { status: 'skipped', reason: 'quota', until };
    expect(await Promise.all(batches)).toEqual(batches.map(() => [skipped, skipped, skipped]));
    expect(await fetcher.fetch(['x'], call())).toEqual([skipped]);
    expect(provider.calls).toHaveLength(1);
    expect(fetcher.health?.()).toEqual([{ provider: 'words', state: 'exhausted', error: gone, until }]);
    await vi.advanceTimersByTimeAsync(7_200_000);
    expect(fetcher.health?.()).toEqual([{ provider: 'words', state: 'up' }]);
    const again = follow(fetcher.fetch(['x'], call()));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(again.results).toEqual([1]);
  });

  it('is asked for again after a minute where nobody says when it comes back', async () => {
    const answer = (inputs: readonly string[], n: number) => (n === 1 ? Promise.reject(exhausted()) : lengths(inputs));
    const provider = wordLengths({ answer });
    const fetcher = limited(provider, immediate);
    const first = fetcher.fetch(['x'], call());
    await vi.advanceTimersByTimeAsync(59_000);
    expect(await first).toEqual([{ status: 'skipped', reason: 'quota' }]);
    expect(await fetcher.fetch(['x'], call())).toEqual([{ status: 'skipped', reason: 'quota' }]);
    await vi.advanceTimersByTimeAsync(2_000);
    const again = fetcher.fetch(['x'], call());
    await vi.advanceTimersByTimeAsync(1_000);
    expect(summary(await again)).toEqual([1]);
    expect(provider.calls).toHaveLength(2);
  });

  it.each([
    ['in ten years', 10 * 365 * 86_400_000, 86_400_000],
    ['never', Infinity, 60_000],
    ['at no time', NaN, 60_000],
    ['in the past', -1_000, 60_000],
  ])('is asked for again where it is to come back %s', async (_name, retryAfterMs, waitedMs) => {
    const answer = (inputs: readonly string[], n: number) =>
      n === 1 ? Promise.reject(exhausted(retryAfterMs)) : lengths(inputs);
    const fetcher = limited(wordLengths({ answer }), immediate);
    const serve = async () => {
      const fetched = fetcher.fetch(['x'], call());
      await vi.advanceTimersByTimeAsync(100);
      return summary(await fetched);
    };
    expect(await serve()).toEqual(['quota']);
    await vi.advanceTimersByTimeAsync(waitedMs - 200);
    expect(await serve()).toEqual(['quota']);
    await vi.advanceTimersByTimeAsync(200);
    expect(await serve()).toEqual([1]);
  });

  it('by the word of the limiter concerns the batch that asked', async () => {
    const stopped: Limiter = {
      run: (want, task, { signal }) =>
        want.lane === 'historical'
          ? Promise.reject(new PipelineError('quota_exhausted', 'day', { retryAfterMs: 1_000 }))
          : creditLimiter({ credits: 8 }).run(want, task, { signal }),
      forecast: () => new Date(),
    };
    const fetcher = limited(wordLengths(), stopped);
    const both = [fetcher.fetch(['x'], call({ lane: 'historical' })), fetcher.fetch(['y'], call({ lane: 'market' }))];
    await vi.advanceTimersByTimeAsync(200);
    expect(await Promise.all(both)).toMatchObject([
      [{ status: 'skipped', reason: 'quota', until: new Date(start + 1_000) }],
      [{ status: 'ok', value: 1 }],
    ]);
  });

  it('says no time where it would be none', async () => {
    const answer = (): Promise<never> => Promise.reject(exhausted(Number.MAX_VALUE));
    const seen = limited(wordLengths({ answer }), immediate).fetch(['x'], call());
    await vi.advanceTimersByTimeAsync(200);
    expect(await seen).toEqual([{ status: 'skipped', reason: 'quota' }]);
  });
});

describe('a deadline', () => {
  it.each<[string, Options, { deadlineMs?: number }]>([
    ['of the fetcher', { deadlineMs: 90_000 }, {}],
    ['of the call', {}, { deadlineMs: 90_000 }],
    ['the shorter of both', { deadlineMs: 90_000 }, { deadlineMs: 100_000 }],
  ])('leaves what was not tried by then: %s', async (_name, options, circumstances) => {
    const limiter = creditLimiter({ credits: 2 });
    const fetcher = limited(wordLengths(), limiter, options);
    const seen = follow(fetcher.fetch(words(6), call(circumstances)));
    await vi.advanceTimersByTimeAsync(200_000);
    expect(seen).toEqual({ endedAt: 90_000, results: [1, 2, 3, 4, 'deadline', 'deadline'] });
    expect(limiter.forecast(2)).toEqual(new Date());
    expect(vi.getTimerCount()).toBe(0);
  });

  it('aborts the calls on their way, but for those that others wait for', async () => {
    const signals: AbortSignal[] = [];
    const provider = wordLengths({ maxBatchSize: 1 });
    const watched: typeof provider = {
      ...provider,
      fetch: (inputs, circumstances) => {
        signals.push(circumstances.signal);
        return provider.fetch(inputs, circumstances);
      },
    };
    const fetcher = limited(watched, unlimited());
    const late = follow(fetcher.fetch(words(2), call({ deadlineMs: 50 })));
    const other = follow(fetcher.fetch(['xx'], call()));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(late).toEqual({ endedAt: 50, results: ['deadline', 'deadline'] });
    expect(other).toEqual({ endedAt: 100, results: [2] });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  it.each([0, -5])('of %i ms sends nothing', async (deadlineMs) => {
    const provider = wordLengths();
    expect(summary(await limited(provider, unlimited()).fetch(words(2), call({ deadlineMs })))).toEqual([
      'deadline',
      'deadline',
    ]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(provider.calls).toEqual([]);
  });

  it('beyond what a timer can wait for is none', async () => {
    const seen = follow(limited(wordLengths(), unlimited()).fetch(words(2), call({ deadlineMs: 1e12 })));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen.results).toEqual([1, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
