import { firstValueFrom, from, lastValueFrom, of, Subject, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import type { Batch } from '../../src/model/batch.ts';
import { OptionsError, PipelineError, SinkError } from '../../src/model/errors.ts';
import type { Outcome } from '../../src/model/outcome.ts';
import type { Sink, WriteResult } from '../../src/model/ports.ts';
import type { RunEvent } from '../../src/model/runEvents.ts';
import { writeTo } from '../../src/operators/writeTo.ts';
import { deferred } from '../support/deferred.ts';
import { marbles } from './marbles.ts';

type Write = Sink<string, number>['write'];

const sinkOf = (write: Write): Sink<string, number> => ({ name: 'test', write });
const resultOf = (parts: Partial<WriteResult<string, number>> = {}): WriteResult<string, number> => ({
  inserted: 1,
  updated: 0,
  unchanged: 0,
  failed: [],
  ...parts,
});
const storing = () => vi.fn<Write>(async () => resultOf());

const ok = (input: string): Outcome<string, number> => ({ status: 'ok', input, value: 1 });
const skipped = (input: string, reason: 'canceled' | 'quota'): Outcome<string, number> => ({
  status: 'skipped',
  input,
  reason,
});
const fresh: Outcome<string, number> = { status: 'fresh', input: 'F', value: 1 };
const nothing = { inserted: 0, updated: 0, unchanged: 0, transactions: 0 };

const writeOne = (batch: Batch<string, number>, write: Write) =>
  firstValueFrom(of(batch).pipe(writeTo({ sink: sinkOf(write) })));

describe('writeTo, the stream', () => {
  it('completes with an empty source', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  --|';
      const expected = '--|';
      expectObservable(cold<Batch<string, number>>(source).pipe(writeTo({ sink: sinkOf(storing()) }))).toBe(expected);
    });
  });

  it('waits with a source that never emits', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  ---';
      const expected = '---';
      expectObservable(cold<Batch<string, number>>(source).pipe(writeTo({ sink: sinkOf(storing()) }))).toBe(expected);
    });
  });

  it('passes on an error of the source', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  --#';
      const expected = '--#';
      expectObservable(cold<Batch<string, number>>(source).pipe(writeTo({ sink: sinkOf(storing()) }))).toBe(expected);
    });
  });

  it('unsubscribes its source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold<Batch<string, number>>('-----|');
      const stop = '                              ---!';
      expectObservable(source.pipe(writeTo({ sink: sinkOf(storing()) })), stop).toBe('----');
      expectSubscriptions(source.subscriptions).toBe('^--!');
    });
  });

  it('writes at most two batches at once unless told otherwise, and all of them', async () => {
    const writes = Array.from({ length: 5 }, () => deferred());
    let running = 0;
    let most = 0;
    const write: Write = async ({ index }) => {
      most = Math.max(most, ++running);
      await writes[index]!.promise;
      running -= 1;
      return resultOf();
    };
    const batches = writes.map((_, index) => ({ index, outcomes: [ok('A')] }));
    const done = lastValueFrom(from(batches).pipe(writeTo({ sink: sinkOf(write) }), toArray()));
    writes.toReversed().forEach(({ resolve }) => {
      resolve();
    });
    expect((await done).map(({ index }) => index).toSorted()).toEqual([0, 1, 2, 3, 4]);
    expect(most).toBe(2);
  });

  it('aborts a write when unsubscribed, and reports no batch as done', () => {
    let seen: AbortSignal | undefined;
    const events = { next: vi.fn() };
    const write: Write = (_, { signal }) => {
      seen = signal;
      return new Promise(() => undefined);
    };
    of({ index: 0, outcomes: [ok('A')] })
      .pipe(writeTo({ sink: sinkOf(write), events }))
      .subscribe()
      .unsubscribe();
    expect(seen?.aborted).toBe(true);
    expect(events.next).not.toHaveBeenCalled();
  });

  it('errors when inputs were never fetched, and names the missing stage', async () => {
    const batch: Batch<string, number> = { index: 3, outcomes: [ok('A'), { status: 'pending', input: 'B' }] };
    const written = writeOne(batch, storing());
    await expect(written).rejects.toThrow(OptionsError);
    await expect(written).rejects.toThrow('batch 3 has 1 pending inputs: put throttledFetch before writeTo');
  });

  it('names what is wrong with its options', () => {
    expect(() => writeTo({ sink: {} as Sink<string, number> })).toThrow('writeTo: sink: expected a sink');
  });
});

describe('writeTo, what becomes of a batch', () => {
  it('says what was written, and how long that took', async () => {
    const write = storing();
    const batch = await writeOne({ index: 0, outcomes: [ok('A')], durations: { fetchMs: 5 } }, write);
    expect(batch).toEqual({
      index: 0,
      outcomes: [ok('A')],
      written: { inserted: 1, updated: 0, unchanged: 0, transactions: 1 },
      durations: { fetchMs: 5, writeMs: expect.any(Number) as number },
    });
  });

  it('takes the number of transactions from the sink, if it gives one', async () => {
    const batch = await writeOne({ index: 0, outcomes: [ok('A')] }, async () => resultOf({ transactions: 3 }));
    expect(batch.written?.transactions).toBe(3);
  });

  it('fails exactly the rows that the sink could not store', async () => {
    const error = new PipelineError('row_rejected', 'B');
    const outcomes = [ok('A'), ok('B'), fresh];
    const batch = await writeOne({ index: 0, outcomes }, async () => resultOf({ failed: [{ index: 1, error }] }));
    expect(batch.outcomes).toEqual([ok('A'), { status: 'failed', input: 'B', stage: 'write', error }, fresh]);
  });

  it('fails all values of a write that is rejected, leaves the rest, and goes on', async () => {
    const error = new SinkError('database_unavailable', 'gone');
    const write: Write = async ({ index }) => {
      if (index === 0) throw error;
      return resultOf();
    };
    const batches = [
      { index: 0, outcomes: [ok('A'), fresh, skipped('S', 'quota')] },
      { index: 1, outcomes: [ok('B')] },
    ];
    const done = await lastValueFrom(from(batches).pipe(writeTo({ sink: sinkOf(write), concurrency: 1 }), toArray()));
    expect(done[0]?.outcomes).toEqual([
      { status: 'failed', input: 'A', stage: 'write', error },
      fresh,
      skipped('S', 'quota'),
    ]);
    expect(done[0]?.written).toEqual(nothing);
    expect(done[1]?.outcomes).toEqual([ok('B')]);
  });

  it('takes over the outcomes that the ledger has', async () => {
    const stored = [ok('A'), skipped('B', 'quota')];
    const batch = await writeOne({ index: 0, request: 'r', outcomes: [ok('A'), ok('B')] }, async () =>
      resultOf({ stored }),
    );
    expect(batch.outcomes).toEqual(stored);
  });

  it.each([
    ['a failure of an outcome that was not to be written', { failed: [{ index: 1, error: new Error() as never }] }],
    ['a failure of an outcome that is not there', { failed: [{ index: 7, error: new Error() as never }] }],
    ['another number of stored outcomes', { stored: [] }],
  ])('believes no value to be stored when the sink answers %s', async (_, answer) => {
    const batch = await writeOne({ index: 0, outcomes: [ok('A'), fresh] }, async () => resultOf(answer));
    expect(batch.outcomes).toMatchObject([{ status: 'failed', stage: 'write', error: { code: 'internal' } }, fresh]);
  });

  it('does not write again what came whole from the ledger', async () => {
    const write = storing();
    const written = { inserted: 9, updated: 0, unchanged: 0, transactions: 1 };
    const batch = { index: 0, request: 'r', outcomes: [ok('A')], written };
    expect(await writeOne(batch, write)).toBe(batch);
    expect(write).not.toHaveBeenCalled();
  });

  it.each<[string, Batch<string, number>, boolean]>([
    ['without a request and a value', { index: 0, outcomes: [fresh, skipped('S', 'quota')] }, false],
    ['of a request, canceled as a whole', { index: 0, request: 'r', outcomes: [skipped('S', 'canceled')] }, false],
    ['of a request, without inputs', { index: 0, request: 'r', outcomes: [] }, false],
    ['of a request, ended by the quota', { index: 0, request: 'r', outcomes: [skipped('S', 'quota')] }, true],
    ['of a request, all fresh', { index: 0, request: 'r', outcomes: [fresh] }, true],
    ['of a request, canceled in part', { index: 0, request: 'r', outcomes: [ok('A'), skipped('S', 'canceled')] }, true],
  ])('decides on a batch %s', async (_, batch, isWritten) => {
    const write = storing();
    const done = await writeOne(batch, write);
    expect(write).toHaveBeenCalledTimes(isWritten ? 1 : 0);
    expect(done.written?.transactions).toBe(isWritten ? 1 : 0);
  });

  it('reports each batch as done before it passes it on', async () => {
    const events = new Subject<RunEvent>();
    const seen: unknown[] = [];
    events.subscribe((event) => seen.push(event));
    await lastValueFrom(
      of({ index: 2, request: 'r', outcomes: [ok('A')], durations: { planMs: 1, fetchMs: 2 } }).pipe(
        writeTo({ sink: sinkOf(storing()), events }),
      ),
    );
    expect(seen).toEqual([
      {
        type: 'batch-done',
        request: 'r',
        batch: 2,
        counts: { ok: 1, fresh: 0, failed: 0, skipped: 0 },
        written: { inserted: 1, updated: 0, unchanged: 0, transactions: 1 },
        processingTimeMs: expect.any(Number) as number,
      },
    ]);
  });
});
