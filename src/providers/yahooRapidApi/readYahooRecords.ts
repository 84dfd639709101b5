import { readJson } from '../http/readJson.ts';
import type { Refusal } from '../http/refusal.ts';
import type { TextResponse } from '../http/requestText.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
import { classifyYahooRapidApi } from './classifyYahooRapidApi.ts';

/** The records of an answer. */
export interface YahooRecords {
  /** By their symbols, numbers as the text they were written in. */
  readonly bySymbol: ReadonlyMap<string, JsonRecord>;
  /** Whether some do not say which symbol they are about. */
  readonly someUnnamed: boolean;
}

/** The records of an answer, or why there are none. */
export function readYahooRecords({ status, headers, body }: TextResponse, nowMs: number): YahooRecords | Refusal {
  const refusal = classifyYahooRapidApi(status, headers, body, nowMs);
  if (refusal !== undefined) return refusal;
  const seen = { status: `HTTP ${status}`, text: body };
  const answer = readJson(body);
  if (answer === undefined) return { code: 'response_malformed', retryable: true, ...seen };
  const response = isJsonRecord(answer) ? answer['quoteResponse'] : undefined;
  if (!isJsonRecord(response)) return { code: 'response_malformed', ...seen };
  const { result = null, error = null } = response as { result?: unknown; error?: unknown };
  if (result === null && error === null) return recordsOf([]);
  return Array.isArray(result) ? recordsOf(result) : { code: 'provider_rejected', ...seen };
}

function recordsOf(result: readonly unknown[]): YahooRecords {
  const bySymbol = new Map<string, JsonRecord>();
  let someUnnamed = false;
  for (const record of result) {
    if (isJsonRecord(record) && typeof record['symbol'] === 'string') bySymbol.set(record['symbol'], record);
    else someUnnamed = true;
  }
  return { bySymbol, someUnnamed };
}
