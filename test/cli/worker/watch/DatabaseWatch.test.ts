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
});
