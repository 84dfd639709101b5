import { describe, expect, it } from 'vitest';
import { DatabaseWatch } from '../../../../src/cli/worker/watch/DatabaseWatch.ts';
import { SinkError } from '../../../../src/model/errors.ts';

const away = new SinkError('database_unavailable', 'no connection', { retryable: true });

describe('the watch over the database', () => {
  it('says once that it is away, and once that it is back for all who waited', () => {
    const lines: string[] = [];
    const watch = new DatabaseWatch((line) => lines.push(line));
    const [one, other] = [watch.waiter(), watch.waiter()];

    one.onBack();
    expect(watch.isAway).toBe(false);
    one.onAway(away);
    one.onAway(away);
    other.onAway(away);
    expect(watch.isAway).toBe(true);
    one.onBack();
    one.onBack();
    expect(watch.isAway).toBe(true);
    other.onBack();

    expect(watch.isAway).toBe(false);
    expect(lines).toEqual([
      'postgresql: away, requests wait for it: no connection',
      expect.stringMatching(/^postgresql: back after \d+ ms$/),
    ]);
  });

  // Issue 10, item 7: a slow statement was logged as away.
  it('tells a database that is away from one that is busy or not ready, each once', () => {
    const lines: string[] = [];
    const watch = new DatabaseWatch((line) => lines.push(line));
    const [one, other] = [watch.waiter(), watch.waiter()];

    one.onAway(new SinkError('database_busy', 'a slow statement', { retryable: true }));
    other.onAway(new SinkError('database_busy', 'another one', { retryable: true }));
    expect([watch.isAway, watch.isNotReady]).toEqual([true, false]);
    one.onAway(new SinkError('database_not_ready', 'no table'));
    other.onBack();
    expect([watch.isAway, watch.isNotReady]).toEqual([true, true]);
    one.onBack();

    expect([watch.isAway, watch.isNotReady]).toEqual([false, false]);
    expect(lines).toEqual([
      'postgresql: busy, requests wait for it: a slow statement',
      'postgresql: not ready, requests wait for it: no table',
      expect.stringMatching(/^postgresql: back after \d+ ms$/),
    ]);
  });
});
