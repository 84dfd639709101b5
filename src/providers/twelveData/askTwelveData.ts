import { ProviderError } from '../../model/errors.ts';
import type { Provider } from '../../model/ports.ts';
import { endpointUrl } from '../http/baseUrl.ts';
import { hasTooManyValues } from '../http/hasTooManyValues.ts';
import { readJson } from '../http/readJson.ts';
import { refusalError, type Refusal } from '../http/refusal.ts';
import { requestText, type TextResponse } from '../http/requestText.ts';
import { headerCount } from '../http/retryAfter.ts';
import { symbolList } from '../http/symbolList.ts';
import { matchAnswers } from '../matchAnswers.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
import { classifyTwelveData, concernsSymbol, errorRefusal } from './classifyTwelveData.ts';
import type { ResolvedTwelveDataOptions } from './twelveDataOptions.ts';

export const providerName = 'twelve-data';

/** `TSCO:LSE` is Tesco, `TSCO` the tractors. */
export const exchangeSign = ':';

type Call = Parameters<Provider<unknown, unknown>['fetch']>[1];

/** What the provider said of one symbol: its record, or why there is none. */
export type Answer = Served | { readonly refusal: Refusal };

interface Served {
  readonly record: JsonRecord;
  /** Whether it stood under the symbol, which names it; an answer of one record has to name itself. */
  readonly isKeyed: boolean;
}

/** What one request brought. */
export interface Answers {
  /** Undefined where the provider left the symbol out. */
  readonly of: (symbol: string) => Answer | undefined;
  /** The symbols that it is about instead, where it is about none that was asked for. */
  readonly others: readonly string[];
}

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
  const { records, isKeyed, isPure } = recordsBySymbol(parseBody(response, options), symbols);
  const answers = new Map<string, Answer>();
  for (const [symbol, record] of records) {
    const isError = record['status'] === 'error';
    answers.set(symbol, isError ? { refusal: errorRefusal(record, status, headers, nowMs) } : { record, isKeyed });
  }
  throwIfCallRefused([...answers.values()], options);
  const found = matchAnswers(symbols, answers, exchangeSign);
  return { of: found.of, others: found.matched === 0 && (isPure || !isKeyed) ? found.others : [] };
}

/** A refusal in flat form is the one symbol's when only one was asked for, otherwise it is the call's. */
function refuse(refusal: Refusal, symbols: readonly string[], { apiKey }: ResolvedTwelveDataOptions): Answers {
  if (concernsSymbol(refusal) && symbols.length === 1) return { of: () => ({ refusal }), others: [] };
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
  if (hasTooManyValues(body)) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

interface SymbolRecords {
  readonly records: ReadonlyMap<string, JsonRecord>;
  /** Whether they stand under their symbols. */
  readonly isKeyed: boolean;
  /** Whether nothing else stands there, so that what stands there are symbols. */
  readonly isPure: boolean;
}

/** An answer for one symbol is its record; one for several is keyed by symbol, not always in the letter case asked for. */
function recordsBySymbol(body: JsonRecord, symbols: readonly string[]): SymbolRecords {
  const entries = Object.entries(body);
  const [first = ''] = symbols;
  const isPure = entries.every(([, value]) => isJsonRecord(value));
  const named = isPure ? undefined : nameOf(body);
  const name = symbols.length === 1 ? first : named;
  if (!isPure && typeof name === 'string') return { records: new Map([[name, body]]), isKeyed: false, isPure };
  const records = entries.filter((entry): entry is [string, JsonRecord] => isJsonRecord(entry[1]));
  return { records: new Map(records), isKeyed: true, isPure };
}

/** The symbol that a record says it is about: a quote at its top, a series in its `meta`. */
export function nameOf(record: JsonRecord): unknown {
  return record['symbol'] ?? metaOf(record)['symbol'];
}

export function metaOf({ meta }: JsonRecord & { readonly meta?: unknown }): JsonRecord {
  return isJsonRecord(meta) ? meta : {};
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
