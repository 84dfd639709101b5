import { describe, expect, it, vi } from 'vitest';
import { SinkError } from '../../../src/model/errors.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';
import { BatchTrials } from '../../../src/postgres/sinks/BatchTrials.ts';
import { call } from './samples.ts';

// Issue 10, item 7.
describe('the tries of a batch that meets a lock or a conflict', () => {
  it.each(['55P03', '55006', '40001', '40P01'])('have no end: %s', async (state) => {
    vi.useFakeTimers();
    const database = { server: { host: 'h', user: 'u', database: 'd' } } as Database;
    const trials = new BatchTrials({ database, table: 't', isRecorded: true, signal: call.signal });
    const error = Object.assign(new Error('locked'), { code: state });
    for (let tries = 0; tries < 100; tries += 1) {
      const after = trials.after(
        tries % 2 === 0 ? error : new SinkError('database_unavailable', 'x', { retryable: true, cause: error }),
      );
      await vi.advanceTimersByTimeAsync(2000);
      await after;
    }
    expect(trials.isCareful).toBe(false);
  });
});
