import { ProviderError } from '../../model/errors.ts';
import { hideSecrets } from './hideSecrets.ts';

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

/** Codes by which Node and undici refuse what they were given, before anything is sent. */
const refusedArgument =
  /^ERR_(HTTP_)?INVALID_|^ERR_UNESCAPED_|^UND_ERR_(INVALID_ARG|INVALID_RETURN_VALUE|NOT_SUPPORTED)$/;

/** How `fetch` says that the network has failed: both are a TypeError, as is many a mistake. */
const networkMessages = new Set(['fetch failed', 'terminated']);

/** Errors of a time limit, which a `fetch` of the user's may have. */
const timeLimits = new Set(['AbortError', 'TimeoutError']);

/** What JavaScript throws for a mistake. */
const mistakes = new Set(['TypeError', 'ReferenceError', 'RangeError', 'SyntaxError', 'EvalError', 'URIError']);

/**
 * The error of a call that got no answer, or not all of it: `provider_unavailable` when the network has failed, where an unknown
 * host or a bad certificate is not tried again, and `internal` for a mistake in the `fetch` that was given, or in its options.
 */
export function networkError(
  provider: string,
  error: unknown,
  headers?: Readonly<Record<string, string>>,
): ProviderError {
  if (!isOfNetwork(error)) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const message = `${provider}: fetch: ${hideSecrets(withoutAddresses(text), headers)}`;
    return new ProviderError('internal', message, { cause: error });
  }
  const code = codeOf(error);
  const name = error instanceof Error ? error.name : 'unknown';
  const passes = code === undefined ? timeLimits.has(name) : transientCodes.has(code) || code.startsWith('UND_ERR_');
  const reason = [code ?? name, ...proxyAnswer(error)].join(', ');
  return new ProviderError('provider_unavailable', `${provider}: no answer: ${reason}`, {
    retryable: passes,
    cause: error,
  });
}

/** A code says whose error it is. Without one `fetch` says it by its message, unless its cause is a mistake of a dispatcher. */
function isOfNetwork(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return !refusedArgument.test(code);
  const [outermost, ...causes] = chainOf(error);
  if (!(outermost instanceof Error)) return false;
  const { name, message } = outermost;
  if (timeLimits.has(name) || name === 'FetchError') return true;
  return networkMessages.has(message) && !causes.some((cause) => cause instanceof Error && mistakes.has(cause.name));
}

/** A proxy that lets nobody through says so with a status. */
function proxyAnswer(error: unknown): string[] {
  for (const { message } of chainOf(error).filter((link) => link instanceof Error)) {
    const [, status] = /^Proxy .*\((\d{3})\)/.exec(message) ?? [];
    if (status !== undefined) return [`the proxy answered ${status}`];
  }
  return [];
}

/** `fetch` fails with a TypeError whose cause, or the cause of that, carries the code. */
function codeOf(error: unknown): string | undefined {
  return chainOf(error)
    .map((link) => ('code' in link ? link.code : undefined))
    .find((code) => typeof code === 'string');
}

/** The error, and those it was made of. */
function chainOf(error: unknown): object[] {
  const chain: object[] = [];
  for (let next = error; typeof next === 'object' && next !== null && chain.length < 5;) {
    chain.push(next);
    next = 'cause' in next ? next.cause : undefined;
  }
  return chain;
}

/** A message of unknown origin may quote a URL, and a URL's query may hold the key. */
function withoutAddresses(text: string): string {
  return text.replace(/(\w:\/\/)\S*/g, '$1...');
}
