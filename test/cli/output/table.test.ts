import { describe, expect, it } from 'vitest';
import { table } from '../../../src/cli/output/table.ts';

describe('table', () => {
  it('aligns text to the left and numbers to the right', () => {
    const rows = [
      ['AAPL', '223.02', '-8.9'],
      ['EUR/USD', '1.1', ''],
    ];

    expect(table(['symbol', 'price', 'change'], rows)).toEqual([
      'symbol    price  change',
      '-------  ------  ------',
      'AAPL     223.02    -8.9',
      'EUR/USD     1.1',
    ]);
  });

  it('shows the titles of nothing', () => {
    expect(table(['symbol'], [])).toEqual(['symbol', '------']);
  });
});
