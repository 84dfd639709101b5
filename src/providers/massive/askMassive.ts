import type { ProviderError } from '../../model/errors.ts';
import { endpointUrl } from '../http/baseUrl.ts';
import { readJson } from '../http/readJson.ts';
import { refusalError, type Refusal } from '../http/refusal.ts';
import { requestText } from '../http/requestText.ts';
import type { DateRange } from '../monthlyRanges.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
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
  const bars = readBars(body);
  if (bars !== undefined) return bars;
  const text = `no bars: ${body}`;
  return refuse({ code: 'response_malformed', retryable: true, status: `HTTP ${status}`, text }, connection);
}

/** A refusal of the ticker is its answer; any other rejects the call. */
function refuse(refusal: Refusal, { symbol, apiKey }: Pick<Connection, 'symbol' | 'apiKey'>): ProviderError {
  const concernsTicker = refusal.code === 'symbol_unknown' || refusal.code === 'not_in_plan';
  if (!concernsTicker) throw refusalError(providerName, refusal, [apiKey]);
  return refusalError(providerName, { ...refusal, status: `${symbol}: ${refusal.status}` }, [apiKey]);
}

/** The list may be left out when it is empty; undefined when this is no answer with bars. */
function readBars(body: string): readonly JsonRecord[] | undefined {
  const answer = readJson(body);
  if (!isJsonRecord(answer)) return undefined;
  const { results = answer['resultsCount'] === '0' ? [] : undefined } = answer as { results?: unknown };
  return Array.isArray(results) && results.every(isJsonRecord) ? results : undefined;
}
