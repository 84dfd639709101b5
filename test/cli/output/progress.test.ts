import { beforeEach, describe, expect, it, vi } from 'vitest';
import { duration } from '../../../src/cli/output/duration.ts';
import { showProgress } from '../../../src/cli/output/progress.ts';
import { RunTally } from '../../../src/cli/output/runTally.ts';
import type { RunEvent } from '../../../src/index.ts';

const start = '2026-11-24T12:29:30Z';

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(start) });
});

/** As if a credit a second were granted. */
const aSecondEach = (credits: number): Date => new Date(Date.now() + credits * 1_000);

function open(isLive: boolean, forecast?: (credits: number) => Date | undefined) {
  const logs: string[] = [];
  const live: string[] = [];
  const writer = {
    isLive,
    result: () => {},
    log: (line: string) => void logs.push(line),
    live: (line: string) => void live.push(line),
  };
  return { progress: showProgress({ name: 'market-data', total: 250, writer, forecast }), logs, live };
}

const started = (batch: number, inputs = 100): RunEvent => ({ type: 'batch-started', batch, inputs });
const done = (batch: number, counts: object): RunEvent => ({
  type: 'batch-done',
  batch,
  counts: { ok: 0, fresh: 0, failed: 0, skipped: 0, ...counts },
  written: { inserted: 0, updated: 0, unchanged: 0, transactions: 1 },
  processingTimeMs: 1234,
});
const waiting = (until: string, options: object = {}): RunEvent => ({
  type: 'waiting',
  batch: 0,
  until: new Date(until),
  credits: 8,
  pending: 100,
  ...options,
});
const call = (options: object = {}): RunEvent => ({
  type: 'provider-call',
  batch: 0,
  call: { provider: 'twelve-data', inputs: 8, credits: 8, durationMs: 20, result: 'ok', ...options },
});

describe('showProgress where there is no terminal', () => {
  it('logs a line per batch', () => {
    const { progress, logs, live } = open(false);
    progress.next(started(0));
    progress.next(call());
    progress.next(done(0, { ok: 97, fresh: 1, failed: 2 }));
    progress.next(done(2, { ok: 50 }));
    progress.end();
    expect(logs).toEqual([
      'market-data: batch 1: 97 ok, 1 fresh, 2 failed in 1.2 s; 100 of 250 symbols done',
      'market-data: batch 3: 50 ok in 1.2 s; 150 of 250 symbols done',
    ]);
    expect(live).toEqual([]);
  });

  it('says of a wait how long it is, how far the run is and when it will be done, with the call that was on its way', () => {
    const { progress, logs } = open(false, aSecondEach);
    progress.next(started(0));
    progress.next(waiting('2026-11-24T12:30:30Z'));
    progress.next(call());
    vi.advanceTimersByTime(1_000);
    expect(logs).toEqual(['market-data: waiting for 8 credits until 12:30:30 UTC, 8/250 done, done at 12:33:33 UTC']);
  });

  it('tells of no wait that is short, and of others twice a minute at most', () => {
    const { progress, logs } = open(false);
    progress.next(started(0));
    for (let second = 0; second < 90; second += 2) {
      const until = new Date(Date.now() + 2_000).toISOString();
      progress.next(waiting(until, { credits: 1 }));
      vi.advanceTimersByTime(2_000);
    }
    progress.next(waiting(new Date(Date.now() + 900).toISOString()));
    vi.advanceTimersByTime(1_000);
    expect(logs.map((line) => line.slice(0, 57))).toEqual([
      'market-data: waiting for 1 credit until 12:29:32 UTC, 0/2',
      'market-data: waiting for 1 credit until 12:30:02 UTC, 0/2',
      'market-data: waiting for 1 credit until 12:30:32 UTC, 0/2',
    ]);
  });

  it('leaves no timer behind', () => {
    const { progress, logs } = open(false);
    progress.next(started(0));
    progress.next(waiting('2026-11-24T12:30:30Z'));
    progress.end();
    expect(vi.getTimerCount()).toBe(0);
    expect(logs).toEqual([]);
  });
});

describe('showProgress on a terminal', () => {
  it('keeps one live line that fits, and takes it away at the end', () => {
    const { progress, logs, live } = open(true, aSecondEach);
    progress.next(started(0));
    progress.next(call());
    progress.next(waiting('2026-11-24T12:30:30Z', { pending: 92 }));
    progress.next(call());
    vi.advanceTimersByTime(60_000);
    progress.next(done(0, { ok: 98, failed: 2 }));
    progress.end();
    expect(live).toEqual([
      'market-data: 0/250 done (0 ok)',
      'market-data: 8/250 done (0 ok)',
      'waiting for 8 credits until 12:30:30 UTC, 8/250 done, done at 12:33:32 UTC',
      'waiting for 8 credits until 12:30:30 UTC, 16/250 done, done at 12:33:24 UTC',
      'market-data: 100/250 done (98 ok, 2 failed)',
      '',
    ]);
    expect(logs).toEqual([]);
    for (const line of live) expect(line.length).toBeLessThan(80);
  });

  it('shows the wait that ends first, and the date of a day to come', () => {
    const { progress, live } = open(true, () => new Date('2026-11-25T00:12:24Z'));
    progress.next(started(0));
    progress.next(started(1));
    progress.next(waiting('2026-11-24T12:30:30Z'));
    progress.next(waiting('2026-11-24T12:31:30Z', { batch: 1, credits: undefined }));
    progress.next(done(0, { ok: 100 }));
    expect(live.slice(-2)).toEqual([
      'waiting for 8 credits until 12:30:30 UTC, 0/250 done, done at 2026-11-25 00:12 UTC',
      'waiting for credits until 12:31:30 UTC, 100/250 done, done at 2026-11-25 00:12 UTC',
    ]);
  });
});

describe('RunTally', () => {
  it('expects the rest to cost what the calls so far did', () => {
    const tally = new RunTally(250);
    expect(tally.creditsLeft).toBe(250);
    tally.add(started(0));
    tally.add(call({ inputs: 50, credits: 1 }));
    expect([tally.done, tally.creditsLeft]).toEqual([50, 4]);
  });

  it('counts what a wait finds fresh, and no call that failed', () => {
    const tally = new RunTally(250);
    tally.add(started(0));
    tally.add(waiting(start, { pending: 70 }));
    tally.add(call({ result: 'timeout' }));
    expect(tally.done).toBe(30);
    tally.add(done(0, { ok: 70, fresh: 30 }));
    expect(tally.done).toBe(100);
  });
});

describe('duration', () => {
  it.each([
    [0, '0 ms'],
    [349.6, '350 ms'],
    [4210, '4.2 s'],
    [59_999, '60.0 s'],
    [725_000, '12 min 5 s'],
  ])('says %s ms as %s', (milliseconds, text) => {
    expect(duration(milliseconds)).toBe(text);
  });
});
