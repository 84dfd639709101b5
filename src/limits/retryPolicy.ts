import { PipelineError, ProviderError } from '../model/errors.ts';
import type { ErrorCode } from '../model/errors.ts';

const baseMs = 500;
const longestMs = 30_000;
/** A provider that asks for more than this is retried all the same: its next answer will tell. */
const longestAskedMs = 60_000;

/** The codes with which Node.js reports that a request got no answer. */
const networkCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
]);

const endingCodes = new Set<ErrorCode>(['unauthorized', 'quota_exhausted', 'canceled']);
const outageCodes = new Set<ErrorCode>(['timeout', 'provider_unavailable']);
const unansweredCodes = new Set<ErrorCode>(['timeout', 'provider_unavailable', 'canceled', 'internal']);

/**
 * How long to wait before a retry: full jitter, `random() * min(30 s, 500 ms * 2^retries)`, which spreads callers that
 * failed together; never less than the provider asked for, up to a minute.
 *
 * @param retries how many retries came before this one
 */
export function retryDelayMs(error: PipelineError, retries: number, random: () => number): number {
  const jitterMs = random() * Math.min(longestMs, baseMs * 2 ** retries);
  const askedMs = error.retryAfterMs ?? 0;
  return Number.isFinite(askedMs) ? Math.max(jitterMs, Math.min(askedMs, longestAskedMs)) : jitterMs;
}

/** Whether the provider refused the call for its rate: the limiter pauses, and the call is no attempt. */
export function isRateLimit(error: PipelineError): boolean {
  return error.code === 'rate_limited';
}

/** Errors that say of every later call what they say of this one. */
export function endsBatch(error: PipelineError): boolean {
  return endingCodes.has(error.code);
}

/** Whether the same call may succeed a little later. */
export function isTransient(error: PipelineError): boolean {
  return error.retryable && !isRateLimit(error) && !endsBatch(error);
}

/** Whether the provider is known to have answered; otherwise the call may still arrive there. */
export function isAnswer(error: unknown): boolean {
  return PipelineError.isInstance(error) && !unansweredCodes.has(error.code);
}

/** Whether no answer came, or no whole one: what opens the circuit of a provider. */
export function isOutage(error: PipelineError): boolean {
  return outageCodes.has(error.code) || (error.code === 'response_malformed' && error.retryable);
}

/** Any failure of a provider's `fetch` as a PipelineError; a lost connection is retryable, an unknown error is not. */
export function asProviderError(provider: string, error: unknown): PipelineError {
  if (PipelineError.isInstance(error)) return error;
  const code = networkCode(error);
  if (code !== undefined) {
    return new ProviderError('provider_unavailable', `${provider}: no connection (${code})`, {
      retryable: true,
      cause: error,
    });
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new ProviderError('internal', `${provider}: ${withoutQueries(text)}`, { cause: error });
}

function networkCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error ? error.code : undefined;
  return typeof code === 'string' && networkCodes.has(code) ? code : networkCode(error.cause);
}

/** A message of unknown origin may quote a URL, and a URL's query may hold the key. */
function withoutQueries(text: string): string {
  return text.replace(/(\w:\/\/)\S*/g, '$1...');
}
