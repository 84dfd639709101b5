import { beforeEach, describe, expect, it, vi } from 'vitest';
import { firstOf } from '../../src/limits/firstOf.ts';
import { limited } from '../../src/limits/limited.ts';
import { OptionsError, ProviderError, RateLimitError, type PipelineError } from '../../src/model/errors.ts';
import type { Limiter } from '../../src/model/ports.ts';
import type { KeyRefusal, KeyRefusals } from '../../src/model/quotaPorts.ts';
import { call, summary, wordLengths, words } from './providers.ts';

// Issue 10, item 6: no verdict is for ever.

const start = Date.UTC(2026, 0, 1, 12);
const minute = 60_000;
const unauthorized = new ProviderError('unauthorized', 'words: HTTP 401: wrong key');

/** Grants what is wanted at once. */
const immediate: Limiter = {
  run: ({ credits }, task) => task({ credits, release: () => undefined, report: () => undefined }),
  forecast: () => new Date(),
};

beforeEach(() => {
  vi.useFakeTimers({ now: start });
});

/** Refuses the key until `acceptedAt`, in milliseconds from the start; every call takes 100 ms. */
function refusedUntil(
  acceptedAt: number,
  { maxBatchSize = 120, others = (): PipelineError | undefined => undefined } = {},
) {
  const times: number[] = [];
  const provider = wordLengths({
    maxBatchSize,
    answer: (inputs) => {
      const at = Date.now() - start;
      times.push(at - 100);
      const error = others();
      if (error !== undefined) return Promise.reject(error);
      return at < acceptedAt ? Promise.reject(unauthorized) : inputs.map(({ length }) => length);
    },
  });
  return { provider, times };
}

const open = (provider: ReturnType<typeof wordLengths>, refusals?: KeyRefusals) =>
  limited(provider, immediate, { refusals, random: () => 0 });

/** What became of a request that begins now. */
async function ask(fetcher: ReturnType<typeof open>, inputs: readonly string[] = ['a', 'bb', 'ccc']) {
  const fetched = fetcher.fetch(inputs, call());
  await vi.advanceTimersByTimeAsync(2_000);
  return summary(await fetched);
}

const passTo = (minutes: number) => vi.advanceTimersByTimeAsync(start + minutes * minute - Date.now());

describe('a key that the provider refuses', () => {
  it('is tried by the first call of the next request after 5, 10, 20, 40 and 60 minutes, and by nothing else', async () => {
    const { provider, times } = refusedUntil(Infinity);
    const fetcher = open(provider);
    for (let minutes = 0; minutes < 300; minutes += 1) {
      await passTo(minutes);
      expect(new Set(await ask(fetcher))).toEqual(new Set(['unauthorized']));
    }
    expect(times.map((time) => Math.floor(time / minute))).toEqual([0, 6, 17, 38, 79, 140, 201, 262]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not asked for while nobody needs it', async () => {
    const { provider, times } = refusedUntil(Infinity);
    const fetcher = open(provider);
    await ask(fetcher);
    await vi.advanceTimersByTimeAsync(600 * minute);
    expect(times).toEqual([0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('serves the whole request whose first call is taken, and those beside it, which wait', async () => {
    const { provider, times } = refusedUntil(minute, { maxBatchSize: 2 });
    const fetcher = open(provider);
    expect(await ask(fetcher, ['a'])).toEqual(['unauthorized']);
    await passTo(4.9);
    expect(await ask(fetcher)).toEqual(['unauthorized', 'unauthorized', 'unauthorized']);
    await passTo(6);
    const requests = [ask(fetcher, words(5)), ask(fetcher, ['xxxxxxxx', 'yyyyyyyyy'])];
    expect(await Promise.all(requests)).toEqual([
      [1, 2, 3, 4, 5],
      [8, 9],
    ]);
    const [first, trial, ...rest] = times;
    expect([first, trial]).toEqual([0, 6 * minute]);
    // Nothing beside the try.
    expect(rest.every((time) => time >= 6 * minute + 100)).toBe(true);
    expect(fetcher.health?.()).toEqual([{ provider: 'words', state: 'up' }]);
  });

  it('is told, with the time of the next try', async () => {
    const { provider } = refusedUntil(Infinity);
    const fetcher = open(provider);
    await ask(fetcher);
    const health = () => fetcher.health?.()[0];
    expect(health()).toMatchObject({ state: 'refused', error: { code: 'unauthorized' } });
    expect(health()?.until).toEqual(new Date(start + 100 + 5 * minute));
    await passTo(30);
    expect(health()).toMatchObject({ state: 'refused', until: new Date(start + 30 * minute) });
    await ask(fetcher);
    expect(health()?.until).toEqual(new Date(start + 40 * minute + 100));
  });

  it.each([
    ['an outage', new ProviderError('provider_unavailable', 'words: HTTP 503', { retryable: true }), false],
    ['a page', new ProviderError('response_malformed', 'words: HTTP 200: <html>'), false],
    ['a limit of the rate', new RateLimitError('words', { retryAfterMs: 500 }), true],
    ['a quota', new ProviderError('quota_exhausted', 'words: 800 used', { retryAfterMs: 1_000 }), true],
  ])('is taken again or not when the try meets %s', async (_, error, isTaken) => {
    let answer: PipelineError | undefined = unauthorized;
    const { provider, times } = refusedUntil(0, { others: () => answer });
    const fetcher = open(provider);
    await ask(fetcher);
    answer = error;
    await passTo(6);
    const tried = ask(fetcher, ['a']);
    await vi.advanceTimersByTimeAsync(110);
    answer = undefined;
    await tried;
    await passTo(7);
    expect(await ask(fetcher, ['a'])).toEqual([isTaken ? 1 : 'unauthorized']);
    const before = times.length;
    await passTo(12);
    expect(await ask(fetcher, ['bb'])).toEqual([2]);
    expect(times.length).toBe(before + 1);
  });

  it('is tried again after a try that was aborted', async () => {
    const { provider, times } = refusedUntil(minute);
    const fetcher = open(provider);
    await ask(fetcher);
    await passTo(6);
    const controller = new AbortController();
    const canceled = fetcher.fetch(['a'], call({ signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(50);
    const waiting = fetcher.fetch(['bb'], call());
    controller.abort();
    await vi.advanceTimersByTimeAsync(200);
    expect([summary(await canceled), summary(await waiting)]).toEqual([['canceled'], ['unauthorized']]);
    await passTo(12);
    expect(await ask(fetcher)).toEqual([1, 2, 3]);
    expect(times[0]).toBe(0);
  });

  it('leaves its inputs to another provider, also while it is tried', async () => {
    const { provider } = refusedUntil(Infinity);
    const second = wordLengths();
    const fetcher = firstOf(open(provider), limited(second, immediate));
    expect(await ask(fetcher)).toEqual([1, 2, 3]);
    await passTo(6);
    const both = [ask(fetcher), ask(fetcher, ['dddd'])];
    expect(await Promise.all(both)).toEqual([[1, 2, 3], [4]]);
    expect(provider.calls).toHaveLength(2);
  });

  it('may be refused for one input of a try', async () => {
    let isRefused = true;
    const provider = wordLengths({
      answer: (inputs) => inputs.map(({ length }) => (isRefused && length === 1 ? unauthorized : length)),
    });
    const fetcher = open(provider);
    expect(await ask(fetcher)).toEqual(['unauthorized', 2, 3]);
    await passTo(6);
    await ask(fetcher);
    isRefused = false;
    await passTo(15);
    expect(await ask(fetcher)).toEqual(['unauthorized', 'unauthorized', 'unauthorized']);
    await passTo(17);
    expect(await ask(fetcher)).toEqual([1, 2, 3]);
    expect(provider.calls).toHaveLength(3);
  });
});

/** The twin in memory of the row that all processes share. */
function sharedRefusals(): KeyRefusals & { fails: boolean } {
  let row: { message: string; pauseMs: number; tryAt: number; triedUntil: number } | undefined;
  const seen = (): KeyRefusal | undefined =>
    row && {
      message: row.message,
      pauseMs: row.pauseMs,
      tryInMs: Math.max(0, row.tryAt - Date.now()),
      isTried: row.triedUntil > Date.now(),
    };
  const store = {
    fails: false,
    standing: async () => seen(),
    refuse: async ({ message, pauseMs, isAgain }: Parameters<KeyRefusals['refuse']>[0]) => {
      if (row !== undefined && !isAgain && row.tryAt > Date.now()) return;
      row = { message, pauseMs, tryAt: Date.now() + pauseMs, triedUntil: 0 };
    },
    claim: async (holdMs: number) => {
      const isGranted = row !== undefined && row.tryAt <= Date.now();
      if (row !== undefined && isGranted) {
        Object.assign(row, { tryAt: Date.now() + row.pauseMs, triedUntil: Date.now() + holdMs });
      }
      return { isGranted, refusal: seen() };
    },
    lift: async () => {
      row = undefined;
    },
  };
  const failing = <A extends unknown[], R>(act: (...of: A) => Promise<R>) => {
    return (...of: A) => (store.fails ? Promise.reject(new Error('the database is away')) : act(...of));
  };
  const { standing, refuse, claim, lift } = store;
  return Object.assign(store, {
    standing: failing(standing),
    refuse: failing(refuse),
    claim: failing(claim),
    lift: failing(lift),
  });
}

describe('several processes on a refused key', () => {
  it('try it one at a time, and not at their start', async () => {
    const { provider, times } = refusedUntil(Infinity);
    const refusals = sharedRefusals();
    const processes = Array.from({ length: 4 }, () => open(provider, refusals));
    await ask(processes[0]!);
    for (let minutes = 1; minutes < 120; minutes += 1) {
      await passTo(minutes);
      const started = open(provider, refusals);
      const results = await Promise.all([...processes, started].map((each) => ask(each)));
      expect(new Set(results.flat())).toEqual(new Set(['unauthorized']));
    }
    expect(times.map((time) => Math.floor(time / minute))).toEqual([0, 6, 17, 38, 79]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are all served once one of them was, also a request that they share', async () => {
    const { provider, times } = refusedUntil(minute);
    const refusals = sharedRefusals();
    const processes = Array.from({ length: 4 }, () => open(provider, refusals));
    await Promise.all(processes.map((each) => ask(each)));
    const before = times.length;
    await passTo(6);
    const results = await Promise.all(processes.map((each, index) => ask(each, [words(9)[index + 1]!])));
    expect(results).toEqual([[2], [3], [4], [5]]);
    const [trial, ...rest] = times.slice(before);
    expect(trial).toBe(6 * minute);
    expect(rest.every((time) => time >= 6 * minute + 100)).toBe(true);
  });

  it('go by what each knows while the store is away', async () => {
    const { provider, times } = refusedUntil(minute);
    const refusals = sharedRefusals();
    refusals.fails = true;
    const fetcher = open(provider, refusals);
    await ask(fetcher);
    await passTo(1);
    refusals.fails = false;
    // A store that never heard of it lifts nothing.
    expect(await ask(fetcher)).toEqual(['unauthorized', 'unauthorized', 'unauthorized']);
    refusals.fails = true;
    await passTo(6);
    expect(await ask(fetcher)).toEqual([1, 2, 3]);
    expect(times.slice(0, 2)).toEqual([0, 6 * minute]);
  });

  it('take no refusals that are none', () => {
    expect(() => limited(wordLengths(), immediate, { refusals: {} as KeyRefusals })).toThrow(OptionsError);
  });
});
