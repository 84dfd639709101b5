import { readShortObject } from '../http/readJson.ts';
import { formRefusal, statusRefusal, type Refusal } from '../http/refusal.ts';

const unknownCurrency = /\b(?:invalid|unknown|unsupported)\b.*\bcurrenc(?:y|ies)\b/i;

/**
 * What an answer of Frankfurter as a whole means; undefined when it serves something. Errors are an object with a message,
 * where rates are a list; their status may stand in the body only.
 */
export function classifyFrankfurter(
  status: number,
  headers: Headers,
  bodyText: string,
  nowMs: number,
): Refusal | undefined {
  const error = readShortObject(bodyText);
  if (error === undefined || typeof error['message'] !== 'string') {
    return outage(statusRefusal(status, headers, bodyText, nowMs)) ?? formRefusal(status, bodyText, '[');
  }
  const text = error['message'];
  const code = Number(error['status'] ?? status);
  const seen = { status: code === status ? `HTTP ${status}` : `HTTP ${status}, status ${code}`, text };
  if (unknownCurrency.test(text)) return { code: 'symbol_unknown', ...seen };
  return { ...(outage(statusRefusal(code, headers, text, nowMs)) ?? { code: 'provider_rejected' }), ...seen };
}

/** There is no key to refuse: whatever denies us something is in the way, not the provider's verdict. */
function outage(refusal: Refusal | undefined): Refusal | undefined {
  return refusal?.code === 'unauthorized' ? { ...refusal, code: 'provider_unavailable', retryable: true } : refusal;
}

/** Whether a refusal names a currency as one that is unknown. */
export function namesCurrency({ text }: Refusal, currency: string): boolean {
  return new RegExp(String.raw`\b${currency}\b`).test(text);
}
