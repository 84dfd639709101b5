import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareDecimals,
  decimalDigits,
  differsByPercent,
  fitsNumeric,
  isDecimal,
  isNegative,
  parseDecimal,
  percentBetween,
  toScale,
  subtractDecimals,
} from '../../src/model/decimal.ts';

describe('isDecimal', () => {
  it.each(['0', '-0', '0.00', '228.34000', '-9.15001', '123456789012345.6789'])('takes %j', (text) => {
    expect(isDecimal(text)).toBe(true);
  });

  it.each([
    '',
    ' 1',
    '1 ',
    '.5',
    '5.',
    '+1',
    '007',
    '1e3',
    'NaN',
    'Infinity',
    '1,234.50',
    '0x10',
    '1\n',
    1,
    null,
    undefined,
    '9'.repeat(300),
  ])('refuses %j', (value) => {
    expect(isDecimal(value)).toBe(false);
  });
});

describe('parseDecimal', () => {
  it('keeps every digit of the text', () => {
    expect(parseDecimal('1.10000')).toBe('1.10000');
    expect(parseDecimal('123456789012345.6789')).toBe('123456789012345.6789');
  });

  it.each([
    ['1e30', `1${'0'.repeat(30)}`],
    ['1.50e1', '15.0'],
    ['1.5e-7', '0.00000015'],
    ['-2E+3', '-2000'],
    ['0.05e1', '0.5'],
    ['0.05e2', '5'],
    ['0e5', '0'],
    ['12e-1', '1.2'],
    ['12e-2', '0.12'],
  ])('writes out the exponent of %s', (text, plain) => {
    expect(parseDecimal(text)).toBe(plain);
    expect(isDecimal(plain)).toBe(true);
  });

  it.each(['1e400', '1e-400', '1e99999999', '1e', 'e1', 'NaN', '', null, 5])('has nothing for %j', (text) => {
    expect(parseDecimal(text)).toBeUndefined();
  });

  it('reads what JavaScript writes of any number as that number, and as a decimal', () => {
    const prices = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e100, max: 1e100 });
    fc.assert(
      fc.property(prices, (price) => {
        const decimal = parseDecimal(JSON.stringify(price));
        if (decimal === undefined) return Math.abs(price) < 1e-150;
        return isDecimal(decimal) && Number(decimal) === Number(JSON.stringify(price));
      }),
    );
  });
});

describe('fitsNumeric', () => {
  const column = { precision: 15, scale: 6 };

  it.each([
    ['999999999.999999', true],
    ['999999999.9999994999', true],
    ['999999999.9999995', false],
    ['-999999999.9999995', false],
    ['899999999.9999999', true],
    ['999999999.8999999', true],
    ['999999999', true],
    ['1000000000', false],
    ['-1000000000', false],
    [`1${'0'.repeat(30)}`, false],
    ['0.000000000001', true],
    ['0', true],
  ])('of numeric(15,6): %s %s', (decimal, fits) => {
    expect(fitsNumeric(decimal, column)).toBe(fits);
  });

  it('takes a column without digits before the point, and one without digits behind it', () => {
    expect(fitsNumeric('0.99', { precision: 2, scale: 2 })).toBe(true);
    expect(fitsNumeric('0.995', { precision: 2, scale: 2 })).toBe(false);
    expect(fitsNumeric('1', { precision: 2, scale: 2 })).toBe(false);
    expect(fitsNumeric('99.4', { precision: 2, scale: 0 })).toBe(true);
    expect(fitsNumeric('99.5', { precision: 2, scale: 0 })).toBe(false);
  });
});

describe('decimal arithmetic', () => {
  it('counts digits on both sides of the point', () => {
    expect(decimalDigits('-12.50')).toEqual({ integer: 2, fraction: 2 });
    expect(decimalDigits('0.5')).toEqual({ integer: 0, fraction: 1 });
  });

  it('knows what is below zero', () => {
    expect(['-1', '-0.01', '-0.00', '0', '1'].map(isNegative)).toEqual([true, true, false, false, false]);
  });

  it('subtracts without float noise', () => {
    expect(subtractDecimals('0.3', '0.1')).toBe('0.2');
    expect(subtractDecimals('39.81', '59.07')).toBe('-19.26');
    expect(subtractDecimals('1', '0.999')).toBe('0.001');
    expect(subtractDecimals('-0.05', '0.05')).toBe('-0.10');
  });

  it('gives a change in percent, rounded half away from zero', () => {
    expect(percentBetween('200', '201', 5)).toBe('0.50000');
    expect(percentBetween('3', '2', 2)).toBe('-33.33');
    expect(percentBetween('800', '801', 2)).toBe('0.13');
    expect(percentBetween('800', '799', 2)).toBe('-0.13');
    expect(percentBetween('0.00', '1', 2)).toBeUndefined();
  });

  it('rounds half away from zero, as numeric does, and fills up with zeros', () => {
    expect(
      ['1.5', '1.500', '0.12345', '-0.12345', '9.99995', '0.00004', '-0.00004'].map((it) => toScale(it, 4)),
    ).toEqual(['1.5000', '1.5000', '0.1235', '-0.1235', '10.0000', '0.0000', '0.0000']);
    expect([toScale('99.5', 0), toScale('-7', 2), toScale('7', 0)]).toEqual(['100', '-7.00', '7']);
  });

  it('knows what differs by more than 1 %', () => {
    expect(differsByPercent('100', '101')).toBe(false);
    expect(differsByPercent('100', '98.99')).toBe(true);
    expect(differsByPercent('-100', '-101.000001')).toBe(true);
    expect([differsByPercent('0.00', '0'), differsByPercent('0.0001', '0')]).toEqual([false, true]);
  });

  it('compares by value', () => {
    expect([compareDecimals('1.0', '1'), compareDecimals('-2', '1'), compareDecimals('10', '9.99')]).toEqual([
      0, -1, 1,
    ]);
  });
});
