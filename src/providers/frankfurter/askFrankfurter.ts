import { endpointUrl } from '../http/baseUrl.ts';
import { readJson } from '../http/readJson.ts';
import { refusalError } from '../http/refusal.ts';
import { requestText, type TextResponse } from '../http/requestText.ts';
import { symbolList } from '../http/symbolList.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
import { classifyFrankfurter, namesCurrency } from './classifyFrankfurter.ts';
import type { ResolvedFrankfurterOptions } from './frankfurterOptions.ts';

export const providerName = 'frankfurter';

/** One request: the rates of a base currency in several others. */
export interface RatesWanted {
  readonly base: string;
  readonly quotes: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
}

/** The rows of an answer by quote currency; a currency that is unknown, or has no rates in these days, is not among them. */
export type RowsByQuote = ReadonlyMap<string, readonly JsonRecord[]>;

/**
 * Asks for the rates of one base currency. An unknown currency may refuse the whole request, by its name: then the others
 * are asked for once more without it.
 */
export async function askFrankfurter(
  wanted: RatesWanted,
  options: ResolvedFrankfurterOptions,
  signal: AbortSignal,
): Promise<RowsByQuote> {
  const { fetch, maxResponseBytes, now } = options;
  const url = urlOf(wanted, options);
  const response = await requestText({ provider: providerName, url, maxResponseBytes, signal, fetch });
  const { status, headers, body } = response;
  const refusal = classifyFrankfurter(status, headers, body, now());
  if (refusal === undefined) return rowsByQuote(response);
  if (refusal.code !== 'symbol_unknown') throw refusalError(providerName, refusal);
  const quotes = wanted.quotes.filter((quote) => !namesCurrency(refusal, quote));
  if (namesCurrency(refusal, wanted.base) || quotes.length === 0) return new Map();
  // Not to be asked again: which of them is meant is not said.
  if (quotes.length === wanted.quotes.length) {
    throw refusalError(providerName, { ...refusal, code: 'provider_rejected' });
  }
  return askFrankfurter({ ...wanted, quotes }, options, signal);
}

function urlOf({ base, quotes, parameters }: RatesWanted, { baseUrl, sources }: ResolvedFrankfurterOptions): string {
  const rest = { ...parameters, ...(sources === undefined ? {} : { providers: sources.join(',') }) };
  const query = Object.entries(rest).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`);
  return `${endpointUrl(baseUrl, '/v2/rates')}?base=${base}&quotes=${symbolList(quotes)}${query.join('')}`;
}

function rowsByQuote({ status, body }: TextResponse): RowsByQuote {
  const rows = readJson(body);
  if (!Array.isArray(rows)) {
    const text = `no valid JSON: ${body}`;
    const refusal = { code: 'response_malformed', retryable: true, status: `HTTP ${status}`, text } as const;
    throw refusalError(providerName, refusal);
  }
  const byQuote = new Map<string, JsonRecord[]>();
  for (const row of (rows as readonly unknown[]).filter(isJsonRecord)) {
    const quote = String(row['quote']);
    const known = byQuote.get(quote);
    if (known === undefined) byQuote.set(quote, [row]);
    else known.push(row);
  }
  return byQuote;
}
