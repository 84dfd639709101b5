import { beforeEach, describe, expect, it, vi } from 'vitest';
import { OptionsError, RateLimitError } from '../../src/model/errors.ts';
import { quotaServer } from '../../src/testing/quotaServer.ts';
import type { QuotaServerOptions } from '../../src/testing/quotaServer.ts';

const { signal } = new AbortController();

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});

const after = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  promise.then(undefined, () => undefined);
  await vi.advanceTimersByTimeAsync(ms);
  return promise;
};

describe('quotaServer', () => {
  it.each([{ credits: 0 }, { credits: 8, stallRate: 2 }, { credits: 8, latencyMs: [5] }, { credits: 8, limit: 9 }])(
    'refuses %o',
    (options) => {
      expect(() => quotaServer(options as unknown as QuotaServerOptions)).toThrow(OptionsError);
    },
  );

  it('answers after its latencies, and says what is used and left', async () => {
    const server = quotaServer({ credits: 8, latencyMs: [100, 300], random: () => 0.5 });
    const answer = server.send(5, { signal });
    await vi.advanceTimersByTimeAsync(199);
    expect(server.arrivals).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(server.arrivals).toMatchObject([{ credits: 5, refused: false }]);
    expect(await after(200, answer)).toEqual({ used: 5, left: 3 });
  });

  it('refuses above its quota, and counts again what a window has freed', async () => {
    const server = quotaServer({ credits: 8, latencyMs: [0, 0], retryAfterMs: 7 });
    await after(10, server.send(8, { signal }));
    const refused = server.send(1, { signal });
    await expect(after(10, refused)).rejects.toBeInstanceOf(RateLimitError);
    await expect(refused).rejects.toMatchObject({ retryAfterMs: 7 });
    expect(server.refusals).toBe(1);
    expect(server.arrivals).toMatchObject([{ refused: false }, { refused: true }]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await after(10, server.send(8, { signal }))).toEqual({ used: 8, left: 0 });
  });

  it('lets somebody else spend what is there', async () => {
    const server = quotaServer({ credits: 8, latencyMs: [0, 0] });
    server.spend(5);
    expect(await after(10, server.send(2, { signal }))).toEqual({ used: 7, left: 1 });
    server.spend(5);
    await expect(after(10, server.send(1, { signal }))).rejects.toThrow('9 credits within 60000 ms, the limit is 8');
    expect(server.arrivals).toHaveLength(2);
  });

  it('counts a request that stalls, late perhaps, and one that was aborted', async () => {
    const server = quotaServer({ credits: 8, stallRate: 1, random: () => 0.5 });
    const controller = new AbortController();
    const stalled = server.send(3, { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(5_000);
    controller.abort(new Error('timeout'));
    await expect(stalled).rejects.toThrow('timeout');
    expect(server.arrivals).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(server.arrivals).toMatchObject([{ credits: 3, refused: false }]);
    await expect(server.send(1, { signal: controller.signal })).rejects.toThrow('timeout');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(server.arrivals).toHaveLength(1);
  });
});
