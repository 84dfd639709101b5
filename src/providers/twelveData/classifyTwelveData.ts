import { readShortObject } from '../http/readJson.ts';
import { formRefusal, statusRefusal, type Refusal } from '../http/refusal.ts';
import { retryAfterMs } from '../http/retryAfter.ts';
import type { JsonRecord } from '../readDecimals.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** Credits come back with the clock's minute; a little later is safe, whatever the clocks say. */
const minuteMarginMs = 250;

const unknownSymbol = /^\*\*symbol\*\*(?: or \*\*figi\*\*)? (?:parameter is missing or invalid|not found)/i;
const notInPlan = /\bavailable (?:starting with|exclusively)\b/i;
const noMonths = /^no data is available on the specified dates/i;

/**
 * What an answer of Twelve Data as a whole means; undefined when it serves something. The same refusal comes with its
 * own HTTP status or with 200, so the code in the body counts, where there is one.
 */
export function classifyTwelveData(
  status: number,
  headers: Headers,
  bodyText: string,
  nowMs: number,
): Refusal | undefined {
  const error = flatError(bodyText);
  if (error !== undefined) return errorRefusal(error, status, headers, nowMs);
  return statusRefusal(status, headers, bodyText, nowMs) ?? formRefusal(status, bodyText);
}

/** What an error object means, be it the whole answer or one symbol's part of it. */
export function errorRefusal(error: JsonRecord, status: number, headers: Headers, nowMs: number): Refusal {
  const code = Number(error['code'] ?? (status >= 400 ? status : 400));
  const text = typeof error['message'] === 'string' ? error['message'] : JSON.stringify(error);
  const seen = { status: code === status ? `HTTP ${status}` : `HTTP ${status}, code ${code}`, text };
  if (code === 429) return { ...throttle(text, headers, nowMs), ...seen };
  if (notInPlan.test(text)) return { code: 'not_in_plan', ...seen };
  // In Twelve Data's own form, it means the key, whatever the words.
  if (code === 401) return { code: 'unauthorized', ...seen };
  if (unknownSymbol.test(text)) return { code: 'symbol_unknown', ...seen };
  return { ...(statusRefusal(code, headers, text, nowMs) ?? { code: 'provider_rejected' }), ...seen };
}

/** Whether a refusal is about the symbol it was said of, and not about the call. */
export function concernsSymbol(refusal: Refusal): boolean {
  return refusal.code === 'symbol_unknown' || refusal.code === 'not_in_plan' || saysNoMonths(refusal);
}

/** Whether a refusal says that the symbol has no prices in the range asked for. */
export function saysNoMonths(refusal: Refusal): boolean {
  return noMonths.test(refusal.text);
}

/** The day's quota starts anew at midnight UTC, the minute's with the minute. */
function throttle(text: string, headers: Headers, nowMs: number): Pick<Refusal, 'code' | 'retryable' | 'retryAfterMs'> {
  if (/for the day\b/i.test(text)) return { code: 'quota_exhausted', retryAfterMs: dayMs - (nowMs % dayMs) };
  const wait = retryAfterMs(headers, nowMs) ?? minuteMs - (nowMs % minuteMs) + minuteMarginMs;
  return { code: 'rate_limited', retryable: true, retryAfterMs: wait };
}

/** The error object that is the whole answer, if it is one. */
function flatError(bodyText: string): JsonRecord | undefined {
  const body = bodyText.includes('"message"') ? readShortObject(bodyText) : undefined;
  const isError = body !== undefined && (body['status'] === 'error' || /^\d+$/.test(String(body['code'])));
  return isError ? body : undefined;
}
