import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Drain } from '../../../src/cli/worker/Drain.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const open = () => {
  const controller = new AbortController();
  const lines: string[] = [];
  const exit = vi.fn();
  const log = (line: string): void => void lines.push(line);
  const drain = new Drain({ stop: controller.signal, drainMs: 5_000, log, exit });
  return { controller, lines, exit, drain };
};

describe('a drain', () => {
  it('does nothing until it is told to stop', async () => {
    const { drain, lines, exit } = open();
    await vi.advanceTimersByTimeAsync(100_000);

    expect([drain.isUnderWay, drain.handBack.aborted, lines]).toEqual([false, false, []]);
    expect(exit).not.toHaveBeenCalled();
  });

  it('lets any number of calls listen to it without a warning', async () => {
    const warned = vi.fn();
    process.on('warning', warned);
    const { drain } = open();
    for (let calls = 0; calls < 20; calls += 1) drain.handBack.addEventListener('abort', () => undefined);
    await vi.advanceTimersByTimeAsync(1);
    process.off('warning', warned);

    expect(warned).not.toHaveBeenCalled();
  });

  it('hands back what is in flight when its time is over, and ends the process when even that is stuck', async () => {
    const { controller, drain, exit, lines } = open();
    controller.abort();
    await vi.advanceTimersByTimeAsync(4_999);
    expect([drain.isUnderWay, drain.handBack.aborted]).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(drain.handBack.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(exit).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(exit).toHaveBeenCalledExactlyOnceWith(1);
    expect(lines.map((line) => line.split(':', 2).join(':'))).toEqual([
      'drain: no new requests; those in flight have 5.0 s',
      'drain: the time is over',
      'drain: stuck',
    ]);
  });

  it('hands nothing back when all is closed in time, and lets no forgotten socket keep the process', async () => {
    const { controller, drain, exit } = open();
    controller.abort();
    drain[Symbol.dispose]();
    await vi.advanceTimersByTimeAsync(2_999);
    expect(exit).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(100_000);

    expect(exit).toHaveBeenCalledExactlyOnceWith(0);
    expect(drain.handBack.aborted).toBe(false);
  });

  it('leaves no timer and no listener when the worker ends for another reason', () => {
    const { controller, drain, lines } = open();
    drain[Symbol.dispose]();
    controller.abort();

    expect([lines, vi.getTimerCount()]).toEqual([[], 0]);
  });
});
