import { describe, expect, it } from 'vitest';
import { isDate, lastOf, monthsBetween } from '../../../src/postgres/sinks/months.ts';

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

  it('follow each other over years', () => {
    expect(monthsBetween('2023-11', '2024-02')).toEqual(['2023-11', '2023-12', '2024-01', '2024-02']);
    expect(monthsBetween('2024-02', '2024-02')).toEqual(['2024-02']);
    expect(monthsBetween('2024-03', '2024-02')).toEqual([]);
    expect(monthsBetween('9999-11', '9999-12')).toEqual(['9999-11', '9999-12']);
  });
});
