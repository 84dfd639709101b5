import { PipelineError, type ProviderError } from '../../model/errors.ts';
import type { Asset } from '../../model/records.ts';
import { currencyPair } from '../currencyPair.ts';
import { isListable, refusedSymbol } from '../http/symbolList.ts';

/**
 * The ticker Massive knows an asset by: a stock's own symbol, `X:BTCUSD` for a coin, `C:EURUSD` for a pair and `C:XAUUSD`
 * for a commodity, where a coin or a commodity without a quote currency is priced in US dollars.
 */
export function massiveTicker(provider: string, { symbol, assetType }: Asset): string | ProviderError {
  // It becomes a part of the path, where dots alone would lead elsewhere.
  if (!isListable(symbol) || /^\.+$/.test(symbol)) return refusedSymbol(provider, symbol);
  if (assetType === 'STOCK' || /^[XC]:/.test(symbol)) return symbol;
  if (assetType === 'FOREX') {
    const pair = currencyPair(provider, symbol);
    return PipelineError.isInstance(pair) ? pair : `C:${pair.base}${pair.quote}`;
  }
  const [unit, currency = 'USD'] = symbol.split('/');
  return `${assetType === 'CRYPTO' ? 'X' : 'C'}:${unit ?? ''}${currency}`.toUpperCase();
}
