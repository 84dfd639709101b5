import { describe, expect, it } from 'vitest';
import { gapsBetween, isDate, lastOf } from '../../../src/postgres/sinks/months.ts';

describe('isDate', () => {
  it.each(['2024-02-29', '2000-02-29', '2023-12-31', '0001-01-01', '9999-12-31'])('takes %s', (text) => {
    expect(isDate(text)).toBe(true);
  });
  it.each([
    '2023-02-29',
    '1900-02-29',
    '2024-04-31',
    '2024-13-01',
    '2024-00-10',
    '2024-01-00',
    '0000-01-01',
    '2024-1-1',
    '',
    'NaN',
    null,
    20240101,
  ])('refuses %s', (text) => {
    expect(isDate(text)).toBe(false);
  });
});

describe('months', () => {
  it('end on their last day', () => {
    expect(['2024-02', '2023-02', '1900-02', '2024-04', '2024-12'].map(lastOf)).toEqual([
      '2024-02-29',
      '2023-02-28',
      '1900-02-28',
      '2024-04-30',
      '2024-12-31',
    ]);
  });

  it('that are missing are spans', () => {
    const span = { first: '2023-11', last: '2024-03' };
    expect(gapsBetween(span, [])).toEqual([span]);
    expect(gapsBetween(span, ['2023-12', '2024-01'])).toEqual([
      { first: '2023-11', last: '2023-11' },
      { first: '2024-02', last: '2024-03' },
    ]);
    expect(gapsBetween(span, ['2023-10', '2023-11', '2024-03', '2024-04'])).toEqual([
      { first: '2023-12', last: '2024-02' },
    ]);
    expect(gapsBetween({ first: '2024-02', last: '2024-01' }, [])).toEqual([]);
    expect(gapsBetween({ first: '0001-01', last: '9999-12' }, ['0001-01', '9999-12'])).toEqual([
      { first: '0001-02', last: '9999-11' },
    ]);
  });
});
