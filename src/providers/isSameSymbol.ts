/** What stands between a symbol and its exchange in the words of a provider: `TSCO:LSE`, `000001.SS`. */
export type ExchangeSign = ':' | '.';

/**
 * Whether an answer that names `named` is about `asked`, the symbol as it was sent: letter case, the exchange behind a symbol
 * and the sign of a share class (`BRK.B`, `BRK-B`, `BRK/B`) aside.
 *
 * An exchange may be missing on one side; two different ones are two listings. Behind a point only two and more characters
 * are an exchange, because a single one may be a share class. A pair may come without its sign: `EURUSD` for `EUR/USD`.
 * Whatever is no text names nothing, and is not the same.
 *
 * @example
 * ```ts
 * import { isSameSymbol } from 'fintrack-pipelines';
 *
 * console.log(isSameSymbol('BRK.B', 'brk-b'), isSameSymbol('BRK.B', 'BRK.A'));
 * // true false
 * console.log(isSameSymbol('TSCO:LSE', 'TSCO', ':'), isSameSymbol('TSCO:LSE', 'TSCO:NASDAQ', ':'));
 * // true false
 * ```
 *
 * @param exchangeSign what separates the provider's exchanges from its symbols. Default: it writes none
 */
export function isSameSymbol(asked: string, named: unknown, exchangeSign?: ExchangeSign): boolean {
  if (typeof named !== 'string') return false;
  const [own, other] = [foldCase(asked), foldCase(named)];
  if (own === other) return true;
  const [ask, answer] = [splitExchange(own, exchangeSign), splitExchange(other, exchangeSign)];
  if (ask.exchange !== '' && answer.exchange !== '' && ask.exchange !== answer.exchange) return false;
  const [wanted, found] = [ask.symbol, answer.symbol].map(foldClassSign);
  return wanted === found || pairWithoutSign(ask.symbol) === answer.symbol;
}

/** ASCII letters only: letters of other alphabets become ASCII ones in upper case, and a symbol has none. */
export function foldCase(symbol: string): string {
  return symbol.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}

function foldClassSign(symbol: string): string {
  return symbol.replace(/[-/]/g, '.');
}

/** A pair ends in a currency of three letters; a share class is shorter. */
function pairWithoutSign(symbol: string): string | undefined {
  const [, base, quote] = /^([A-Z0-9]{3,})[-./]([A-Z]{3})$/.exec(symbol) ?? [];
  return base === undefined || quote === undefined ? undefined : base + quote;
}

function splitExchange(symbol: string, sign: ExchangeSign | undefined): { symbol: string; exchange: string } {
  const at = sign === undefined ? -1 : symbol.lastIndexOf(sign);
  const exchange = symbol.slice(at + 1);
  const isExchange = at > 0 && exchange.length >= (sign === '.' ? 2 : 1);
  return isExchange ? { symbol: symbol.slice(0, at), exchange } : { symbol, exchange: '' };
}
