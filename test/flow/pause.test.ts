import { beforeEach, describe, expect, it, vi } from 'vitest';
import { pause } from '../../src/flow/pause.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

describe('pause', () => {
  it('takes its time', async () => {
    const ended = vi.fn();
    void pause(100, new AbortController().signal).then(ended);
    await vi.advanceTimersByTimeAsync(99);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toHaveBeenCalledOnce();
  });

  it('takes none for 0', async () => {
    await pause(0, new AbortController().signal);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends with the reason of its signal, and leaves no timer', async () => {
    const controller = new AbortController();
    const paused = pause(100, controller.signal);
    controller.abort(new Error('enough'));
    await expect(paused).rejects.toThrow('enough');
    expect(vi.getTimerCount()).toBe(0);
    await expect(pause(100, controller.signal)).rejects.toThrow('enough');
  });
});
