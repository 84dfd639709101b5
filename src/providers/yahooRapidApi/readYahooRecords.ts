import { readJson } from '../http/readJson.ts';
import type { Refusal } from '../http/refusal.ts';
import type { TextResponse } from '../http/requestText.ts';
import { isJsonRecord, type JsonRecord } from '../readDecimals.ts';
import { classifyYahooRapidApi } from './classifyYahooRapidApi.ts';

/** The records of an answer by their symbols in upper case, numbers as the text they were written in; or why there are none. */
export function readYahooRecords(
  { status, headers, body }: TextResponse,
  nowMs: number,
): ReadonlyMap<string, JsonRecord> | Refusal {
  const refusal = classifyYahooRapidApi(status, headers, body, nowMs);
  if (refusal !== undefined) return refusal;
  const seen = { status: `HTTP ${status}`, text: body };
  const answer = readJson(body);
  if (answer === undefined) return { code: 'response_malformed', retryable: true, ...seen };
  const response = isJsonRecord(answer) ? answer['quoteResponse'] : undefined;
  if (!isJsonRecord(response)) return { code: 'response_malformed', ...seen };
  const { result } = response as { result?: unknown };
  return Array.isArray(result) ? bySymbol(result) : { code: 'provider_rejected', ...seen };
}

function bySymbol(result: readonly unknown[]): ReadonlyMap<string, JsonRecord> {
  const records = new Map<string, JsonRecord>();
  for (const record of result) {
    if (isJsonRecord(record) && typeof record['symbol'] === 'string')
      records.set(record['symbol'].toUpperCase(), record);
  }
  return records;
}
