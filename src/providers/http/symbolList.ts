import { ProviderError } from '../../model/errors.ts';

/** Whether a list in a URL can carry a symbol: visible ASCII without the comma that separates the list. */
export function isListable(symbol: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]{1,40}$/.test(symbol);
}

/** Each symbol encoded once; the commas between them stay, so that a full batch fits into 2 kB. */
export function symbolList(symbols: readonly string[]): string {
  return symbols.map(encodeURIComponent).join(',');
}

/** The error of a symbol that is never sent. */
export function refusedSymbol(
  provider: string,
  symbol: string,
  expected = 'up to 40 visible characters without comma',
): ProviderError {
  const shown = JSON.stringify(symbol.slice(0, 60));
  return new ProviderError('symbol_invalid', `${provider}: symbol: expected ${expected}, got ${shown}`);
}
