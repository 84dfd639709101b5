import type { ProviderError } from '../model/errors.ts';
import { refusedSymbol } from './http/symbolList.ts';

/** What one unit of the base costs in the quote currency. */
export interface CurrencyPair {
  readonly base: string;
  readonly quote: string;
}

/** The currencies of `EUR/USD` or `EURUSD`, in upper case; or the error of a symbol that is no pair, which is never sent. */
export function currencyPair(provider: string, symbol: string): CurrencyPair | ProviderError {
  const [, base = '', quote = ''] = /^([a-z]{3})\/?([a-z]{3})$/i.exec(symbol) ?? [];
  if (base === '') return refusedSymbol(provider, symbol, 'a currency pair such as EUR/USD or EURUSD');
  return { base: base.toUpperCase(), quote: quote.toUpperCase() };
}
