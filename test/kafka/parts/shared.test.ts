import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SharedBench, symbolsOf, type SharedBenchOptions } from './SharedBench.ts';

const benches: SharedBench[] = [];

function open(options: SharedBenchOptions, workers: number): SharedBench {
  const bench = new SharedBench(options);
  benches.push(bench);
  for (let started = 0; started < workers; started++) bench.start();
  return bench;
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
  expect(vi.getTimerCount()).toBe(0);
});

/** What has to hold of a request of so many batches, whatever happened meanwhile. */
function expectDone(bench: SharedBench, batches: number): void {
  expect(bench.rows.size).toBe(batches);
  expect([...bench.rows.values()].every((rows) => rows === 1)).toBe(true);
  expect(bench.paidTwice).toEqual([]);
  const [completion, ...others] = bench.completions();
  expect(others).toEqual([]);
  expect(completion).toMatchObject({ status: 'complete', totalBatches: batches, failed: [], skipped: [] });
  const named = completion !== undefined && 'assets' in completion ? completion.assets : [];
  expect(named?.map(({ symbol }) => symbol)).toEqual(symbolsOf(batches * 2));
}

describe('a request that several workers share', () => {
  it('is done by all of them, each batch once, within the quota, with one completion, and one of them killed midway', async () => {
    const bench = open({ credits: 200, windowMs: 2_000, batchSize: 2 }, 3);
    await bench.pass(10);
    await bench.request(symbolsOf(2_000));
    await bench.until(() => bench.rows.size > 400, 60_000);
    expect(bench.told('request-accepted')).toMatchObject([{ batches: 1_000, isShared: true, storedBatches: 0 }]);
    const [, second] = bench.workers;
    bench.kill(second!);
    await bench.until(() => bench.completions().length > 0, 60_000);
    await bench.pass(10_000);
    expectDone(bench, 1_000);
    expect(bench.mostCredits()).toBeGreaterThan(190);
    // The owner told of each batch, whoever did it, and nobody else of any.
    expect(bench.workers.map(({ progress }) => progress.length)).toEqual([1_000, 0, 0]);
  }, 60_000);

  // issue 10, item 4
  it('has what was refused at its acceptance counted once, by all workers together', async () => {
    const bench = open({ credits: 200, windowMs: 2_000, batchSize: 2 }, 3);
    await bench.pass(10);
    await bench.request(symbolsOf(200), ['X', 'Y', 'Z']);
    await bench.until(() => bench.completions().length > 0, 60_000);
    await bench.pass(10_000);
    expect(bench.told('request-accepted')).toMatchObject([{ isShared: true }]);
    const [completion] = bench.completions();
    expect(completion).toMatchObject({ status: 'partial', totalBatches: 100 });
    expect(completion?.failed.map(({ symbol }) => symbol)).toEqual(['X', 'Y', 'Z']);
    const market = 'market-data';
    expect(await bench.counted('fintrack_symbols_total')).toEqual({
      ...{ [`${market} ok`]: 200, [`${market} fresh`]: 0, [`${market} failed`]: 3, [`${market} skipped`]: 0 },
    });
    expect(await bench.counted('fintrack_symbol_failures_total')).toEqual({
      [`${market} validate asset_type_unknown`]: 3,
    });
    expect(await bench.counted('fintrack_batches_total')).toEqual({ [market]: 100 });
  });

  it('has what was refused counted once, too, when its owner was killed', async () => {
    const bench = open({ credits: 200, windowMs: 2_000, batchSize: 2 }, 3);
    await bench.pass(10);
    await bench.request(symbolsOf(400), ['X', 'Y', 'Z']);
    await bench.until(() => bench.rows.size > 80, 60_000);
    bench.kill(bench.workers[0]!);
    await bench.until(() => bench.completions().length > 0, 60_000);
    await bench.pass(10_000);
    expect(bench.completions()).toMatchObject([{ status: 'partial' }]);
    expect(await bench.counted('fintrack_symbol_failures_total')).toEqual({
      'market-data validate asset_type_unknown': 3,
    });
  });

  it('goes on with another owner when its own is killed', async () => {
    const bench = open({ credits: 200, windowMs: 2_000, batchSize: 2 }, 3);
    await bench.pass(10);
    await bench.request(symbolsOf(400));
    await bench.until(() => bench.rows.size > 80, 60_000);
    const [owner] = bench.workers;
    bench.kill(owner!);
    await bench.until(() => bench.completions().length > 0, 60_000);
    await bench.pass(10_000);
    expectDone(bench, 200);
    const [, again] = bench.told('request-accepted');
    expect(again?.storedBatches).toBeGreaterThan(80);
    expect(bench.mostCredits()).toBeGreaterThan(190);
  });

  it('goes on while workers join and leave', async () => {
    const bench = open({ credits: 200, windowMs: 2_000, batchSize: 2 }, 1);
    await bench.pass(10);
    await bench.request(symbolsOf(600));
    for (const done of [50, 100, 150, 200]) {
      await bench.until(() => bench.rows.size > done, 60_000);
      const leaving = bench.workers.at(-1);
      bench.start();
      leaving?.stopping.abort();
      await bench.until(() => leaving?.isEnded === true, 60_000);
    }
    await bench.until(() => bench.completions().length > 0, 60_000);
    await bench.pass(10_000);
    expectDone(bench, 300);
  });

  it('is not shared when it is small', async () => {
    const bench = open({ credits: 200, windowMs: 2_000, batchSize: 2 }, 2);
    await bench.pass(10);
    await bench.request(symbolsOf(40));
    await bench.until(() => bench.completions().length > 0, 60_000);
    expectDone(bench, 20);
    expect(bench.broker.records('WORK')).toEqual([]);
    expect(bench.told('request-accepted')).toMatchObject([{ isShared: false }]);
  });

  it('holds up no market request while its own parts wait, in another lane or in the same', async () => {
    const bench = open({ credits: 20, windowMs: 10_000, batchSize: 2 }, 1);
    await bench.pass(10);
    await bench.requestHistory(symbolsOf(1_000, 'H'));
    await bench.pass(15_000);
    await bench.request(symbolsOf(3, 'A'));
    // Its credits come with the next window at the latest.
    await bench.until(() => bench.completions().length === 1, 11_000);
    await bench.request(symbolsOf(1_000));
    await bench.pass(15_000);
    await bench.request(symbolsOf(3, 'B'));
    await bench.until(() => bench.completions().length === 2, 21_000);
    expect(bench.completions('HISTORY_OUT')).toEqual([]);
    expect(bench.told('request-accepted')).toMatchObject([
      { isShared: true },
      { isShared: false },
      { isShared: true },
      { isShared: false },
    ]);
    bench.mostCredits();
  });
});
