import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CreditWindow } from '../../src/limits/creditWindow.ts';
import { SlidingMaximum } from '../../src/limits/slidingMaximum.ts';

describe('CreditWindow', () => {
  it('never has more credits out than it holds, and gets all of them back', () => {
    const step = fc.record({ passMs: fc.nat(3_000), want: fc.integer({ min: 1, max: 10 }), takesMs: fc.nat(5_000) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
        const window = new CreditWindow(capacity, 1_000);
        const ends: { at: number; end: () => void }[] = [];
        let at = 0;
        const endDue = (until: number): void => {
          for (const due of ends.filter((end) => end.at <= until).sort((a, b) => a.at - b.at)) {
            due.end();
            ends.splice(ends.indexOf(due), 1);
          }
        };
        let out = 0;
        for (const { passMs, want, takesMs } of steps) {
          at += passMs;
          endDue(at);
          const credits = Math.min(want, window.free(at));
          if (credits === 0) continue;
          const hold = window.take(credits, at);
          out += credits;
          const answerAt = at + takesMs;
          ends.push({
            at: answerAt,
            end: () => {
              window.settle(hold, answerAt);
              out -= credits;
            },
          });
          expect(out).toBeLessThanOrEqual(capacity);
        }
        endDue(Infinity);
        const freeAt = window.freeAt(capacity, at);
        expect(window.free(freeAt)).toBe(capacity);
        expect(freeAt).toBeLessThanOrEqual(at + 5_000 + 1_002);
      }),
    );
  });

  it('says when so many credits are free, and not a moment earlier', () => {
    const window = new CreditWindow(8, 1_000);
    const [first, second] = [window.take(3, 0), window.take(5, 0)];
    expect(window.freeAt(1, 0)).toBe(Infinity);
    window.settle(second, 400);
    window.settle(first, 100, { extraMs: 5_000 });
    expect([1, 5, 6, 8].map((credits) => window.freeAt(credits, 400))).toEqual([1_402, 1_402, 6_102, 6_102]);
    expect([window.free(1_401), window.free(1_402), window.free(6_101), window.free(6_102)]).toEqual([0, 5, 5, 8]);
  });

  it('forecasts by whole rounds', () => {
    const window = new CreditWindow(8, 60_000);
    expect([8, 9, 16, 17].map((credits) => window.forecast(credits, 0, 100))).toEqual([0, 60_102, 60_102, 120_204]);
    expect(new CreditWindow(Infinity, 60_000).forecast(1e9, 5, 100)).toBe(5);
  });

  it('does not count what was refused as its own when it learns', () => {
    const window = new CreditWindow(10, 1_000);
    window.settle(window.take(4, 0), 10, { refused: true });
    const hold = window.take(3, 20);
    window.report(hold, { left: 2 }, 30);
    window.settle(hold, 30);
    expect(window.free(1_015)).toBe(10 - 3 - 5);
  });
});

describe('SlidingMaximum', () => {
  it('is the largest of the values that still hold', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(9)), { maxLength: 60 }), (steps) => {
        const maximum = new SlidingMaximum();
        const samples: { value: number; until: number }[] = [];
        let at = 0;
        for (const [passed, value] of steps) {
          at += passed;
          maximum.add(value, at + 100);
          samples.push({ value, until: at + 100 });
          const largest = (time: number): number =>
            Math.max(0, ...samples.filter(({ until }) => until > time).map((sample) => sample.value));
          expect(maximum.value(at)).toBe(largest(at));
          expect(maximum.peek(at + 60)).toBe(largest(at + 60));
        }
      }),
    );
  });
});
