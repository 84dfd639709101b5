import { firstValueFrom, from, lastValueFrom, of, Subject, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { memorySink } from '../../src/memory/memorySink.ts';
import { OptionsError, PipelineError, RequestError, SinkError } from '../../src/model/errors.ts';
import type { Ledger, Sink } from '../../src/model/ports.ts';
import type { RunEvent } from '../../src/model/runEvents.ts';
import { planBatch, type PlanBatchOptions } from '../../src/operators/planBatch.ts';
import { deferred } from '../support/deferred.ts';
import { marbles } from './marbles.ts';

const sinkOf = (parts: Partial<Sink<string, number>> = {}): Sink<string, number> => ({
  name: 'test',
  write: () => Promise.reject(new Error('not to be written')),
  ...parts,
});

const ledgerOf = (stored: Ledger<string, number>['stored']): Ledger<string, number> => ({
  accept: () => Promise.reject(new Error('not to be accepted')),
  storedNumbers: () => Promise.resolve([]),
  batches: () => (async function* () {})(),
  storeFailed: () => Promise.reject(new Error('not to be failed')),
  begin: () => Promise.reject(new Error('not to be begun')),
  handBack: () => Promise.reject(new Error('not to be handed back')),
  stored,
});

const plan = (inputs: readonly string[], options: PlanBatchOptions<string, number>) =>
  firstValueFrom(of(inputs).pipe(planBatch(options)));

const pending = (input: string) => ({ status: 'pending', input });

it('numbers its batches from the first of a part of a request', async () => {
  const asked: number[] = [];
  const stored: Ledger<string, number>['stored'] = async (_key, index) => {
    asked.push(index);
    return Promise.resolve(undefined);
  };
  const sink = sinkOf({ ledger: ledgerOf(stored) });
  const events: RunEvent[] = [];
  const options = { sink, request: 'r', firstIndex: 7, events: { next: (event: RunEvent) => events.push(event) } };
  const batches = await lastValueFrom(from([['A'], ['B']]).pipe(planBatch(options), toArray()));
  expect(batches.map(({ index }) => index)).toEqual([7, 8]);
  expect(asked).toEqual([7, 8]);
  expect(events).toMatchObject([{ batch: 7 }, { batch: 8 }]);
});

describe('planBatch, the stream', () => {
  it('completes with an empty source', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  --|';
      const expected = '--|';
      expectObservable(cold<string[]>(source).pipe(planBatch({ sink: sinkOf() }))).toBe(expected);
    });
  });

  it('waits with a source that never emits', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  ---';
      const expected = '---';
      expectObservable(cold<string[]>(source).pipe(planBatch({ sink: sinkOf() }))).toBe(expected);
    });
  });

  it('passes on an error of the source', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  --#';
      const expected = '--#';
      expectObservable(cold<string[]>(source).pipe(planBatch({ sink: sinkOf() }))).toBe(expected);
    });
  });

  it('unsubscribes its source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold<string[]>('-----|');
      const stop = '                 ---!';
      expectObservable(source.pipe(planBatch({ sink: sinkOf() })), stop).toBe('----');
      expectSubscriptions(source.subscriptions).toBe('^--!');
    });
  });

  it('numbers batches by arrival and says that they start', async () => {
    const events = new Subject<RunEvent>();
    const seen: RunEvent[] = [];
    events.subscribe((event) => seen.push(event));
    const batches = await lastValueFrom(
      from([['A', 'B'], ['C']]).pipe(planBatch({ sink: sinkOf(), request: 'r', events }), toArray()),
    );
    expect(batches.map(({ index, request }) => [index, request])).toEqual([
      [0, 'r'],
      [1, 'r'],
    ]);
    expect(seen).toEqual([
      { type: 'batch-started', request: 'r', batch: 0, inputs: 2 },
      { type: 'batch-started', request: 'r', batch: 1, inputs: 1 },
    ]);
  });

  it('aborts its questions when unsubscribed', () => {
    let seen: AbortSignal | undefined;
    const current: Sink<string, number>['current'] = (_, { signal }) => {
      seen = signal;
      return new Promise(() => undefined);
    };
    const subscription = of(['A'])
      .pipe(planBatch({ sink: sinkOf({ current }) }))
      .subscribe();
    expect(seen?.aborted).toBe(false);
    subscription.unsubscribe();
    expect(seen?.aborted).toBe(true);
  });

  it('plans as many batches at once as it may', async () => {
    const answers = [deferred(), deferred(), deferred()];
    let asked = 0;
    const current: Sink<string, number>['current'] = async (inputs) => {
      await answers[asked++]!.promise;
      return inputs.map((input) => ({ status: 'pending', input }));
    };
    const seen: number[] = [];
    from([['A'], ['B'], ['C']])
      .pipe(planBatch({ sink: sinkOf({ current }), concurrency: 2 }))
      .subscribe(({ index }) => seen.push(index));
    expect(asked).toBe(2);
    answers[1]!.resolve();
    await vi.waitFor(() => {
      expect(asked).toBe(3);
    });
    expect(seen).toEqual([1]);
    answers.forEach(({ resolve }) => {
      resolve();
    });
    await vi.waitFor(() => {
      expect(seen.toSorted()).toEqual([0, 1, 2]);
    });
  });

  it('names what is wrong with its options', () => {
    expect(() => planBatch({ sink: {} as Sink<string, number> })).toThrow(OptionsError);
    expect(() => planBatch({ sink: sinkOf(), maxAgeMs: -1 })).toThrow('planBatch: maxAgeMs');
  });
});

describe('planBatch, what becomes of inputs', () => {
  it('leaves everything pending for a sink that says nothing', async () => {
    const { outcomes, durations } = await plan(['A', 'B'], { sink: sinkOf() });
    expect(outcomes).toEqual([pending('A'), pending('B')]);
    expect(durations?.planMs).toBeGreaterThanOrEqual(0);
  });

  it('puts refused, fresh and pending inputs in their places, narrowed as the sink says', async () => {
    const error = new RequestError('symbol_too_long', 'LONG');
    const current = vi.fn<NonNullable<Sink<string, number>['current']>>(async () => [
      { status: 'pending', input: 'B, narrowed' },
      { status: 'fresh', input: 'C', value: 3 },
    ]);
    const refuse = (input: string) => (input === 'A' ? error : undefined);
    const { outcomes } = await plan(['A', 'B', 'C'], { sink: sinkOf({ refuse, current }), maxAgeMs: 5 });
    expect(outcomes).toEqual([
      { status: 'failed', input: 'A', stage: 'validate', error },
      pending('B, narrowed'),
      { status: 'fresh', input: 'C', value: 3 },
    ]);
    expect(current.mock.lastCall?.[0]).toEqual(['B', 'C']);
    expect(current.mock.lastCall?.[1].maxAgeMs).toBe(5);
  });

  it('fails only the input on which refuse throws', async () => {
    const refuse = (input: string) => {
      if (input === 'A') throw new TypeError('user');
      return undefined;
    };
    const { outcomes } = await plan(['A', 'B'], { sink: sinkOf({ refuse }) });
    expect(outcomes).toMatchObject([{ status: 'failed', stage: 'validate', error: { message: 'user' } }, pending('B')]);
  });

  it('does not ask about a batch of which every input is refused', async () => {
    const current = vi.fn<NonNullable<Sink<string, number>['current']>>();
    const refuse = () => new RequestError('symbol_too_long', 'no');
    await plan(['A'], { sink: sinkOf({ refuse, current }) });
    expect(current).not.toHaveBeenCalled();
  });

  it('fails the inputs of which the sink cannot say how they stand, and goes on', async () => {
    const error = new SinkError('database_unavailable', 'gone');
    const current: Sink<string, number>['current'] = async (inputs) => {
      if (inputs.includes('A')) throw error;
      return inputs.map((input) => ({ status: 'pending', input }));
    };
    const refuse = (input: string) => (input === 'X' ? new RequestError('symbol_too_long', 'X') : undefined);
    const batches = await lastValueFrom(
      from([['X', 'A'], ['B']]).pipe(planBatch({ sink: sinkOf({ current, refuse }), concurrency: 1 }), toArray()),
    );
    expect(batches.map(({ outcomes }) => outcomes)).toMatchObject([
      [
        { input: 'X', stage: 'validate' },
        { status: 'failed', input: 'A', stage: 'write', error },
      ],
      [pending('B')],
    ]);
  });

  it('fails the inputs when the sink answers another number of standings', async () => {
    const { outcomes } = await plan(['A', 'B'], { sink: sinkOf({ current: async () => [] }) });
    expect(outcomes).toMatchObject([
      { error: { code: 'internal' } },
      { error: { message: /0 standings for 2 inputs/ } },
    ]);
  });

  it('skips without asking once the signal is aborted', async () => {
    const current = vi.fn<NonNullable<Sink<string, number>['current']>>();
    const stored = vi.fn<Ledger<string, number>['stored']>();
    const sink = sinkOf({ current, ledger: ledgerOf(stored) });
    const { outcomes } = await plan(['A'], { sink, request: 'r', signal: AbortSignal.abort() });
    expect(outcomes).toEqual([{ status: 'skipped', input: 'A', reason: 'canceled' }]);
    expect(current).not.toHaveBeenCalled();
    expect(stored).not.toHaveBeenCalled();
  });

  it('calls it a deadline when a time limit aborted the signal', async () => {
    const signal = AbortSignal.abort(new PipelineError('timeout', 'no progress'));
    const { outcomes } = await plan(['A'], { sink: sinkOf(), signal });
    expect(outcomes).toEqual([{ status: 'skipped', input: 'A', reason: 'deadline' }]);
  });

  it('skips what the sink was being asked when the signal aborts', async () => {
    const controller = new AbortController();
    const current: Sink<string, number>['current'] = (_, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new SinkError('canceled', 'canceled'));
        });
      });
    const planned = plan(['A'], { sink: sinkOf({ current }), signal: controller.signal });
    controller.abort();
    expect((await planned).outcomes).toEqual([{ status: 'skipped', input: 'A', reason: 'canceled' }]);
  });
});

describe('planBatch with a ledger', () => {
  const written = { inserted: 1, updated: 0, unchanged: 0, transactions: 1 };
  const ok = { status: 'ok', input: 'A', value: 1 } as const;

  it('takes a stored batch whole, without what an earlier run measured', async () => {
    const stored = vi.fn(async () => ({
      index: 0,
      request: 'r',
      outcomes: [ok],
      written,
      calls: [{ provider: 'p', inputs: 1, credits: 1, durationMs: 1, result: 'ok' }],
      durations: { fetchMs: 1_000_000 },
    }));
    const current = vi.fn<NonNullable<Sink<string, number>['current']>>();
    const batch = await plan(['A'], { sink: sinkOf({ ledger: ledgerOf(stored), current }), request: 'r' });
    expect(batch).toEqual({
      index: 0,
      request: 'r',
      outcomes: [ok],
      written,
      durations: { planMs: expect.any(Number) as number },
    });
    expect(stored).toHaveBeenCalledWith('r', 0);
    expect(current).not.toHaveBeenCalled();
  });

  it('counts a stored batch as written also when the ledger has no counts of it', async () => {
    const ledger = ledgerOf(async () => ({ index: 0, outcomes: [ok] }));
    expect((await plan(['A'], { sink: sinkOf({ ledger }), request: 'r' })).written?.transactions).toBe(0);
  });

  it('leaves pending what the ledger answers as pending, and the batch to be written', async () => {
    const ledger = ledgerOf(async () => ({ index: 0, outcomes: [ok, { status: 'pending', input: 'B' }], written }));
    const batch = await plan(['A', 'B'], { sink: sinkOf({ ledger }), request: 'r' });
    expect(batch.outcomes).toEqual([ok, pending('B')]);
    expect(batch.written).toBeUndefined();
  });

  it('refuses a stored batch of another size, which would lose or repeat inputs', async () => {
    const ledger = ledgerOf(async () => ({ index: 0, outcomes: [ok], written }));
    const { outcomes } = await plan(['A', 'B'], { sink: sinkOf({ ledger }), request: 'r' });
    expect(outcomes).toMatchObject([
      { status: 'failed', stage: 'write', error: { code: 'request_conflict' } },
      { status: 'failed', input: 'B' },
    ]);
  });

  it('fails the inputs of a batch that the ledger cannot tell about', async () => {
    const error = new SinkError('database_unavailable', 'gone');
    const sink = sinkOf({ ledger: ledgerOf(() => Promise.reject(error)) });
    const { outcomes } = await plan(['A'], { sink, request: 'r' });
    expect(outcomes).toEqual([{ status: 'failed', input: 'A', stage: 'write', error }]);
  });

  it('does not ask the ledger without a request', async () => {
    const stored = vi.fn<Ledger<string, number>['stored']>();
    await plan(['A'], { sink: sinkOf({ ledger: ledgerOf(stored) }) });
    expect(stored).not.toHaveBeenCalled();
  });

  it('works with the sink in memory', async () => {
    const sink = memorySink<string, number>();
    await sink.write({ index: 1, request: 'r', outcomes: [ok] });
    const batches = await lastValueFrom(from([['B', 'A'], ['A']]).pipe(planBatch({ sink, request: 'r' }), toArray()));
    expect(batches.toSorted((one, other) => one.index - other.index).map(({ outcomes }) => outcomes)).toEqual([
      [pending('B'), { ...ok, status: 'fresh' }],
      [ok],
    ]);
  });
});
