import { readShortObject } from '../http/readJson.ts';
import { formRefusal, statusRefusal, type Refusal } from '../http/refusal.ts';
import { headerCount, retryAfterMs } from '../http/retryAfter.ts';
import { isJsonRecord } from '../readDecimals.ts';

const secondMs = 1000;

/** What the gateway says about a key, whatever the status it says it with. */
const aboutTheKey = /\b(?:not subscribed|invalid api key|missing rapidapi application key|blocked user)\b/i;
/** What Yahoo says to the gateway when it no longer knows its session: nothing about our key, and over with the next session. */
const lostSession = /\b(?:invalid (?:cookie|crumb)|unauthorized)\b/i;
const exceeded = /\bexceeded the\b.*\b(?:rate limit|quota)\b/i;

/**
 * What an answer of Yahoo Finance through RapidAPI as a whole means; undefined when it serves something. RapidAPI's
 * gateway answers 429 for the rate per second and for the month's quota alike: only the text tells them apart.
 */
export function classifyYahooRapidApi(
  status: number,
  headers: Headers,
  bodyText: string,
  nowMs: number,
): Refusal | undefined {
  const message = messageOf(bodyText);
  const text = message ?? bodyText;
  const seen = { status: `HTTP ${status}`, text };
  if (status === 429 || (bodyText.length < 4096 && exceeded.test(text)))
    return { ...throttle(text, headers, nowMs), ...seen };
  if (message !== undefined && aboutTheKey.test(message)) return { code: 'unauthorized', ...seen };
  if (message !== undefined && lostSession.test(message)) {
    return { code: 'provider_unavailable', retryable: true, retryAfterMs: retryAfterMs(headers, nowMs), ...seen };
  }
  if (status === 404) return { code: 'provider_rejected', ...seen, text: `wrong path or key not subscribed: ${text}` };
  const refusal = statusRefusal(status, headers, text, nowMs) ?? formRefusal(status, bodyText);
  return refusal ?? (message === undefined ? undefined : { code: 'provider_rejected', ...seen });
}

/** When the quota comes back is told in seconds by a header. */
function throttle(text: string, headers: Headers, nowMs: number): Pick<Refusal, 'code' | 'retryable' | 'retryAfterMs'> {
  const reset = headerCount(headers, 'x-ratelimit-requests-reset');
  if (/\bquota\b/i.test(text)) {
    return { code: 'quota_exhausted', retryAfterMs: reset === undefined ? undefined : reset * secondMs };
  }
  const wait = retryAfterMs(headers, nowMs) ?? (/per second/i.test(text) ? secondMs : 60 * secondMs);
  return { code: 'rate_limited', retryable: true, retryAfterMs: wait };
}

/** The words of an error in the gateway's form or in Yahoo's own; undefined when there is none. */
function messageOf(bodyText: string): string | undefined {
  const body = readShortObject(bodyText) ?? {};
  const finance = isJsonRecord(body['finance']) ? body['finance']['error'] : undefined;
  const message = isJsonRecord(finance) ? finance['description'] : body['message'];
  return typeof message === 'string' ? message : undefined;
}
