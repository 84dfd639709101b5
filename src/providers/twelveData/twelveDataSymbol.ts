import type { ProviderError } from '../../model/errors.ts';
import type { Asset } from '../../model/records.ts';
import { isListable, refusedSymbol } from '../http/symbolList.ts';

/**
 * The symbol Twelve Data knows an asset by: a stock's own, and a pair for everything else, where a coin or a commodity
 * without a quote currency is priced in US dollars and `EURUSD` is the same as `EUR/USD`.
 */
export function twelveDataSymbol(provider: string, { symbol, assetType }: Asset): string | ProviderError {
  if (!isListable(symbol)) return refusedSymbol(provider, symbol);
  if (assetType === 'STOCK' || symbol.includes('/')) return symbol;
  if (assetType !== 'FOREX') return `${symbol}/USD`;
  if (/^[a-z]{6}$/i.test(symbol)) return `${symbol.slice(0, 3)}/${symbol.slice(3)}`;
  return refusedSymbol(provider, symbol, 'a currency pair such as EUR/USD or EURUSD');
}
