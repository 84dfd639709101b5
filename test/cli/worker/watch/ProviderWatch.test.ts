import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ProviderWatch } from '../../../../src/cli/worker/watch/ProviderWatch.ts';
import { ProviderError } from '../../../../src/model/errors.ts';
import type { ProviderHealth } from '../../../../src/model/ports.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 24, 12) });
});

describe('the watch over the providers', () => {
  it('says when one is not what it was, and nothing in between', async () => {
    const lines: string[] = [];
    const provider = 'twelve-data';
    let health: ProviderHealth = { provider, state: 'up' };
    const providers = [{ pipeline: 'market-data' as const, health: () => [health] }];
    using _watch = new ProviderWatch({ providers, log: (line) => lines.push(line) });
    const pass = () => vi.advanceTimersByTimeAsync(5_000);

    await pass();
    const until = new Date(Date.UTC(2026, 10, 24, 12, 0, 35));
    health = { provider, state: 'down', error: new ProviderError('timeout', 'twelve-data: no answer'), until };
    await pass();
    health = { ...health, until: new Date(Date.UTC(2026, 10, 24, 12, 1, 5)) };
    await pass();
    health = { provider, state: 'up' };
    await pass();
    health = { provider, state: 'exhausted', until: new Date(Date.UTC(2026, 10, 25)) };
    await pass();
    const tryAt = new Date(Date.UTC(2026, 10, 24, 12, 5));
    const refused = new ProviderError('unauthorized', 'twelve-data: wrong key');
    health = { provider, state: 'refused', error: refused, until: tryAt };
    await pass();

    expect(lines).toEqual([
      'market-data: twelve-data is down; next try at 12:00:35 UTC: twelve-data: no answer',
      'market-data: twelve-data is back after 10.0 s',
      'market-data: twelve-data has no quota left until 2026-11-25 00:00:00 UTC',
      'market-data: twelve-data refuses the key; the first request after 12:05:00 UTC tries it again: twelve-data: wrong key',
    ]);
  });

  it('leaves no timer', () => {
    new ProviderWatch({ providers: [], log: () => undefined })[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
  });
});
