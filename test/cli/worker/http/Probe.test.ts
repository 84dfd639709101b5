import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Probe } from '../../../../src/cli/worker/http/Probe.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

describe('a probe', () => {
  it('asks once for all who want to know within two seconds', async () => {
    const ask = vi.fn(() => Promise.resolve());
    const probe = new Probe({ ask });

    expect(await Promise.all([probe.isThere(), probe.isThere()])).toEqual([true, true]);
    await vi.advanceTimersByTimeAsync(1_900);
    expect(await probe.isThere()).toBe(true);
    expect(ask).toHaveBeenCalledTimes(1);

    await vi.advanceTimersByTimeAsync(200);
    ask.mockRejectedValueOnce(new Error('gone'));
    expect(await probe.isThere()).toBe(false);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it('takes what does not answer in time for away, and does not ask again meanwhile', async () => {
    let answer = (): void => undefined;
    const ask = vi.fn(() => new Promise<void>((resolve) => (answer = resolve)));
    const probe = new Probe({ ask, timeoutMs: 100 });

    for (let round = 0; round < 3; round++) {
      const isThere = probe.isThere();
      await vi.advanceTimersByTimeAsync(100);
      expect(await isThere).toBe(false);
    }
    expect(ask).toHaveBeenCalledTimes(1);

    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(await probe.isThere()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});
