import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectWindow } from '../../src/testing/expectWindow.ts';

describe('expectWindow', () => {
  it('takes no arrivals for none', () => {
    expect(expectWindow([], { limit: 0, windowMs: 1_000 })).toBe(0);
  });

  it('counts windows that slide, whatever the order of the arrivals', () => {
    const arrivals = [1_999, 0, 1_000, 2_999].map((at) => ({ at, credits: 2 }));
    expect(expectWindow(arrivals, { limit: 4, windowMs: 1_000 })).toBe(4);
    expect(() => expectWindow(arrivals, { limit: 3, windowMs: 1_000 })).toThrow(
      '4 credits within 1000 ms, but the limit is 3: 2 at 1000, 2 at 1999',
    );
  });

  it('shows ten arrivals and counts the others', () => {
    const arrivals = Array.from({ length: 25 }, (_, index) => index);
    expect(() => expectWindow(arrivals, { limit: 24, windowMs: 60_000 })).toThrow(/: 15 more, 1 at 15, .*, 1 at 24$/);
  });

  it('agrees with a count of every window', () => {
    const arrival = fc.record({ at: fc.nat(200), credits: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(arrival), fc.integer({ min: 1, max: 50 }), (arrivals, windowMs) => {
        const windows = arrivals.map(({ at: end }) =>
          arrivals.filter(({ at }) => at <= end && at > end - windowMs).reduce((sum, { credits }) => sum + credits, 0),
        );
        const most = Math.max(0, ...windows);
        expect(expectWindow(arrivals, { limit: most, windowMs })).toBe(most);
        if (most > 0) expect(() => expectWindow(arrivals, { limit: most - 1, windowMs })).toThrow(/credits within/);
      }),
    );
  });
});
