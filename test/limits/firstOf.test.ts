import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { firstOf } from '../../src/limits/firstOf.ts';
import { limited } from '../../src/limits/limited.ts';
import type { ProviderCall } from '../../src/model/batch.ts';
import { OptionsError, ProviderError, type ErrorCode } from '../../src/model/errors.ts';
import type { FetchCall, Fetched, Fetcher } from '../../src/model/ports.ts';
import { call, summary, wordLengths, words } from './providers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

type Answer = (input: string) => Fetched<number>;

const ok =
  (provider: string): Answer =>
  (input) => ({ status: 'ok', value: input.length, provider, receivedAtMs: 0 });
const failed =
  (code: ErrorCode, retryable = false): Answer =>
  () => ({ status: 'failed', error: new ProviderError(code, code, { retryable }) });
const skipped =
  (reason: 'quota' | 'deadline' | 'canceled'): Answer =>
  () => ({ status: 'skipped', reason });

/** A fetcher that answers at once, and remembers what it was asked. */
const fetcher = (name: string, answer: Answer) => {
  const calls: { readonly inputs: readonly string[]; readonly call: FetchCall<string, number> }[] = [];
  const made: Fetcher<string, number> & { readonly calls: typeof calls } = {
    name,
    calls,
    fetch: async (inputs, circumstances) => {
      calls.push({ inputs, call: circumstances });
      return inputs.map(answer);
    },
  };
  return made;
};

const after = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  promise.then(undefined, () => undefined);
  await vi.advanceTimersByTimeAsync(ms);
  return promise;
};

describe('firstOf', () => {
  it('needs a fetcher, and is named after all', () => {
    expect(() => firstOf()).toThrow(OptionsError);
    expect(firstOf(fetcher('a', ok('a')), fetcher('b', ok('b'))).name).toBe('a, b');
  });

  it('asks the first alone when it serves everything', async () => {
    const [first, second] = [fetcher('a', ok('a')), fetcher('b', ok('b'))];
    expect(summary(await firstOf(first, second).fetch(words(3), call()))).toEqual([1, 2, 3]);
    expect(second.calls).toEqual([]);
    expect(await firstOf(first, second).fetch([], call())).toEqual([]);
  });

  it('asks the next for what the first cannot serve, and says which served what', async () => {
    const first = fetcher('a', (input) => (input.length === 2 ? failed('not_in_plan')(input) : ok('a')(input)));
    const second = fetcher('b', ok('b'));
    const fetched = await firstOf(first, second).fetch(words(3), call());
    expect(fetched).toMatchObject([{ provider: 'a' }, { provider: 'b', value: 2 }, { provider: 'a' }]);
    expect(second.calls.map(({ inputs }) => inputs)).toEqual([['xx']]);
  });

  it.each<[ErrorCode, boolean]>([
    ['provider_unavailable', true],
    ['timeout', true],
    ['response_malformed', true],
    ['not_in_plan', true],
    ['asset_type_unknown', true],
    ['unauthorized', true],
    ['symbol_unknown', false],
    ['value_invalid', false],
    ['options_invalid', false],
    ['internal', false],
  ])('asks the next after %s: %s', async (code, isAsked) => {
    const second = fetcher('b', ok('b'));
    const fetched = await firstOf(fetcher('a', failed(code)), second).fetch(['x'], call());
    expect(summary(fetched)).toEqual([isAsked ? 1 : code]);
  });

  it.each<['quota' | 'deadline' | 'canceled', boolean]>([
    ['quota', true],
    ['deadline', false],
    ['canceled', false],
  ])('asks the next for what was skipped for %s: %s', async (reason, isAsked) => {
    const fetched = await firstOf(fetcher('a', skipped(reason)), fetcher('b', ok('b'))).fetch(['x'], call());
    expect(summary(fetched)).toEqual([isAsked ? 1 : reason]);
  });

  it.each<[string, Answer, Answer, string]>([
    ['skipped before failed', skipped('quota'), failed('symbol_unknown'), 'quota'],
    ['failed, then skipped', failed('timeout', true), skipped('canceled'), 'canceled'],
    ['a failure that may pass before one that will not', failed('timeout', true), failed('symbol_unknown'), 'timeout'],
    ['the last of two alike', failed('not_in_plan'), failed('symbol_unknown'), 'symbol_unknown'],
    ['the last of two skips', skipped('quota'), skipped('deadline'), 'deadline'],
  ])('answers the most hopeful outcome where none serves: %s', async (_name, one, other, expected) => {
    expect(summary(await firstOf(fetcher('a', one), fetcher('b', other)).fetch(['x'], call()))).toEqual([expected]);
  });

  it('goes on to the third', async () => {
    const third = fetcher('c', ok('c'));
    const both = [fetcher('a', failed('timeout', true)), fetcher('b', skipped('quota'))];
    expect(await firstOf(...both, third).fetch(['x'], call())).toMatchObject([{ provider: 'c' }]);
  });

  it('passes on the circumstances, what is left of the deadline, and that the last has no other', async () => {
    const slow = fetcher('a', failed('timeout', true));
    const { fetch } = slow;
    const first: typeof slow = {
      ...slow,
      fetch: async (inputs, circumstances) => {
        await new Promise((resolve) => setTimeout(resolve, 4_000));
        return fetch(inputs, circumstances);
      },
    };
    const second = fetcher('b', ok('b'));
    const circumstances = {
      lane: 'market',
      request: 'r',
      batch: 3,
      signal: new AbortController().signal,
      onWait: () => undefined,
      onCall: () => undefined,
      settle: async () => [],
    };
    await after(5_000, firstOf(first, second).fetch(['x'], { ...circumstances, deadlineMs: 10_000 }));
    expect(first.calls[0]?.call).toEqual({ ...circumstances, deadlineMs: 10_000, failFast: true });
    expect(second.calls[0]?.call).toEqual({ ...circumstances, deadlineMs: 6_000, failFast: false });
    await firstOf(second).fetch(['x'], call({ failFast: true }));
    expect(second.calls[1]?.call).toMatchObject({ failFast: true });
    expect(second.calls[1]?.call).not.toHaveProperty('deadlineMs');
  });

  it('fails the inputs of a fetcher that answers another number of entries, and asks the next', async () => {
    const broken: Fetcher<string, number> = { name: 'a', fetch: async () => [] };
    expect(await firstOf(broken).fetch(['x'], call())).toMatchObject([
      { error: { code: 'response_malformed', message: 'a: answered 0 entries for 1 inputs' } },
    ]);
    expect(summary(await firstOf(broken, fetcher('b', ok('b'))).fetch(['x'], call()))).toEqual([1]);
  });

  it('rejects with what a function of the call throws', async () => {
    const bug = new Error('bug');
    const throwing: Fetcher<string, number> = { name: 'a', fetch: () => Promise.reject(bug) };
    await expect(firstOf(throwing, fetcher('b', ok('b'))).fetch(['x'], call())).rejects.toBe(bug);
  });

  it('estimates as the first does, reads all anew, and knows the health of all', async () => {
    const limiters = [creditLimiter({ credits: 8 }), creditLimiter({ credits: 55 })];
    const refreshed = limiters.map((limiter) => vi.spyOn(limiter, 'refresh'));
    const both = limiters.map((limiter, index) => limited({ ...wordLengths(), name: 'ab'.charAt(index) }, limiter));
    const fetcherOfBoth = firstOf(...both);
    expect(fetcherOfBoth.estimate?.(words(8))).toEqual(both[0]?.estimate?.(words(8)));
    expect(fetcherOfBoth.health?.()).toEqual([
      { provider: 'a', state: 'up' },
      { provider: 'b', state: 'up' },
    ]);
    await fetcherOfBoth.refresh?.();
    expect(refreshed.map((refresh) => refresh.mock.calls.length)).toEqual([1, 1]);
    const bare = firstOf(fetcher('a', ok('a')));
    expect([bare.estimate, bare.health?.()]).toEqual([undefined, []]);
    await expect(bare.refresh?.()).resolves.toBeUndefined();
  });
});

describe('firstOf over limited fetchers', () => {
  const unavailable = new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true });
  const lengths = (inputs: readonly string[]): number[] => inputs.map((word) => word.length);
  const two = (answer: Parameters<typeof wordLengths>[0], credits = Infinity) => {
    const primary = { ...wordLengths(answer), name: 'primary' };
    const secondary = { ...wordLengths(), name: 'secondary' };
    const fetchers = [
      limited(primary, creditLimiter({ credits }), { random: () => 1 }),
      limited(secondary, creditLimiter({ credits })),
    ];
    return { primary, secondary, fetcher: firstOf(...fetchers) };
  };

  it('fails over after the retries, and without a call while the circuit is open', async () => {
    const { primary, secondary, fetcher } = two({ answer: () => Promise.reject(unavailable) });
    const calls: string[] = [];
    const onCall = ({ provider, result }: ProviderCall): void => void calls.push(`${provider} ${result}`);
    const first = await after(10_000, fetcher.fetch(words(2), call({ onCall })));
    expect(first).toMatchObject([
      { value: 1, provider: 'secondary' },
      { value: 2, provider: 'secondary' },
    ]);
    expect(calls).toEqual([...Array.from({ length: 4 }, () => 'primary provider_unavailable'), 'secondary ok']);
    await after(10_000, fetcher.fetch(['y'], call()));
    expect(primary.calls).toHaveLength(5);
    expect(summary(await after(300, fetcher.fetch(['z'], call())))).toEqual([1]);
    expect(primary.calls).toHaveLength(5);
    expect(secondary.calls).toEqual([words(2), ['y'], ['z']]);
    expect(fetcher.health?.()).toMatchObject([
      { provider: 'primary', state: 'down' },
      { provider: 'secondary', state: 'up' },
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes back to the first when that is back', async () => {
    const answer = (inputs: readonly string[], n: number) => (n <= 5 ? Promise.reject(unavailable) : lengths(inputs));
    const { fetcher } = two({ answer });
    await after(10_000, fetcher.fetch(['x'], call()));
    await after(10_000, fetcher.fetch(['y'], call()));
    expect(await after(30_000, fetcher.fetch(['z'], call()))).toMatchObject([{ provider: 'secondary' }]);
    expect(await after(1_000, fetcher.fetch(['z'], call()))).toMatchObject([{ provider: 'primary' }]);
  });

  it('takes the rest from the second when the quota of the first is gone', async () => {
    const gone = new ProviderError('quota_exhausted', 'words: day', { retryAfterMs: 3_600_000 });
    const answer = (inputs: readonly string[], n: number) => (n > 1 ? Promise.reject(gone) : lengths(inputs));
    const { primary, fetcher } = two({ answer, maxBatchSize: 2 }, 8);
    const fetched = await after(120_000, fetcher.fetch(words(6), call()));
    expect(fetched.map((entry) => (entry.status === 'ok' ? entry.provider : entry.status))).toEqual([
      'primary',
      'primary',
      'secondary',
      'secondary',
      'secondary',
      'secondary',
    ]);
    const sent = primary.calls.length;
    expect(await after(500, fetcher.fetch(['y'], call()))).toMatchObject([{ provider: 'secondary' }]);
    expect(primary.calls).toHaveLength(sent);
  });

  it('ends at once on an abort, in whichever it is', async () => {
    for (const ms of [50, 9_000]) {
      const controller = new AbortController();
      const { fetcher } = two({ answer: () => Promise.reject(unavailable) }, 1);
      const fetched = fetcher.fetch(words(2), call({ signal: controller.signal }));
      await vi.advanceTimersByTimeAsync(ms);
      controller.abort();
      expect(summary(await fetched)).toEqual(['canceled', 'canceled']);
    }
  });

  it('ends at its deadline', async () => {
    const { fetcher } = two({ answer: () => new Promise(() => {}) });
    const fetched = fetcher.fetch(words(2), call({ deadlineMs: 20_000 }));
    await vi.advanceTimersByTimeAsync(19_999);
    let isDone = false;
    void fetched.then(() => (isDone = true));
    await vi.advanceTimersByTimeAsync(1);
    expect(isDone).toBe(true);
    expect(summary(await fetched)).toEqual(['deadline', 'deadline']);
  });
});
