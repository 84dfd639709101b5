import { ProviderError } from '../../model/errors.ts';
import type { Provider } from '../../model/ports.ts';
import { endpointUrl } from '../http/baseUrl.ts';
import { readJson } from '../http/readJson.ts';
import { refusalError, type Refusal } from '../http/refusal.ts';
import { requestText, type TextResponse } from '../http/requestText.ts';
import { headerCount } from '../http/retryAfter.ts';
import { symbolList } from '../http/symbolList.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
import { classifyTwelveData, concernsSymbol, errorRefusal } from './classifyTwelveData.ts';
import type { ResolvedTwelveDataOptions } from './twelveDataOptions.ts';

export const providerName = 'twelve-data';

type Call = Parameters<Provider<unknown, unknown>['fetch']>[1];

/** What the provider said of one symbol: its record, or why there is none. */
export type Answer = { readonly record: JsonRecord } | { readonly refusal: Refusal };

/** The answers by the symbol asked for; undefined where the provider left one out. */
export type Answers = (symbol: string) => Answer | undefined;

/** One request for these symbols. Rejects when the call as a whole was refused. */
export async function askTwelveData(
  symbols: readonly string[],
  parameters: Readonly<Record<string, string>>,
  options: ResolvedTwelveDataOptions,
  call: Call,
): Promise<Answers> {
  const response = await requestText({
    provider: providerName,
    url: urlOf(symbols, parameters, options),
    headers: { authorization: `apikey ${options.apiKey}` },
    maxResponseBytes: options.maxResponseBytes,
    signal: call.signal,
    fetch: options.fetch,
    onHeaders: (headers) => {
      const [used, left] = [headerCount(headers, 'api-credits-used'), headerCount(headers, 'api-credits-left')];
      if (used !== undefined || left !== undefined) call.report({ used, left });
    },
  });
  return readAnswers(response, symbols, options);
}

function urlOf(
  symbols: readonly string[],
  parameters: Readonly<Record<string, string>>,
  { baseUrl, path }: ResolvedTwelveDataOptions,
): string {
  const rest = Object.entries(parameters).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`);
  return `${endpointUrl(baseUrl, path)}?symbol=${symbolList(symbols)}${rest.join('')}`;
}

function readAnswers(response: TextResponse, symbols: readonly string[], options: ResolvedTwelveDataOptions): Answers {
  const { status, headers, body } = response;
  const nowMs = options.now();
  const refusal = classifyTwelveData(status, headers, body, nowMs);
  if (refusal !== undefined) return refuse(refusal, symbols, options);
  const records = recordsBySymbol(parseBody(response, options), symbols);
  const answers = new Map<string, Answer>();
  for (const [symbol, record] of records) {
    const isError = record['status'] === 'error';
    answers.set(symbol, isError ? { refusal: errorRefusal(record, status, headers, nowMs) } : { record });
  }
  throwIfCallRefused([...answers.values()], options);
  return (symbol) => answers.get(symbol) ?? answers.get(symbol.toUpperCase());
}

/** A refusal in flat form is the one symbol's when only one was asked for, otherwise it is the call's. */
function refuse(refusal: Refusal, symbols: readonly string[], { apiKey }: ResolvedTwelveDataOptions): Answers {
  if (concernsSymbol(refusal) && symbols.length === 1) return () => ({ refusal });
  // Which symbol is unknown is not said, so none of them may be remembered as unknown.
  const code = refusal.code === 'symbol_unknown' ? 'provider_rejected' : refusal.code;
  throw refusalError(providerName, { ...refusal, code }, [apiKey]);
}

/** A number as price is not documented; where one comes all the same, it keeps its digits as text. */
const numericPrices = /"(?:close|change|percent_change|high|low)"\s*:\s*-?\d/;

function parseBody({ status, body }: TextResponse, { apiKey }: ResolvedTwelveDataOptions): JsonRecord {
  const value = numericPrices.test(body) ? readJson(body) : parseQuickly(body);
  if (isJsonRecord(value)) return value;
  const text = `no valid JSON: ${body}`;
  const refusal = { code: 'response_malformed', retryable: true, status: `HTTP ${status}`, text } as const;
  throw refusalError(providerName, refusal, [apiKey]);
}

/** A batch of text prices is long, and the parser that keeps digits is slower. */
function parseQuickly(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** An answer for one symbol is its record; one for several is keyed by symbol, not always in the letter case asked for. */
function recordsBySymbol(body: JsonRecord, symbols: readonly string[]): Map<string, JsonRecord> {
  const entries = Object.entries(body);
  const [first = ''] = symbols;
  const isFlat = symbols.length === 1 && !entries.every(([, value]) => isJsonRecord(value));
  if (isFlat) return new Map([[first, body]]);
  const records = new Map<string, JsonRecord>();
  for (const [symbol, value] of entries) {
    if (!isJsonRecord(value)) continue;
    records.set(symbol, value);
    if (!Object.hasOwn(body, symbol.toUpperCase())) records.set(symbol.toUpperCase(), value);
  }
  return records;
}

const callCodes: readonly string[] = ['rate_limited', 'quota_exhausted', 'unauthorized'];

/** The quota or the key refused with every symbol is the call's refusal, only written down once per symbol. */
function throwIfCallRefused(answers: readonly Answer[], { apiKey }: ResolvedTwelveDataOptions): void {
  const [first] = answers;
  if (first === undefined || !('refusal' in first)) return;
  const isCalls = (answer: Answer): boolean => 'refusal' in answer && callCodes.includes(answer.refusal.code);
  if (answers.every(isCalls)) throw refusalError(providerName, first.refusal, [apiKey]);
}

/** The error of a symbol that the provider left out of its answer. */
export function leftOut(symbol: string): ProviderError {
  return new ProviderError('response_malformed', `${providerName}: ${symbol}: not in the answer`);
}
