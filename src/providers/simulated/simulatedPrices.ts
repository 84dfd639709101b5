import { percentBetween, subtractDecimals } from '../../model/decimal.ts';
import type { Decimal } from '../../model/records.ts';
import { chanceOf } from './chance.ts';

/** Prices of one symbol; everything derives from the seed and the symbol. */
export interface SimulatedPrices {
  readonly price: Decimal;
  readonly change: Decimal;
  readonly percentChange: Decimal;
  readonly high: Decimal;
  readonly low: Decimal;
}

/** A price between 10 and 1,000, at most 5 % off the day before, in a day's range of at most 2 % to both sides. */
export function simulatedPrices(symbol: string, seed: number): SimulatedPrices {
  const cents = baseCents(symbol, seed);
  const part = (name: string): number => chanceOf(`${seed} ${name} ${symbol}`);
  const price = fromCents(cents);
  const previous = fromCents(cents * (0.95 + 0.1 * part('previous')));
  return {
    price,
    change: subtractDecimals(price, previous),
    percentChange: percentBetween(previous, price, 5) ?? '0',
    high: fromCents(cents * (1 + 0.02 * part('high'))),
    low: fromCents(cents * (1 - 0.02 * part('low'))),
  };
}

/** A month's close, at most 20 % off the symbol's price. */
export function simulatedClose(symbol: string, month: string, seed: number): Decimal {
  return fromCents(baseCents(symbol, seed) * (0.8 + 0.4 * chanceOf(`${seed} ${month} ${symbol}`)));
}

function baseCents(symbol: string, seed: number): number {
  return 1_000 + Math.floor(99_000 * chanceOf(`${seed} price ${symbol}`));
}

function fromCents(cents: number): Decimal {
  return (Math.round(cents) / 100).toFixed(2);
}
