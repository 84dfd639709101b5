import { describe, expect, it, vi } from 'vitest';
import { duration } from '../../../src/cli/output/duration.ts';
import { showProgress } from '../../../src/cli/output/progress.ts';
import type { RunEvent } from '../../../src/index.ts';

function open(isLive: boolean) {
  const logs: string[] = [];
  const live: string[] = [];
  const writer = {
    isLive,
    result: () => {},
    log: (line: string) => void logs.push(line),
    live: (line: string) => void live.push(line),
  };
  return { progress: showProgress('market-data', 250, writer), logs, live };
}

const done = (batch: number, counts: object): RunEvent => ({
  type: 'batch-done',
  batch,
  counts: { ok: 0, fresh: 0, failed: 0, skipped: 0, ...counts },
  written: { inserted: 0, updated: 0, unchanged: 0, transactions: 1 },
  processingTimeMs: 1234,
});
const waiting = (until: string): RunEvent => ({
  type: 'waiting',
  batch: 0,
  until: new Date(until),
  credits: 8,
  pending: 92,
});
const call: RunEvent = {
  type: 'provider-call',
  batch: 0,
  call: { provider: 'twelve-data', inputs: 8, credits: 8, durationMs: 20, result: 'ok' },
};

describe('showProgress', () => {
  it('logs a line per batch and per wait where there is no terminal', () => {
    const { progress, logs, live } = open(false);

    progress.next({ type: 'batch-started', batch: 0, inputs: 100 });
    progress.next(call);
    progress.next(waiting('2026-11-24T12:30:05Z'));
    progress.next(waiting('2026-11-24T12:30:05Z'));
    progress.next(waiting('2026-11-24T12:31:05Z'));
    progress.next(done(0, { ok: 97, fresh: 1, failed: 2 }));
    progress.next(done(2, { ok: 50 }));
    progress.end();

    expect(logs).toEqual([
      'market-data: waiting for credits until 12:30:05 UTC',
      'market-data: waiting for credits until 12:31:05 UTC',
      'market-data: batch 1: 97 ok, 1 fresh, 2 failed in 1.2 s; 100 of 250 symbols done',
      'market-data: batch 3: 50 ok in 1.2 s; 150 of 250 symbols done',
    ]);
    expect(live).toEqual([]);
  });

  it('keeps one live line on a terminal, and takes it away at the end', () => {
    vi.useFakeTimers({ now: new Date('2026-11-24T12:29:30Z') });
    const { progress, logs, live } = open(true);

    progress.next(call);
    progress.next(call);
    progress.next(waiting('2026-11-24T12:30:05Z'));
    progress.next(call);
    vi.advanceTimersByTime(60_000);
    progress.next(done(0, { ok: 98, failed: 2 }));
    progress.end();

    expect(live).toEqual([
      'market-data: 0 of 250 symbols done (0 ok), 8 asked for in 1 call',
      'market-data: 0 of 250 symbols done (0 ok), 16 asked for in 2 calls',
      'market-data: 0 of 250 symbols done (0 ok), 16 asked for in 2 calls, waiting for credits until 12:30:05 UTC',
      'market-data: 0 of 250 symbols done (0 ok), 24 asked for in 3 calls, waiting for credits until 12:30:05 UTC',
      'market-data: 100 of 250 symbols done (98 ok, 2 failed), 24 asked for in 3 calls',
      '',
    ]);
    expect(logs).toEqual([]);
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
