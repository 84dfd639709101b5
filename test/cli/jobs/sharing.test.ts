import { beforeEach, describe, expect, it, vi } from 'vitest';
import { monthlyFetchers, quoteFetchers } from '../../../src/cli/jobs/fetchers.ts';
import { patientLimiter } from '../../../src/cli/jobs/patientLimiter.ts';
import { SharedLimiters } from '../../../src/cli/jobs/SharedLimiters.ts';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { PipelineError, SinkError } from '../../../src/model/errors.ts';
import type { Limiter } from '../../../src/model/ports.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 24) });
});

describe('the limiters of a worker', () => {
  const lanes = ['market', 'historical'];

  it('are one for each key, whatever the pipelines, with a reserve for the higher lane', async () => {
    vi.useRealTimers();
    const wrap = vi.fn((limiter: Limiter) => limiter);
    await using limiters = new SharedLimiters({ lanesOf: () => lanes, wrap });
    const sharing = { limiters, patience: {} };
    const open = (key: string) => {
      const variables = { TWELVE_DATA_API_KEY: key };
      const quotes = quoteFetchers['twelve-data']?.(variables)(undefined, sharing).fetcher;
      const months = monthlyFetchers['twelve-data']?.(variables)(undefined, sharing).fetcher;
      return [quotes?.estimate?.([], { lane: 'market' }), months?.estimate?.([], { lane: 'historical' })];
    };

    expect(open('key').map((estimate) => estimate?.windows[0]?.credits)).toEqual([8, 6]);
    expect(wrap).toHaveBeenCalledTimes(1);
    open('another-key');
    expect(wrap).toHaveBeenCalledTimes(2);
  });

  it('are stopped together', async () => {
    const stopped: string[] = [];
    const stoppable = (name: string) => {
      const limiter = creditLimiter({ credits: 1 });
      vi.spyOn(limiter, 'stop').mockImplementation(() => Promise.resolve(void stopped.push(name)));
      return limiter;
    };
    const limiters = new SharedLimiters({ lanesOf: () => [] });
    for (const apiKey of ['a', 'b', 'a']) limiters.of({ provider: 'p', apiKey }, () => stoppable(apiKey));
    await limiters[Symbol.asyncDispose]();

    expect(stopped).toEqual(['a', 'b']);
  });
});

const caused = (code: string): Error => Object.assign(new Error(code), { code });

describe('a patient limiter', () => {
  const away = new SinkError('database_unavailable', 'no connection', { retryable: true });
  const want = { credits: 1 };

  /** Fails so often before it grants anything. */
  const flaky = (failures: number, error: PipelineError = away): Limiter => ({
    run: (_, task) =>
      failures-- > 0 ? Promise.reject(error) : task({ credits: 1, release: () => undefined, report: () => undefined }),
    forecast: () => new Date(0),
  });

  const follow = (
    limiter: Limiter,
    task: () => Promise<string>,
    signal = new AbortController().signal,
    probe?: () => Promise<void>,
  ) => {
    const events: string[] = [];
    const patient = patientLimiter(limiter, {
      onAway: ({ code, message }) => events.push(code === 'database_unavailable' ? message : code),
      onGrant: () => events.push('granted'),
      probe,
    });
    const settled = patient.run(want, task, { signal }).catch((error: unknown) => error);
    return { events, settled };
  };

  it('asks again until whoever counts the credits is back', async () => {
    const { events, settled } = follow(flaky(20), () => Promise.resolve('done'));
    await vi.advanceTimersByTimeAsync(100_000);

    expect(await settled).toBe('done');
    expect(events).toEqual([...Array.from({ length: 20 }, () => 'no connection'), 'granted']);
  });

  // Issue 10, item 7: a table that is missing, such as after an update, failed what was to be fetched.
  it('waits for what the deployment lacks, with pauses that grow to a minute', async () => {
    const missing = new SinkError('database_not_ready', 'there is no such table');
    const { events, settled } = follow(flaky(12, missing), () => Promise.resolve('done'));
    // 0.25, 0.5, 1, 2, 4, 8, 16, 32 s, and four times a minute.
    await vi.advanceTimersByTimeAsync(303_000);
    expect(events).toHaveLength(12);
    await vi.advanceTimersByTimeAsync(1_000);

    expect(await settled).toBe('done');
    expect(events).toEqual([...Array.from({ length: 12 }, () => 'database_not_ready'), 'granted']);
  });

  // Issue 10, item 7.
  it('asks the probe whether the database is away, busy, or refuses the statement', async () => {
    const refused = new SinkError('database_error', 'XX000');
    const signal = new AbortController().signal;
    const done = (): Promise<string> => Promise.resolve('done');
    const there = (): Promise<void> => Promise.resolve();
    const silent = (): Promise<void> => new Promise(() => undefined);
    const busy = follow(flaky(1), done, signal, there);
    const gone = follow(flaky(1), done, signal, silent);
    const passing = follow(flaky(1, refused), done, signal, () => Promise.reject(new Error('no answer')));
    const passed = follow(flaky(3, refused), done, signal, there);
    const twice = follow(flaky(2, refused), done, signal, there);
    const locked = follow(flaky(1), done, signal, () => Promise.reject(caused('55P03')));
    await vi.advanceTimersByTimeAsync(20_000);

    expect([busy.events, gone.events, passing.events, passed.events, twice.events, locked.events]).toEqual([
      ['database_busy', 'granted'],
      ['no connection', 'granted'],
      ['XX000', 'granted'],
      ['database_busy', 'database_busy'],
      ['database_busy', 'database_busy', 'granted'],
      ['database_busy', 'granted'],
    ]);
    expect(await passed.settled).toBe(refused);
    expect(vi.getTimerCount()).toBe(0);
  });

  // Issue 10, item 7: the call failed, or the log called the database away.
  it.each([
    ['a statement over its time', new SinkError('database_error', 'slow', { cause: caused('57014') })],
    ['a store that is slow', new PipelineError('timeout', 'no answer within 10000 ms', { retryable: true })],
  ])('waits for %s, and calls the database busy', async (_, error) => {
    const there = (): Promise<void> => Promise.resolve();
    const { events, settled } = follow(flaky(20, error), () => Promise.resolve('done'), undefined, there);
    await vi.advanceTimersByTimeAsync(100_000);

    expect(await settled).toBe('done');
    expect(events).toEqual([...Array.from({ length: 20 }, () => 'database_busy'), 'granted']);
  });

  it('leaves to others what the call itself fails with, and makes no second call', async () => {
    const task = vi.fn(() => Promise.reject(away));
    const { settled } = follow(flaky(0), task);

    expect(await settled).toBe(away);
    expect(task).toHaveBeenCalledTimes(1);
  });

  it('passes on what does not mend itself', async () => {
    const gone = new PipelineError('quota_exhausted', 'the quota is gone');
    const { settled } = follow(flaky(1, gone), () => Promise.resolve('done'));

    expect(await settled).toBe(gone);
  });

  it('ends at once when its call is aborted', async () => {
    const controller = new AbortController();
    const { settled } = follow(flaky(Infinity), () => Promise.resolve('done'), controller.signal);
    await vi.advanceTimersByTimeAsync(1_000);
    const reason = new PipelineError('canceled', 'stopped');
    controller.abort(reason);

    expect(await settled).toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
  });
});
