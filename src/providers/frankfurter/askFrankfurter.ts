import { endpointUrl } from '../http/baseUrl.ts';
import { readJson } from '../http/readJson.ts';
import { refusalError } from '../http/refusal.ts';
import { requestText, type TextResponse } from '../http/requestText.ts';
import { symbolList } from '../http/symbolList.ts';
import { isDate, monthOf } from '../monthlyRanges.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
import { foldCase } from '../isSameSymbol.ts';
import { classifyFrankfurter, namesCurrency } from './classifyFrankfurter.ts';
import type { ResolvedFrankfurterOptions } from './frankfurterOptions.ts';

export const providerName = 'frankfurter';

/** One request: the rates of a base currency in several others. */
export interface RatesWanted {
  readonly base: string;
  readonly quotes: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
}

/** What one request brought. */
export interface Rates {
  /** The rows by quote currency; a currency that is unknown, or has no rates in these days, is not among them. */
  readonly byQuote: ReadonlyMap<string, readonly JsonRecord[]>;
  /** A pair, or a date, that a row names and nobody asked for. */
  readonly other?: string | undefined;
  /** Whether some rows do not name their pair. */
  readonly someUnnamed: boolean;
}

const noRates: Rates = { byQuote: new Map(), someUnnamed: false };

/**
 * Asks for the rates of one base currency. An unknown currency may refuse the whole request, by its name: then the others
 * are asked for once more without it.
 */
export async function askFrankfurter(
  wanted: RatesWanted,
  options: ResolvedFrankfurterOptions,
  signal: AbortSignal,
): Promise<Rates> {
  const { fetch, maxResponseBytes, now } = options;
  const url = urlOf(wanted, options);
  const response = await requestText({ provider: providerName, url, maxResponseBytes, signal, fetch });
  const { status, headers } = response;
  // No list is an empty one.
  const body = response.body.trim() === 'null' ? '[]' : response.body;
  const refusal = classifyFrankfurter(status, headers, body, now());
  if (refusal === undefined) return ratesOf({ status, body }, wanted);
  if (refusal.code !== 'symbol_unknown') throw refusalError(providerName, refusal);
  const quotes = wanted.quotes.filter((quote) => !namesCurrency(refusal, quote));
  if (namesCurrency(refusal, wanted.base) || quotes.length === 0) return noRates;
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

function ratesOf({ status, body }: Pick<TextResponse, 'status' | 'body'>, wanted: RatesWanted): Rates {
  const rows = readJson(body);
  if (!Array.isArray(rows)) {
    const text = `no valid JSON: ${body}`;
    const refusal = { code: 'response_malformed', retryable: true, status: `HTTP ${status}`, text } as const;
    throw refusalError(providerName, refusal);
  }
  const quotes = new Map(wanted.quotes.map((each) => [foldCase(each), { quote: each, rows: [] as JsonRecord[] }]));
  let other: string | undefined;
  let someUnnamed = false;
  for (const row of rows as readonly unknown[]) {
    const { base, quote, date } = isJsonRecord(row) ? row : {};
    if (typeof base !== 'string' || typeof quote !== 'string') {
      someUnnamed = true;
      continue;
    }
    const own = foldCase(base) === foldCase(wanted.base) ? quotes.get(foldCase(quote)) : undefined;
    if (own === undefined) other ??= `${base}/${quote}`;
    else if (isOutside(date, wanted.parameters)) other ??= `${base}/${quote} in ${monthOf(date)}`;
    else own.rows.push(row as JsonRecord);
  }
  const found = [...quotes.values()].filter((each) => each.rows.length > 0);
  return { byQuote: new Map(found.map((each) => [each.quote, each.rows])), other, someUnnamed };
}

/** Whether it is a date in none of the months asked for; what is no date at all is judged with its value. */
function isOutside(date: unknown, { from, to }: RatesWanted['parameters']): date is string {
  if (typeof date !== 'string' || !isDate(date) || from === undefined || to === undefined) return false;
  return monthOf(date) < monthOf(from) || monthOf(date) > monthOf(to);
}
