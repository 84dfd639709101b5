import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ProgressWatch, type ProgressWatchOptions } from '../../../src/kafka/requests/ProgressWatch.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

const deadlineMs = 10_000;

function open(options: Partial<ProgressWatchOptions> = {}) {
  const progress = new Subject<RunEvent>();
  const standsStill = (): boolean => false;
  const watch = new ProgressWatch({ deadlineMs, progress, standsStill, now: () => Date.now(), ...options });
  return { progress, watch };
}

const started = (request: string, batch = 0): RunEvent => ({ type: 'batch-started', request, batch, inputs: 1 });
const called = (request: string, result: string, batch = 0): RunEvent => ({
  type: 'provider-call',
  request,
  batch,
  call: { provider: 'test', inputs: 1, credits: 1, durationMs: 1, result },
});
const pass = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1_000);

describe('ProgressWatch', () => {
  it('calls once what makes no progress for the time, within a twentieth of it', () => {
    const { watch } = open();
    const onStuck = vi.fn();
    watch.watch({ request: 'a', onStuck });
    pass(9.9);
    expect(onStuck).not.toHaveBeenCalled();
    pass(0.6);
    expect(onStuck).toHaveBeenCalledTimes(1);
    pass(100);
    expect(onStuck).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('begins anew with each sign of progress of the request', () => {
    const { watch, progress } = open();
    const [onStuckA, onStuckB] = [vi.fn(), vi.fn()];
    watch.watch({ request: 'a', onStuck: onStuckA });
    watch.watch({ request: 'b', onStuck: onStuckB });
    progress.next(started('a'));
    progress.next(started('b'));
    for (let second = 0; second < 30; second += 5) {
      progress.next(called('a', 'ok'));
      pass(5);
    }
    expect([onStuckA.mock.calls.length, onStuckB.mock.calls.length]).toEqual([0, 1]);
    watch.close();
  });

  it.each(['timeout', 'canceled'])('takes a call that ended by %s for no progress', (result) => {
    const { watch, progress } = open();
    const onStuck = vi.fn();
    watch.watch({ request: 'a', onStuck });
    for (let second = 0; second < 15; second += 5) {
      progress.next(called('a', result));
      pass(5);
    }
    expect(onStuck).toHaveBeenCalledTimes(1);
  });

  it('stands still until a wait for credits is over', () => {
    const { watch, progress } = open();
    const onStuck = vi.fn();
    watch.watch({ request: 'a', onStuck });
    const until = new Date(Date.now() + 3_600_000);
    progress.next({ type: 'waiting', request: 'a', batch: 0, until, pending: 1 });
    progress.next(called('a', 'ok', 1));
    pass(3_600);
    expect(onStuck).not.toHaveBeenCalled();
    pass(11);
    expect(onStuck).toHaveBeenCalledTimes(1);
  });

  it('goes on when a wait for credits was shorter than expected', () => {
    const { watch, progress } = open();
    const onStuck = vi.fn();
    watch.watch({ request: 'a', onStuck });
    const until = new Date(Date.now() + 3_600_000);
    for (const batch of [0, 1]) progress.next({ type: 'waiting', request: 'a', batch, until, pending: 1 });
    pass(60);
    progress.next(called('a', 'ok', 0));
    pass(60);
    expect(onStuck).not.toHaveBeenCalled();
    progress.next(called('a', 'ok', 1));
    pass(11);
    expect(onStuck).toHaveBeenCalledTimes(1);
  });

  it('stands still while nothing can go on', () => {
    let isDown = true;
    const { watch } = open({ standsStill: () => isDown });
    const onStuck = vi.fn();
    watch.watch({ request: 'a', onStuck });
    pass(1_000);
    isDown = false;
    pass(9);
    expect(onStuck).not.toHaveBeenCalled();
    pass(2);
    expect(onStuck).toHaveBeenCalledTimes(1);
  });

  it('blames nobody for waiting while others are at work, or only wait themselves', () => {
    const { watch, progress } = open();
    const onStuck = vi.fn();
    watch.watch({ request: 'waits', onStuck });
    const endOwner = watch.watch({ request: 'owner' });
    const endOther = watch.watch({ request: 'other', onStuck: vi.fn() });
    progress.next(started('other'));
    for (let second = 0; second < 600; second += 5) {
      progress.next(called('other', 'ok'));
      pass(5);
    }
    endOther();
    pass(600);
    expect(onStuck).not.toHaveBeenCalled();
    endOwner();
    pass(11);
    expect(onStuck).toHaveBeenCalledTimes(1);
  });

  it('knows the parts of a request apart', () => {
    const { watch, progress } = open();
    const [onFirst, onSecond] = [vi.fn(), vi.fn()];
    watch.watch({ request: 'a', batches: { first: 3, count: 1 }, onStuck: onFirst });
    watch.watch({ request: 'a', batches: { first: 4, count: 1 }, onStuck: onSecond });
    progress.next(started('a', 3));
    progress.next(started('a', 4));
    for (let second = 0; second < 15; second += 5) {
      progress.next(called('a', 'ok', 4));
      pass(5);
    }
    expect([onFirst.mock.calls.length, onSecond.mock.calls.length]).toEqual([1, 0]);
    watch.close();
  });

  it('does not count the time in which the whole process was stopped', () => {
    const { watch } = open();
    const onStuck = vi.fn();
    watch.watch({ request: 'a', onStuck });
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
    pass(8);
    expect(onStuck).not.toHaveBeenCalled();
    watch.close();
  });

  it('watches nothing without progress to see, and after it was closed', () => {
    const without = new ProgressWatch({ deadlineMs, standsStill: () => false, now: () => Date.now() });
    without.watch({ request: 'a', onStuck: vi.fn() })();
    const { watch, progress } = open();
    watch.watch({ request: 'a', onStuck: vi.fn() });
    expect([vi.getTimerCount(), progress.observed]).toEqual([1, true]);
    watch.close();
    expect([vi.getTimerCount(), progress.observed]).toEqual([0, false]);
  });
});
