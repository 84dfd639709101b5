import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchAnswers } from '../../src/providers/matchAnswers.ts';
import { isSameSymbol, type ExchangeSign } from '../../src/providers/isSameSymbol.ts';

// Issue 10, item 3: an answer is taken only for what its own word says it is about.

const ticker = fc.stringMatching(/^[A-Z]{2,5}$/);
const shareClass = fc.stringMatching(/^[A-Z]{1,2}$/);
const sign = fc.constantFrom('.', '-', '/');
const currency = fc.stringMatching(/^[A-Z]{3}$/);
const exchange = fc.stringMatching(/^[A-Z]{2,6}$/);
const exchangeSign = fc.constantFrom<ExchangeSign | undefined>(':', '.', undefined);
/** What a provider may be asked for, of every kind. */
const symbol = fc.oneof(
  fc.stringMatching(/^[\x21-\x2b\x2d-\x7e]{1,12}$/),
  ticker,
  fc.tuple(ticker, sign, shareClass).map((parts) => parts.join('')),
  fc.tuple(currency, currency).map((pair) => pair.join('/')),
  fc.tuple(ticker, exchange).map((parts) => parts.join(':')),
  fc.tuple(ticker, exchange).map((parts) => parts.join('.')),
);
const bySign = (text: string): string => text.replace(/[-/]/g, '.').toUpperCase();

describe('is the same', () => {
  it('as itself, in whatever letter case', () => {
    fc.assert(
      fc.property(symbol, exchangeSign, fc.infiniteStream(fc.boolean()), (asked, of, lower) => {
        const named = Array.from(asked, (letter) => (lower.next().value ? letter.toLowerCase() : letter.toUpperCase()));
        expect(isSameSymbol(asked, named.join(''), of)).toBe(true);
      }),
    );
  });

  it('with another sign before its share class', () => {
    fc.assert(
      fc.property(ticker, shareClass, sign, sign, (stem, of, asked, named) => {
        expect(isSameSymbol(stem + asked + of, stem + named + of)).toBe(true);
      }),
    );
  });

  it('with its exchange and without', () => {
    fc.assert(
      fc.property(ticker, exchange, fc.constantFrom<ExchangeSign>(':', '.'), (stem, at, of) => {
        expect(isSameSymbol(stem + of + at, stem, of)).toBe(true);
        expect(isSameSymbol(stem, stem + of + at, of)).toBe(true);
      }),
    );
  });

  it('as a pair without its sign', () => {
    fc.assert(
      fc.property(currency, currency, sign, (base, quote, between) => {
        expect(isSameSymbol(base + between + quote, base + quote)).toBe(true);
      }),
    );
  });
});

describe('is another', () => {
  it('ticker', () => {
    fc.assert(
      fc.property(ticker, ticker, exchange, exchangeSign, (asked, named, at, of = ':') => {
        fc.pre(asked !== named);
        expect(isSameSymbol(asked, named, of)).toBe(false);
        expect(isSameSymbol(`${asked}:${at}`, named, ':')).toBe(false);
        expect(isSameSymbol(`X:${asked}USD`, `X:${named}USD`)).toBe(false);
      }),
    );
  });

  it('pair', () => {
    fc.assert(
      fc.property(currency, currency, currency, currency, exchangeSign, (base, quote, otherBase, otherQuote, of) => {
        fc.pre(base !== otherBase || quote !== otherQuote);
        for (const between of ['/', '-', '']) {
          expect(isSameSymbol(`${base}/${quote}`, otherBase + between + otherQuote, of)).toBe(false);
        }
      }),
    );
  });

  it('share class, or none', () => {
    fc.assert(
      fc.property(ticker, shareClass, shareClass, sign, sign, (stem, of, other, asked, named) => {
        fc.pre(of !== other);
        expect(isSameSymbol(stem + asked + of, stem + named + other)).toBe(false);
        expect(isSameSymbol(stem + asked + of, stem)).toBe(false);
        expect(isSameSymbol(stem + asked + of, stem + of)).toBe(false);
      }),
    );
  });

  it('listing', () => {
    fc.assert(
      fc.property(ticker, exchange, exchange, fc.constantFrom<ExchangeSign>(':', '.'), (stem, at, other, of) => {
        fc.pre(at !== other);
        expect(isSameSymbol(stem + of + at, stem + of + other, of)).toBe(false);
      }),
    );
  });

  it('thing, whatever differs in more than case, signs and an exchange', () => {
    fc.assert(
      fc.property(symbol, symbol, (asked, named) => {
        fc.pre(bySign(asked).replaceAll('.', '') !== bySign(named).replaceAll('.', ''));
        expect(isSameSymbol(asked, named)).toBe(false);
      }),
    );
  });

  it.each([
    ['TSCO', 'TSCO.L', '.'],
    ['BRK.B', 'BRK', '.'],
    ['000001.SS', '000001.SZ', '.'],
    ['BTC/USD', 'BTC/EUR', ':'],
    ['X:BTCUSD', 'X:ETHUSD', undefined],
    ['INFY', 'ınfy', ':'],
    ['^GSPC', 'GSPC', '.'],
    ['USDT/USD', 'USD/TUSD', ':'],
    ['AAPL', 'AAPL ', ':'],
    ['AAPL', '', ':'],
    ['ABC', 'ABC.WS', ':'],
  ] as const)('%s than %j', (asked, named, of) => {
    expect(isSameSymbol(asked, named, of)).toBe(false);
  });

  it.each([undefined, null, 1, {}, ['AAPL']])('%j, which names nothing', (named) => {
    expect(isSameSymbol('AAPL', named)).toBe(false);
  });
});

describe('the answers of a list', () => {
  const list = (...names: string[]) => new Map(names.map((name) => [name, name]));

  it('go to what they name, in whatever order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(symbol, { maxLength: 8, selector: (each) => each.toUpperCase() }), (symbols) => {
        const { of, others, matched } = matchAnswers(symbols, list(...[...symbols].reverse()), ':');
        expect(symbols.map(of)).toEqual(symbols);
        expect([others, matched]).toEqual([[], symbols.length]);
      }),
    );
  });

  it('are never handed to two, and never lost', () => {
    const few = fc.uniqueArray(fc.constantFrom('TSCO', 'TSCO:LSE', 'TSCO:NYSE', 'BRK.B', 'BRK-B', 'EUR/USD', 'EURUSD'));
    fc.assert(
      fc.property(few, few, (asked, named) => {
        const { of, others, matched } = matchAnswers(asked, list(...named), ':');
        const found = asked.map(of).filter((each) => each !== undefined);
        expect(new Set(found).size).toBe(found.length);
        expect([...found, ...others].sort()).toEqual([...named].sort());
        expect(matched).toBe(found.length);
        for (const each of asked) if (of(each) !== undefined) expect(isSameSymbol(each, of(each), ':')).toBe(true);
      }),
    );
  });

  it('go to nobody where two could be meant', () => {
    const { of, others } = matchAnswers(['TSCO:LSE', 'TSCO:NYSE'], list('TSCO'), ':');
    expect([of('TSCO:LSE'), of('TSCO:NYSE'), others]).toEqual([undefined, undefined, ['TSCO']]);
  });

  it('know no names of JavaScript', () => {
    expect(matchAnswers(['__proto__', ''], list('AAPL')).of('__proto__')).toBeUndefined();
  });
});
