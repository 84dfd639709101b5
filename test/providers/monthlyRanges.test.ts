import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDays, addMonths, isDate, monthsBetween, splitRange } from '../../src/providers/monthlyRanges.ts';

describe('splitRange', () => {
  it.each([
    ['2026-01-15', '2026-03-10', 12, ['2026-01-15 2026-03-10']],
    ['2026-01-15', '2026-03-10', 2, ['2026-01-15 2026-02-28', '2026-03-01 2026-03-10']],
    [
      '2023-12-31',
      '2024-03-01',
      1,
      ['2023-12-31 2023-12-31', '2024-01-01 2024-01-31', '2024-02-01 2024-02-29', '2024-03-01 2024-03-01'],
    ],
    ['2026-01-31', '2026-01-31', 1, ['2026-01-31 2026-01-31']],
    ['2026-03-01', '2026-01-31', 1, ['2026-03-01 2026-01-31']],
    ['9998-12-01', '9999-12-31', 12, ['9998-12-01 9999-11-30', '9999-12-01 9999-12-31']],
    ['rubbish', 'zzzz', 1, ['rubbish zzzz']],
  ])('%s to %s by %i', (startDate, endDate, maxMonths, expected) => {
    const parts = splitRange({ startDate, endDate }, maxMonths);
    expect(parts.map((part) => `${part.startDate} ${part.endDate}`)).toEqual(expected);
  });

  it('leaves no gap and no day out, with no part longer than asked', () => {
    const day = fc.integer({ min: 0, max: 40_000 }).map((days) => addDays('1970-01-01', days));
    fc.assert(
      fc.property(day, day, fc.integer({ min: 1, max: 200 }), (one, other, maxMonths) => {
        const [startDate, endDate] = one < other ? [one, other] : [other, one];
        const parts = splitRange({ startDate, endDate }, maxMonths);
        expect([parts[0]!.startDate, parts.at(-1)!.endDate]).toEqual([startDate, endDate]);
        expect(parts.slice(1).map((part) => part.startDate)).toEqual(
          parts.slice(0, -1).map((part) => addDays(part.endDate, 1)),
        );
        for (const part of parts)
          expect(monthsBetween(part.startDate, part.endDate).length).toBeLessThanOrEqual(maxMonths);
        expect(parts).toHaveLength(Math.ceil(monthsBetween(startDate, endDate).length / maxMonths));
      }),
      { numRuns: 200 },
    );
  });
});

describe('dates', () => {
  it.each([
    ['2026-01-31', 1, '2026-02-01'],
    ['2026-01-31', -1, '2025-12-01'],
    ['2026-12-05', 0, '2026-12-01'],
    ['2024-02-29', -24, '2022-02-01'],
  ])('%s and %i months', (date, months, expected) => {
    expect(addMonths(date, months)).toBe(expected);
  });

  it.each([
    ['2024-02-29', true],
    ['2023-02-29', false],
    ['2026-04-31', false],
    ['2026-4-01', false],
    ['2026-04-01T00:00:00', false],
    ['', false],
  ])('%s is a date: %s', (text, expected) => {
    expect(isDate(text)).toBe(expected);
  });
});
