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

/**
 * What an answer means at any provider, before it is parsed: a 429 is `rate_limited`, 401 and 403 are `unauthorized`, 408,
 * 425 and 5xx `provider_unavailable`, any other status but 2xx `provider_rejected`, and a 2xx whose body is no whole JSON
 * object or list is `response_malformed`. Undefined when there is something to read.
 *
 * A provider's own `classify` asks first what only that provider says, such as a refusal inside a 200, and then this.
 *
 * @param nowMs the time in milliseconds since 1970, to read a date in `Retry-After`
 *
 * @example
 * ```ts
 * import { classifyAnswer } from 'fintrack-pipelines';
 *
 * const headers = new Headers({ 'retry-after': '30' });
 * console.log(classifyAnswer(429, headers, 'slow down', Date.now()));
 * // {
 * //   code: 'rate_limited',
 * //   retryable: true,
 * //   retryAfterMs: 30000,
 * //   status: 'HTTP 429',
 * //   text: 'slow down'
 * // }
 * console.log(classifyAnswer(200, headers, '<html>Please wait</html>', Date.now())?.code);
 * // response_malformed
 * console.log(classifyAnswer(200, headers, '{"AAPL":228.34}', Date.now()));
 * // undefined
 * ```
 */
export function classifyAnswer(status: number, headers: Headers, bodyText: string, nowMs: number): Refusal | undefined {
  const expected = bodyText.trimStart().startsWith('[') ? '[' : '{';
  return statusRefusal(status, headers, bodyText, nowMs) ?? formRefusal(status, bodyText, expected);
}

/**
 * What a status means at every provider; undefined for 2xx. A 401 or 403 that says nothing of the key is not its refusal, but
 * an outage: of a firewall, or of a gateway that has lost its session.
 */
export function statusRefusal(status: number, headers: Headers, text: string, nowMs: number): Refusal | undefined {
  if (status >= 200 && status <= 299) return undefined;
  const seen = { status: `HTTP ${status}`, text };
  const wait = retryAfterMs(headers, nowMs);
  if (status === 429) return { code: 'rate_limited', retryable: true, retryAfterMs: wait, ...seen };
  const isDenied = status === 401 || status === 403;
  if (isDenied && speaksOfKey(headers, text)) return { code: 'unauthorized', ...seen };
  if (isDenied || status === 408 || status === 425 || status >= 500) {
    return { code: 'provider_unavailable', retryable: true, retryAfterMs: wait, ...seen };
  }
  return { code: 'provider_rejected', ...seen };
}

/** Words for a key, and for the account or the plan behind it. */
const keyWords =
  /api[ _-]?key|(?<![a-z])(?:keys?|tokens?|credentials?|accounts?|subscri(?:be|bed|ptions?)|licen[cs]e|plan|user)(?![a-z])/i;

/** Whether a refusal is about the key. A page never is: no API answers with one. */
function speaksOfKey(headers: Headers, text: string): boolean {
  const isPage = text.trimStart().startsWith('<') || /\bhtml\b/i.test(headers.get('content-type') ?? '');
  return !isPage && keyWords.test(text.slice(0, 4096));
}

/**
 * What a 2xx body means that is no whole JSON object, or list where a list is expected: cut off (worth another try), a
 * text or a page; else undefined.
 */
export function formRefusal(status: number, body: string, expected: '{' | '[' = '{'): Refusal | undefined {
  const json = body.trim();
  if (json.startsWith(expected) && json.endsWith(expected === '{' ? '}' : ']')) return undefined;
  const truncated = json === '' || json.startsWith(expected);
  const text = json === '' ? 'empty body' : truncated ? `cut off after ${body.length} characters: ${json}` : json;
  return { code: 'response_malformed', retryable: truncated, status: `HTTP ${status}`, text };
}

/**
 * The error of a refusal: the provider's name, the status and the beginning of what it said, without any of the `secrets`,
 * because some providers send the key back in their complaint about it. A `rate_limited` refusal is a `RateLimitError`.
 *
 * @example
 * ```ts
 * import { refusalError, type Refusal } from 'fintrack-pipelines';
 *
 * const refusal: Refusal = { code: 'unauthorized', status: 'HTTP 401', text: 'unknown key: your-key' };
 * console.log(refusalError('example', refusal, ['your-key']).message);
 * // example: HTTP 401: unknown key: ***
 * ```
 */
export function refusalError(provider: string, refusal: Refusal, secrets: readonly string[] = []): ProviderError {
  const { code, retryable, retryAfterMs } = refusal;
  const message = `${refusal.status}: ${excerpt(refusal.text, secrets)}`;
  if (code === 'rate_limited') return new RateLimitError(provider, { message, retryAfterMs });
  return new ProviderError(code, `${provider}: ${message}`, { retryable, retryAfterMs });
}

/** The beginning of a text on one line, without secrets. */
export function excerpt(text: string, secrets: readonly string[]): string {
  const start = secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text.slice(0, 4096));
  const line = start.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 200)}...` : line;
}
