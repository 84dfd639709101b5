import { firstValueFrom, from, lastValueFrom, of, Subject, take, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { fromPull } from '../../src/flow/fromPull.ts';
import type { Batch } from '../../src/model/batch.ts';
import { OptionsError, PipelineError, ProviderError } from '../../src/model/errors.ts';
import type { FetchCall, Fetched, Fetcher } from '../../src/model/ports.ts';
import type { RunEvent } from '../../src/model/runEvents.ts';
import { throttledFetch, type ThrottledFetchOptions } from '../../src/operators/throttledFetch.ts';
import { deferred } from '../support/deferred.ts';
import { marbles } from './marbles.ts';

type Fetch = Fetcher<string, string>['fetch'];
type Options = Omit<ThrottledFetchOptions<string, string>, 'fetcher'>;

const fetched = (input: string): Fetched<string> => ({
  status: 'ok',
  value: input.toLowerCase(),
  provider: 'test',
  receivedAtMs: 5,
});
const ok = (input: string) => ({
  status: 'ok',
  input,
  value: input.toLowerCase(),
  provider: 'test',
  receivedAtMs: 5,
});
const canceled = (input: string) => ({ status: 'skipped', input, reason: 'canceled' });
const pending = (input: string) => ({ status: 'pending', input }) as const;
const fresh = { status: 'fresh', input: 'F', value: 'f' } as const;

const answering = () => vi.fn<Fetch>(async (inputs) => inputs.map(fetched));
const stage = (fetch: Fetch, options: Options = {}) =>
  throttledFetch<string, string>({ fetcher: { name: 'test', fetch }, ...options });
const fetchOne = (item: readonly string[] | Batch<string, string>, fetch: Fetch, options?: Options) =>
  firstValueFrom(of(item).pipe(stage(fetch, options)));

/** Fetches `A` at once and the rest never; when aborted, answers or rejects. */
const stalling =
  (onAbort: 'answers' | 'rejects' | 'answers failures'): Fetch =>
  (inputs, { signal }) =>
    new Promise((resolve, reject) => {
      const error = new ProviderError('canceled', 'canceled');
      const rest: Fetched<string> =
        onAbort === 'answers failures' ? { status: 'failed', error } : { status: 'skipped', reason: 'canceled' };
      signal.addEventListener('abort', () => {
        if (onAbort === 'rejects') reject(error);
        else resolve(inputs.map((input) => (input === 'A' ? fetched(input) : rest)));
      });
    });

describe('throttledFetch, the stream', () => {
  it('completes with an empty source', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  --|';
      const expected = '--|';
      expectObservable(cold<string[]>(source).pipe(stage(answering()))).toBe(expected);
    });
  });

  it('waits with a source that never emits', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  ---';
      const expected = '---';
      expectObservable(cold<string[]>(source).pipe(stage(answering()))).toBe(expected);
    });
  });

  it('passes on an error of the source', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  --#';
      const expected = '--#';
      expectObservable(cold<string[]>(source).pipe(stage(answering()))).toBe(expected);
    });
  });

  it('unsubscribes its source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold<string[]>('-----|');
      const stop = '                 ---!';
      expectObservable(source.pipe(stage(answering())), stop).toBe('----');
      expectSubscriptions(source.subscriptions).toBe('^--!');
    });
  });

  it('passes batches without pending inputs in the same frame, also behind one that waits', () => {
    marbles(({ cold, expectObservable }) => {
      const batches = {
        w: { index: 0, outcomes: [pending('A')] },
        s: { index: 1, outcomes: [fresh] },
        e: { index: 2, outcomes: [] },
      };
      const source = '  -w-s-e-';
      const expected = '---s-e-';
      const neverAnswering: Fetch = () => new Promise(() => undefined);
      expectObservable(
        cold<Batch<string, string>>(source, batches).pipe(stage(neverAnswering, { concurrency: 1 })),
        '^------!',
      ).toBe(expected, batches);
    });
  });

  it('stops a source that emits settled batches in one go', () => {
    let pulled = 0;
    const counted = function* (): Generator<Batch<string, string>> {
      for (; pulled < 1_000; pulled += 1) yield { index: pulled, outcomes: [fresh] };
    };
    const seen: number[] = [];
    from(counted())
      .pipe(stage(answering()), take(2))
      .subscribe(({ index }) => seen.push(index));
    expect(seen).toEqual([0, 1]);
    expect(pulled).toBeLessThanOrEqual(3);
  });

  it('fetches four batches at once unless told otherwise, and emits them as they are done', async () => {
    const answers = Array.from({ length: 6 }, () => deferred());
    let running = 0;
    let most = 0;
    const fetch: Fetch = async (inputs) => {
      most = Math.max(most, ++running);
      await answers[Number(inputs[0])]!.promise;
      running -= 1;
      return inputs.map(fetched);
    };
    const seen: number[] = [];
    fromPull(['0', '1', '2', '3', '4', '5'].map((input) => [input]))
      .pipe(stage(fetch))
      .subscribe(({ index }) => seen.push(index));
    answers[2]!.resolve();
    await vi.waitFor(() => {
      expect(seen).toEqual([2]);
    });
    answers.forEach(({ resolve }) => {
      resolve();
    });
    await vi.waitFor(() => {
      expect(seen.toSorted()).toEqual([0, 1, 2, 3, 4, 5]);
    });
    expect(most).toBe(4);
  });

  it('aborts the calls in flight when unsubscribed', () => {
    const signals: AbortSignal[] = [];
    const fetch: Fetch = (_, { signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const subscription = from([['A'], ['B']])
      .pipe(stage(fetch))
      .subscribe();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    subscription.unsubscribe();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it('names what is wrong with its options', () => {
    expect(() => throttledFetch({ fetcher: {} as Fetcher<string, string> })).toThrow('throttledFetch: fetcher');
    expect(() => stage(answering(), { concurrency: 0 })).toThrow(OptionsError);
  });
});

describe('throttledFetch, what becomes of a batch', () => {
  it('makes a batch of an array', async () => {
    const batches = await lastValueFrom(
      from([['A', 'B'], [], ['C']]).pipe(stage(answering(), { request: 'r', concurrency: 1 }), toArray()),
    );
    expect(batches.map(({ index, request, outcomes }) => ({ index, request, outcomes }))).toEqual([
      { index: 0, request: 'r', outcomes: [ok('A'), ok('B')] },
      { index: 1, request: 'r', outcomes: [] },
      { index: 2, request: 'r', outcomes: [ok('C')] },
    ]);
  });

  it('asks for the pending inputs only and puts them back in place', async () => {
    const fetch = answering();
    const batch = { index: 7, request: 'own', outcomes: [pending('A'), fresh, pending('B')], durations: { planMs: 1 } };
    const done = await fetchOne(batch, fetch, { request: 'other', lane: 'market' });
    expect(fetch.mock.lastCall?.[0]).toEqual(['A', 'B']);
    expect(fetch.mock.lastCall?.[1]).toMatchObject({ request: 'own', lane: 'market' });
    expect(done).toMatchObject({ index: 7, request: 'own', outcomes: [ok('A'), fresh, ok('B')] });
    expect(done.durations).toEqual({ planMs: 1, fetchMs: expect.any(Number) as number });
  });

  it('fetches equal inputs once and serves all their places', async () => {
    const fetch = vi.fn<Fetcher<{ symbol: string }, number>['fetch']>(async (inputs) =>
      inputs.map((_, value) => ({ status: 'ok', value, provider: 'test', receivedAtMs: 0 })),
    );
    const { outcomes } = await firstValueFrom(
      of([{ symbol: 'A' }, { symbol: 'B' }, { symbol: 'A' }]).pipe(
        throttledFetch({ fetcher: { name: 'test', fetch } }),
      ),
    );
    expect(fetch.mock.lastCall?.[0]).toEqual([{ symbol: 'A' }, { symbol: 'B' }]);
    expect(outcomes).toMatchObject([{ value: 0 }, { value: 1 }, { value: 0 }]);
  });

  it('translates every answer of the fetcher', async () => {
    const error = new ProviderError('symbol_unknown', 'B');
    const answers: Fetched<string>[] = [
      fetched('A'),
      { status: 'failed', error },
      { status: 'skipped', reason: 'quota' },
      { status: 'fresh', value: 'f' },
    ];
    const { outcomes } = await fetchOne(['A', 'B', 'C', 'F'], async () => answers);
    expect(outcomes).toEqual([
      ok('A'),
      { status: 'failed', input: 'B', stage: 'fetch', error },
      { status: 'skipped', input: 'C', reason: 'quota' },
      fresh,
    ]);
  });

  it.each<[string, Fetch, string]>([
    ['rejects', () => Promise.reject(new ProviderError('timeout', 'late')), 'timeout'],
    [
      'throws',
      () => {
        throw new TypeError('broken');
      },
      'internal',
    ],
    ['answers too few entries', async () => [fetched('A')], 'response_malformed'],
    ['answers holes', async () => new Array<Fetched<string>>(2), 'response_malformed'],
  ])('fails the pending inputs when the fetcher %s, and goes on', async (_, fetch, code) => {
    const batches: Batch<string, string>[] = [
      { index: 0, outcomes: [pending('A'), fresh, pending('B')] },
      { index: 1, outcomes: [fresh] },
    ];
    const done = await lastValueFrom(from(batches).pipe(stage(fetch), toArray()));
    const first = done.find(({ index }) => index === 0);
    expect(first?.outcomes).toMatchObject([
      { status: 'failed', input: 'A', stage: 'fetch', error: { code } },
      fresh,
      { status: 'failed', input: 'B', stage: 'fetch', error: { code } },
    ]);
    expect(done).toHaveLength(2);
  });

  it('has a batch of which it fetched something written again', async () => {
    const written = { inserted: 1, updated: 0, unchanged: 0, transactions: 1 };
    const done = await fetchOne({ index: 0, outcomes: [fresh, pending('A')], written }, answering());
    expect(done.written).toBeUndefined();
  });
});

describe('throttledFetch, the signal of the request', () => {
  it('keeps what was fetched and skips the rest', async () => {
    const controller = new AbortController();
    const done = fetchOne(['A', 'B'], stalling('answers'), { signal: controller.signal });
    controller.abort();
    expect((await done).outcomes).toEqual([ok('A'), canceled('B')]);
  });

  it('skips everything when the fetcher rejects instead', async () => {
    const controller = new AbortController();
    const done = fetchOne(['A', 'B'], stalling('rejects'), { signal: controller.signal });
    controller.abort();
    expect((await done).outcomes).toEqual([canceled('A'), canceled('B')]);
  });

  it('takes an input that failed by being canceled as skipped', async () => {
    const controller = new AbortController();
    const done = fetchOne(['A', 'B'], stalling('answers failures'), { signal: controller.signal });
    controller.abort();
    expect((await done).outcomes).toEqual([ok('A'), canceled('B')]);
  });

  it.each(['answers', 'rejects', 'answers failures', 'rejects with the reason'] as const)(
    'calls the rest skipped as deadline when a time limit aborted it, and the fetcher %s',
    async (onAbort) => {
      const controller = new AbortController();
      const reason = new PipelineError('timeout', 'no progress');
      const fetch: Fetch =
        onAbort === 'rejects with the reason'
          ? (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(reason)))
          : stalling(onAbort);
      const done = fetchOne(['B'], fetch, { signal: controller.signal });
      controller.abort(reason);
      const deadline = { status: 'skipped', input: 'B', reason: 'deadline' };
      expect((await done).outcomes).toEqual([deadline]);
      const late = await fetchOne(['B'], answering(), { signal: controller.signal });
      expect(late.outcomes).toEqual([deadline]);
    },
  );

  it('skips without a fetch once it is aborted', async () => {
    const fetch = answering();
    const done = await fetchOne(['A'], fetch, { signal: AbortSignal.abort() });
    expect(done.outcomes).toEqual([canceled('A')]);
    expect(fetch).not.toHaveBeenCalled();
  });
});

describe('throttledFetch, what a fetcher tells', () => {
  const call = { provider: 'test', inputs: 1, credits: 1, durationMs: 2, result: 'ok' };

  it('collects the calls and hands everything to the observer', async () => {
    const events = new Subject<RunEvent>();
    const seen: RunEvent[] = [];
    events.subscribe((event) => seen.push(event));
    const until = new Date(1_000);
    const fetch: Fetch = async (inputs, { onWait, onCall }) => {
      onWait?.(until, 8);
      onCall?.(call);
      onWait?.(until);
      return inputs.map(fetched);
    };
    const done = await fetchOne(['A', 'B'], fetch, { events, request: 'r' });
    const of = { request: 'r', batch: 0 };
    expect(seen).toEqual([
      { type: 'batch-started', ...of, inputs: 2 },
      { type: 'waiting', ...of, until, credits: 8, pending: 2 },
      { type: 'provider-call', ...of, call },
      { type: 'waiting', ...of, until, credits: undefined, pending: 1 },
    ]);
    expect(done.calls).toEqual([call]);
  });

  it('does not announce a batch that another stage has started', async () => {
    const next = vi.fn();
    await fetchOne({ index: 0, outcomes: [pending('A')] }, answering(), { events: { next } });
    expect(next).not.toHaveBeenCalled();
  });

  it('lets the fetcher ask what has become fresh, with the signal of the call', async () => {
    const settle = vi.fn<NonNullable<Options['settle']>>(async (inputs) => inputs.map(pending));
    const fetch = async (inputs: readonly string[], fetchCall: FetchCall<string, string>) => {
      expect(await fetchCall.settle?.(inputs)).toEqual(inputs.map(pending));
      return inputs.map(fetched);
    };
    const { outcomes } = await fetchOne(['A'], fetch, { settle });
    expect(outcomes).toEqual([ok('A')]);
    expect(settle).toHaveBeenCalledWith(['A'], { signal: expect.any(AbortSignal) as AbortSignal });
  });

  it('offers no question where there is none to ask', async () => {
    const fetch = answering();
    await fetchOne(['A'], fetch);
    expect(fetch.mock.lastCall?.[1].settle).toBeUndefined();
  });

  it('keeps errors of this library as they are', async () => {
    const error = new PipelineError('unauthorized', 'no key');
    const { outcomes } = await fetchOne(['A'], () => Promise.reject(error));
    expect(outcomes[0]).toMatchObject({ error });
  });
});

describe('throttledFetch, its deadline', () => {
  it('is told to the fetcher as what is left of it since the subscription', async () => {
    vi.useFakeTimers();
    const left: (number | undefined)[] = [];
    const fetch: Fetch = async (inputs, { deadlineMs }) => {
      left.push(deadlineMs);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      return inputs.map(fetched);
    };
    const fetching = lastValueFrom(
      fromPull([['A'], ['B'], ['C']]).pipe(stage(fetch, { deadlineMs: 5_000, concurrency: 1 })),
    );
    await vi.advanceTimersByTimeAsync(10_000);
    await fetching;
    expect(left).toEqual([5_000, 2_000, -1_000]);
  });

  it('is none by default', async () => {
    const fetch = answering();
    await fetchOne(['A'], fetch);
    expect(fetch.mock.calls[0]?.[1]).not.toHaveProperty('deadlineMs');
  });

  it('leaves what is skipped with its reason, and the time that is known', async () => {
    const until = new Date(1_000);
    const fetch: Fetch = async () => [
      { status: 'skipped', reason: 'deadline' },
      { status: 'skipped', reason: 'quota', until },
    ];
    expect((await fetchOne(['A', 'B'], fetch)).outcomes).toEqual([
      { status: 'skipped', input: 'A', reason: 'deadline' },
      { status: 'skipped', input: 'B', reason: 'quota', until },
    ]);
  });

  it.each([-1, NaN, '5'])('is refused when it is %s', (deadlineMs) => {
    expect(() => stage(answering(), { deadlineMs: deadlineMs as number })).toThrow(OptionsError);
  });
});
