import type { ProviderError } from '../../model/errors.ts';
import { answersOther, namesNothing } from '../answersOther.ts';
import { endpointUrl } from '../http/baseUrl.ts';
import { readJson } from '../http/readJson.ts';
import { refusalError, type Refusal } from '../http/refusal.ts';
import { requestText } from '../http/requestText.ts';
import type { DateRange } from '../monthlyRanges.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
import { isSameSymbol } from '../isSameSymbol.ts';
import { classifyMassive } from './classifyMassive.ts';

export const providerName = 'massive';

/** The bars of a ticker, none when it has none in the range; or why it has none alone. */
export type MassiveBars = readonly JsonRecord[] | ProviderError;

interface Connection {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly maxResponseBytes: number;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** The symbol as the user knows it, for errors. */
  readonly symbol: string;
}

/** One request for the months of one ticker. Rejects when it was refused for another reason than the ticker. */
export async function askMassive(
  wanted: DateRange & { readonly ticker: string },
  connection: Connection,
): Promise<MassiveBars> {
  const { apiKey, baseUrl, maxResponseBytes, fetch, now, signal } = connection;
  const { ticker, startDate, endDate } = wanted;
  const range = [ticker, 'range', '1', 'month', startDate, endDate].map(encodeURIComponent);
  const { status, headers, body } = await requestText({
    provider: providerName,
    // The most days a request may be made of; its default is fewer.
    url: `${endpointUrl(baseUrl, `v2/aggs/ticker/${range.join('/')}`)}?adjusted=true&sort=asc&limit=50000`,
    headers: { authorization: `Bearer ${apiKey}` },
    maxResponseBytes,
    signal,
    fetch,
  });
  const refusal = classifyMassive(status, headers, body, now());
  if (refusal !== undefined) return refuse(refusal, connection);
  const answer = readJson(body);
  const seen = { code: 'response_malformed', status: `HTTP ${status}`, text: `no bars: ${body}` } as const;
  if (!isJsonRecord(answer)) return refuse({ ...seen, retryable: true }, connection);
  const bars = barsOf(answer);
  if (bars === undefined) return refuse(seen, connection);
  return checkTicker(bars, answer['ticker'], { ticker, symbol: connection.symbol }) ?? bars;
}

/** An answer without bars need not say whose they are. */
function checkTicker(
  bars: readonly JsonRecord[],
  named: unknown,
  { ticker, symbol }: { readonly ticker: string; readonly symbol: string },
): ProviderError | undefined {
  const subject = `${providerName}: ${symbol}`;
  if (named === undefined || named === null) return bars.length === 0 ? undefined : namesNothing(subject, 'ticker');
  return isSameSymbol(ticker, named) ? undefined : answersOther(subject, ticker, named);
}

/** A refusal of the ticker is its answer; any other rejects the call. */
function refuse(refusal: Refusal, { symbol, apiKey }: Pick<Connection, 'symbol' | 'apiKey'>): ProviderError {
  const concernsTicker = refusal.code === 'symbol_unknown' || refusal.code === 'not_in_plan';
  if (!concernsTicker) throw refusalError(providerName, refusal, [apiKey]);
  return refusalError(providerName, { ...refusal, status: `${symbol}: ${refusal.status}` }, [apiKey]);
}

/** The list may be null or left out when it is empty; undefined when this is no answer with bars. */
function barsOf(answer: JsonRecord): readonly JsonRecord[] | undefined {
  const { results, resultsCount, status } = answer;
  if (results === undefined || results === null) {
    const isServed = resultsCount === undefined ? typeof status === 'string' : resultsCount === '0';
    return isServed ? [] : undefined;
  }
  return Array.isArray(results) && results.every(isJsonRecord) ? results : undefined;
}
