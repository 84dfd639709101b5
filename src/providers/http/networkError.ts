import { ProviderError } from '../../model/errors.ts';

/** Codes of failures that pass by themselves; every code of undici's own (`UND_ERR_*`) counts as one too. */
const transientCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  // A compressed body that was cut off.
  'Z_BUF_ERROR',
]);

/** The error of a call that got no answer, or not all of it. An unknown host or a bad certificate is not tried again. */
export function networkError(provider: string, error: unknown): ProviderError {
  const code = codeOf(error);
  const retryable = code !== undefined && (transientCodes.has(code) || code.startsWith('UND_ERR_'));
  const reason = [code ?? (error instanceof Error ? error.name : 'unknown'), ...proxyAnswer(error)].join(', ');
  return new ProviderError('provider_unavailable', `${provider}: no answer: ${reason}`, { retryable, cause: error });
}

/** A proxy that lets nobody through says so with a status. */
function proxyAnswer(error: unknown): string[] {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; depth += 1) {
    const [, status] = /^Proxy .*\((\d{3})\)/.exec(current.message) ?? [];
    if (status !== undefined) return [`the proxy answered ${status}`];
    current = current.cause;
  }
  return [];
}

/** `fetch` fails with a TypeError whose cause, or the cause of that, carries the code. */
function codeOf(error: unknown): string | undefined {
  for (let current = error, depth = 0; typeof current === 'object' && current !== null && depth < 5; depth += 1) {
    if ('code' in current && typeof current.code === 'string') return current.code;
    current = 'cause' in current ? current.cause : undefined;
  }
  return undefined;
}
