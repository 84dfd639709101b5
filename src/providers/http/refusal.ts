import { ProviderError, RateLimitError, type ErrorCode } from '../../model/errors.ts';
import { retryAfterMs } from './retryAfter.ts';

/** What an answer means that serves nothing: the result of a provider's `classify`. */
export interface Refusal {
  readonly code: ErrorCode;
  /** Whether the same call may succeed later. Default: false. */
  readonly retryable?: boolean | undefined;
  /** How long to wait before the next call, in milliseconds. Default: none. */
  readonly retryAfterMs?: number | undefined;
  /** The status, as people say it: `HTTP 429`. */
  readonly status: string;
  /** The provider's own words, as they came. */
  readonly text: string;
}

/** What a status means at every provider; undefined for 2xx. */
export function statusRefusal(status: number, headers: Headers, text: string, nowMs: number): Refusal | undefined {
  if (status >= 200 && status <= 299) return undefined;
  const seen = { status: `HTTP ${status}`, text };
  const wait = retryAfterMs(headers, nowMs);
  if (status === 429) return { code: 'rate_limited', retryable: true, retryAfterMs: wait, ...seen };
  if (status === 408 || status === 425 || status >= 500) {
    return { code: 'provider_unavailable', retryable: true, retryAfterMs: wait, ...seen };
  }
  return { code: status === 401 || status === 403 ? 'unauthorized' : 'provider_rejected', ...seen };
}

/** What a 2xx body means that is no whole JSON object: cut off (worth another try), a text or a page; else undefined. */
export function formRefusal(status: number, body: string): Refusal | undefined {
  const json = body.trim();
  if (json.startsWith('{') && json.endsWith('}')) return undefined;
  const truncated = json === '' || json.startsWith('{');
  const text = json === '' ? 'empty body' : truncated ? `cut off after ${body.length} characters: ${json}` : json;
  return { code: 'response_malformed', retryable: truncated, status: `HTTP ${status}`, text };
}

/** The error of a refusal: provider, status and the beginning of what it said, without any of the `secrets`. */
export function refusalError(provider: string, refusal: Refusal, secrets: readonly string[]): ProviderError {
  const { code, retryable, retryAfterMs } = refusal;
  const message = `${refusal.status}: ${excerpt(refusal.text, secrets)}`;
  if (code === 'rate_limited') return new RateLimitError(provider, { message, retryAfterMs });
  return new ProviderError(code, `${provider}: ${message}`, { retryable, retryAfterMs });
}

/** The beginning of a text on one line. Some providers send the key back in their complaint about it. */
export function excerpt(text: string, secrets: readonly string[]): string {
  const start = secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text.slice(0, 4096));
  const line = start.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 200)}...` : line;
}
