import { describe, expect, it } from 'vitest';
import { memorySink } from '../../src/memory/memorySink.ts';
import { OptionsError, RequestError, SinkError } from '../../src/model/errors.ts';
import type { Outcome } from '../../src/model/outcome.ts';

const { signal } = new AbortController();
const ok = (input: string, value: number, receivedAtMs?: number): Outcome<string, number> => ({
  status: 'ok',
  input,
  value,
  receivedAtMs,
});
const skipped = (input: string): Outcome<string, number> => ({ status: 'skipped', input, reason: 'quota' });
const counts = (inserted: number, updated: number, unchanged: number, transactions = 1) => ({
  inserted,
  updated,
  unchanged,
  transactions,
});

describe('memorySink', () => {
  it('stores values and counts what is new, changed and the same', async () => {
    const sink = memorySink<string, number>();
    expect(await sink.write({ index: 0, outcomes: [ok('A', 1), ok('B', 1)] }, { signal })).toEqual({
      ...counts(2, 0, 0),
      failed: [],
    });
    const outcomes = [ok('A', 2), ok('B', 1), ok('C', 1), skipped('D')];
    expect(await sink.write({ index: 1, outcomes }, { signal })).toMatchObject(counts(1, 1, 1));
    expect([...sink.rows.values()]).toEqual([2, 1, 1]);
  });

  it('keeps one row for each key, and of several values the last', async () => {
    const sink = memorySink<string, number>({ key: (input) => input.toLowerCase() });
    expect(await sink.write({ index: 0, outcomes: [ok('A', 1), ok('a', 2)] }, { signal })).toMatchObject(
      counts(1, 0, 0),
    );
    expect(sink.rows).toEqual(new Map([['a', 2]]));
  });

  // Issue 10, item 1: what is told is what a reader finds.
  it('keeps a value that came later, and tells it wherever the key stands', async () => {
    const sink = memorySink<string, number>();
    const later = performance.now();
    await sink.write({ index: 0, outcomes: [ok('A', 2, later)] }, { signal });
    const outcomes = [ok('A', 1, later - 1), ok('B', 1, later), ok('B', 3, later)];
    for (const request of [undefined, 'r']) {
      const { stored, inserted, updated, unchanged } = await sink.write({ index: 0, request, outcomes }, { signal });
      expect(stored?.map((outcome) => (outcome as { value: number }).value)).toEqual([2, 3, 3]);
      expect([inserted, updated, unchanged]).toEqual(request === undefined ? [1, 0, 1] : [0, 0, 2]);
    }
    expect((await sink.ledger.stored('r', 0))?.outcomes).toMatchObject([{ value: 2 }, { value: 3 }, { value: 3 }]);
    expect([...sink.rows.values()]).toEqual([2, 3]);
  });

  it('tells what is fresh by age', async () => {
    let time = 1_000;
    const sink = memorySink<string, number>({ now: () => time });
    await sink.write({ index: 0, outcomes: [ok('A', 1)] }, { signal });
    time = 1_044;
    expect(await sink.current(['A', 'B'], { maxAgeMs: 45, signal })).toEqual([
      { status: 'fresh', input: 'A', value: 1 },
      { status: 'pending', input: 'B' },
    ]);
    time = 1_045;
    expect(await sink.current(['A'], { maxAgeMs: 45, signal })).toEqual([{ status: 'pending', input: 'A' }]);
  });

  it('counts the age from the response, and anew with each value', async () => {
    const sink = memorySink<string, number>({ now: () => 1_000_000 });
    await sink.write({ index: 0, outcomes: [ok('A', 1, performance.now() - 60_000)] }, { signal });
    expect(await sink.current(['A'], { maxAgeMs: 45_000, signal })).toMatchObject([{ status: 'pending' }]);
    await sink.write({ index: 1, outcomes: [ok('A', 1, performance.now())] }, { signal });
    expect(await sink.current(['A'], { maxAgeMs: 45_000, signal })).toMatchObject([{ status: 'fresh' }]);
  });

  it('refuses what it is told to refuse, and nothing otherwise', () => {
    const error = new RequestError('symbol_too_long', 'A');
    expect(memorySink<string, number>({ refuse: () => error }).refuse?.('A')).toBe(error);
    expect(memorySink<string, number>().refuse).toBeUndefined();
  });

  it('stores nothing once aborted', async () => {
    const sink = memorySink<string, number>();
    const aborted = { signal: AbortSignal.abort() };
    await expect(sink.write({ index: 0, outcomes: [ok('A', 1)] }, aborted)).rejects.toThrow(SinkError);
    await expect(sink.current(['A'], { maxAgeMs: 1, ...aborted })).rejects.toMatchObject({ code: 'canceled' });
    expect(sink.rows.size).toBe(0);
  });

  it('names what is wrong with its options', () => {
    expect(() => memorySink({ key: 'symbol' as never })).toThrow(OptionsError);
  });
});

describe('memorySink, its ledger', () => {
  const batch = { index: 0, request: 'r' };

  it('remembers every outcome of a batch', async () => {
    const sink = memorySink<string, number>();
    const outcomes = [ok('A', 1), { status: 'fresh', input: 'B', value: 2 } as const];
    await sink.write({ ...batch, outcomes }, { signal });
    expect(await sink.ledger.stored('r', 0)).toEqual({ ...batch, outcomes, written: counts(1, 0, 0) });
  });

  it('answers a batch that it has as it was stored, and writes nothing', async () => {
    const sink = memorySink<string, number>();
    await sink.write({ ...batch, outcomes: [ok('A', 1)] }, { signal });
    const again = await sink.write({ ...batch, outcomes: [ok('A', 9)] }, { signal });
    expect(again).toEqual({ ...counts(1, 0, 0), failed: [], stored: [ok('A', 1)] });
    expect([...sink.rows.values()]).toEqual([1]);
  });

  it('takes over only what was skipped before, and adds up the counts', async () => {
    const sink = memorySink<string, number>();
    await sink.write({ ...batch, outcomes: [ok('A', 1), skipped('B')] }, { signal });
    const again = await sink.write({ ...batch, outcomes: [ok('A', 9), ok('B', 2)] }, { signal });
    expect(again).toEqual({ ...counts(2, 0, 0, 2), failed: [], stored: [ok('A', 1), ok('B', 2)] });
    expect([...sink.rows.values()]).toEqual([1, 2]);
  });

  it('refuses a batch of another size than it has', async () => {
    const sink = memorySink<string, number>();
    await sink.write({ ...batch, outcomes: [ok('A', 1)] }, { signal });
    const other = sink.write({ ...batch, outcomes: [ok('A', 1), ok('B', 1)] }, { signal });
    await expect(other).rejects.toMatchObject({ code: 'request_conflict' });
    expect(sink.rows.size).toBe(1);
  });

  it('has no batch of a run without a request', async () => {
    const sink = memorySink<string, number>();
    await sink.write({ index: 0, outcomes: [ok('A', 1)] }, { signal });
    expect(sink.ledger.read('r', 0)).toBeUndefined();
  });
});
