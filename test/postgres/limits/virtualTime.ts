import { vi } from 'vitest';
import type { SharedWindow } from '../../../src/model/quotaPorts.ts';

/**
 * Time that stands still while the database works: a timer runs only when no statement is on its way. To be made before
 * anything that sets timers; `afterEach` of test/support/setup.ts brings the real ones back.
 */
export function useVirtualTime() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  const underWay = new Set<Promise<unknown>>();

  function watched<Result>(statement: Promise<Result>): Promise<Result> {
    underWay.add(statement);
    const done = (): unknown => underWay.delete(statement);
    statement.then(done, done);
    return statement;
  }

  async function untilIdle(): Promise<void> {
    do {
      await Promise.allSettled(underWay);
      await new Promise(setImmediate);
    } while (underWay.size > 0);
  }

  return {
    /** The window, with its statements watched. */
    watch: (window: SharedWindow): SharedWindow => ({
      take: (want) => watched(window.take(want)),
      release: (grant, unused) => watched(window.release(grant, unused)),
      settle: (grant, freeInMs, refused) => watched(window.settle(grant, freeInMs, refused)),
      report: (grant, used, holdMs) => watched(window.report?.(grant, used, holdMs) ?? Promise.resolve()),
    }),
    async run(milliseconds: number): Promise<void> {
      const endsAt = performance.now() + milliseconds;
      await untilIdle();
      while (performance.now() < endsAt) {
        vi.advanceTimersToNextTimer();
        await untilIdle();
      }
    },
  };
}
