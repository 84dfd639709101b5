import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { firstValueFrom, from, map, Subject, type Observable } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import type { Batch } from '../../src/model/batch.ts';
import { OptionsError, PipelineError } from '../../src/model/errors.ts';
import type { Outcome } from '../../src/model/outcome.ts';
import type { Summary } from '../../src/model/summary.ts';
import { summarize } from '../../src/operators/summarize.ts';
import { marbles } from './marbles.ts';

const ok = (input: string): Outcome<string, number> => ({ status: 'ok', input, value: 1 });
const failed = (input: string): Outcome<string, number> => ({
  status: 'failed',
  input,
  stage: 'fetch',
  error: new PipelineError('symbol_unknown', input),
});
const timed = (fetchMs: number, index: number): Batch<string, number> => ({
  index,
  outcomes: [ok('A')],
  durations: { planMs: 1, fetchMs, writeMs: 1 },
});

const summaryOf = (source: Observable<Batch<string, number>>, now?: () => number): Promise<Summary<string, number>> =>
  firstValueFrom(source.pipe(summarize({ now })));

/** Summaries shortened to what their marbles say: the number of their outcomes. */
const sizeOf = map(({ outcomes }: Summary<string, number>) => String(outcomes.length));

describe('summarize, the stream', () => {
  const batches = { a: { index: 0, outcomes: [ok('A')] }, b: { index: 1, outcomes: [ok('B'), failed('C')] } };

  it.each([
    ['an empty source', '          --|', '   --(0|)'],
    ['one batch', '                -a-|', '  ---(1|)'],
    ['many batches', '             -a-b--|', '------(3|)'],
    ['a source that never ends', ' -a-b--', ' ------'],
    ['an error of the source', '   -a-b--#', '------#'],
  ])('emits one summary when the source completes: %s', (_, source, expected) => {
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold<Batch<string, number>>(source.trim(), batches).pipe(summarize(), sizeOf)).toBe(
        expected.trim(),
      );
    });
  });

  it('passes on what a function of the user throws', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  -a-|';
      const expected = '-#';
      const now = () => {
        throw new Error('user');
      };
      expectObservable(cold<Batch<string, number>>(source, batches).pipe(summarize({ now }), sizeOf)).toBe(
        expected,
        undefined,
        new Error('user'),
      );
    });
  });

  it('unsubscribes its source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold<Batch<string, number>>('-a-b-|', batches);
      const stop = '                              --!';
      expectObservable(source.pipe(summarize(), sizeOf), stop).toBe('---');
      expectSubscriptions(source.subscriptions).toBe('^-!');
    });
  });

  it('begins anew for each subscription', async () => {
    const summaries = from([{ index: 0, outcomes: [ok('A')] }]).pipe(summarize<string, number>());
    expect((await firstValueFrom(summaries)).outcomes).toHaveLength(1);
    expect((await firstValueFrom(summaries)).outcomes).toHaveLength(1);
  });

  it('names what is wrong with its options', () => {
    expect(() => summarize({ now: 5 as never })).toThrow(OptionsError);
  });
});

describe('summarize, the summary', () => {
  it('is all zeros for an empty source', async () => {
    expect(await summaryOf(from([]), () => 7)).toEqual({
      outcomes: [],
      counts: { ok: 0, fresh: 0, failed: 0, skipped: 0 },
      batches: [],
      written: { inserted: 0, updated: 0, unchanged: 0, transactions: 0 },
      batchTimeMs: { min: 0, median: 0, p95: 0, max: 0 },
      totalTimeMs: expect.any(Number) as number,
      recordsPerSecond: 0,
      failures: [],
      finishedAt: new Date(7),
    });
  });

  it('puts outcomes and failures in the order of the batches, however they arrive', async () => {
    const first = { index: 0, outcomes: [failed('A'), ok('B')] };
    const second = { index: 1, outcomes: [ok('C'), failed('D')] };
    const summary = await summaryOf(from([second, first]));
    expect(summary.outcomes.map(({ input }) => input)).toEqual(['A', 'B', 'C', 'D']);
    expect(summary.failures).toMatchObject([
      { input: 'A', batch: 0, stage: 'fetch', error: { code: 'symbol_unknown' } },
      { input: 'D', batch: 1 },
    ]);
    expect(summary.batches.map(({ index }) => index)).toEqual([0, 1]);
  });

  it('counts outcomes, rows and the rate of failures per batch', async () => {
    const written = { inserted: 1, updated: 2, unchanged: 3, transactions: 1 };
    const summary = await summaryOf(
      from([
        { index: 0, outcomes: [ok('A'), failed('B'), failed('C'), { status: 'fresh', input: 'D', value: 1 }], written },
        { index: 1, outcomes: [{ status: 'skipped', input: 'E', reason: 'quota' }], written },
        { index: 2, outcomes: [] },
      ] satisfies Batch<string, number>[]),
    );
    expect(summary.counts).toEqual({ ok: 1, fresh: 1, failed: 2, skipped: 1 });
    expect(summary.written).toEqual({ inserted: 2, updated: 4, unchanged: 6, transactions: 2 });
    expect(summary.batches.map(({ errorRate }) => errorRate)).toEqual([0.5, 0, 0]);
  });

  it('takes a pending input, of which nothing became, as canceled', async () => {
    const batch: Batch<string, number> = { index: 0, outcomes: [{ status: 'pending', input: 'A' }] };
    const { outcomes, counts } = await summaryOf(from([batch]));
    expect(outcomes).toEqual([{ status: 'skipped', input: 'A', reason: 'canceled' }]);
    expect(counts.skipped).toBe(1);
  });

  it('spreads the processing times by nearest rank', async () => {
    const times = Array.from({ length: 100 }, (_, index) => index);
    const { batchTimeMs } = await summaryOf(from(times.toReversed().map(timed)));
    expect(batchTimeMs).toEqual({ min: 2, median: 51, p95: 96, max: 101 });
    expect((await summaryOf(from([timed(8, 0)]))).batchTimeMs).toEqual({ min: 10, median: 10, p95: 10, max: 10 });
    expect((await summaryOf(from([3, 1, 2].map(timed)))).batchTimeMs).toEqual({ min: 3, median: 4, p95: 5, max: 5 });
  });

  it('keeps the outcomes of a batch, not the batch', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const batches = new Subject<Batch<string, number>>();
    const summary = summaryOf(batches);
    const emitWeakly = (): WeakRef<object> => {
      const calls = [{ provider: 'p', inputs: 1, credits: 1, durationMs: 1, result: 'ok' }];
      batches.next({ index: 0, outcomes: [ok('A')], calls });
      return new WeakRef(calls);
    };
    const calls = emitWeakly();
    await setImmediate();
    collectGarbage();
    expect(calls.deref()).toBeUndefined();
    batches.complete();
    expect((await summary).outcomes).toEqual([ok('A')]);
  });

  it('measures from the subscription to the last batch, not to the end', async () => {
    vi.useFakeTimers({ now: 1_000 });
    const source = from(
      (async function* (): AsyncGenerator<Batch<string, number>> {
        await vi.advanceTimersByTimeAsync(2_000);
        yield { index: 0, outcomes: [ok('A'), ok('B'), failed('C')] };
        await vi.advanceTimersByTimeAsync(500);
      })(),
    );
    const summary = await summaryOf(source);
    expect(summary.totalTimeMs).toBe(2_000);
    expect(summary.recordsPerSecond).toBe(1);
    expect(summary.finishedAt).toEqual(new Date(3_000));
  });
});
