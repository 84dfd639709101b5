import { readShortObject } from '../http/readJson.ts';
import { formRefusal, statusRefusal, type Refusal } from '../http/refusal.ts';
import type { JsonRecord } from '../readDecimals.ts';

const exceeded = /\bexceeded the maximum requests\b/i;
const badKey = /\bapi key\b/i;

/**
 * What an answer of Massive as a whole means; undefined when it serves something. The body's `status` says `OK` or
 * `DELAYED` where it does, and otherwise what is wrong, whatever the HTTP status.
 */
export function classifyMassive(
  status: number,
  headers: Headers,
  bodyText: string,
  nowMs: number,
): Refusal | undefined {
  const body = readShortObject(bodyText) ?? {};
  const text = messageOf(body) ?? bodyText;
  const seen = { status: `HTTP ${status}`, text };
  if (status === 429 || (isError(body) && exceeded.test(text))) {
    return { ...statusRefusal(429, headers, text, nowMs), code: 'rate_limited', ...seen };
  }
  if (isError(body) && status < 500) {
    if (body['status'] === 'NOT_AUTHORIZED' && status !== 401) return { code: 'not_in_plan', ...seen };
    if (body['status'] === 'NOT_FOUND') return { code: 'symbol_unknown', ...seen };
    if (status === 401 || badKey.test(text)) return { code: 'unauthorized', ...seen };
  }
  const refusal = statusRefusal(status, headers, text, nowMs) ?? formRefusal(status, bodyText);
  return refusal ?? (isError(body) ? { code: 'provider_rejected', ...seen } : undefined);
}

function isError({ status }: JsonRecord & { readonly status?: unknown }): boolean {
  return typeof status === 'string' && status !== 'OK' && status !== 'DELAYED';
}

/** An error's words stand under one name or the other. */
function messageOf(body: JsonRecord): string | undefined {
  const message = body['error'] ?? body['message'];
  return typeof message === 'string' ? message : undefined;
}
