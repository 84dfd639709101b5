import kafkajs from 'kafkajs';
import { BrokerError, FencedError, PipelineError, PublishError } from '../../model/errors.ts';
import { withoutSecrets } from './kafkaLog.ts';

interface KafkaFailure extends Error {
  /** The name of the broker's error code, on errors it answered with. */
  readonly type?: string | undefined;
  /** The number of that code, or the name of a failure of the network. */
  readonly code?: unknown;
  readonly retriable?: boolean | undefined;
}

const fencing = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING']);
const rebalancing = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'NOT_COORDINATOR_FOR_GROUP',
]);
const startingUp = new Set(['GROUP_LOAD_IN_PROGRESS', 'GROUP_COORDINATOR_NOT_AVAILABLE']);
const hopeless = /AUTHORIZATION_FAILED$|^SASL_AUTHENTICATION_FAILED$|^UNSUPPORTED_/;

/** Codes of a network that fails, other than those of undici (`UND_ERR_*`): a function that gets tokens may meet them. */
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
]);

/** Whether the broker says that somebody else has the transactional id. */
export function isFencing(error: unknown): boolean {
  return chainOf(error).some(({ type }) => type !== undefined && fencing.has(type));
}

/** Whether the group is being shared out anew, so that the same may succeed afterwards. */
export function isRebalancing(error: unknown): boolean {
  return chainOf(error).some(({ type }) => type !== undefined && rebalancing.has(type));
}

/** Whether the broker is there, but does not lead the group yet: mostly it has just started. */
export function isStartingUp(error: unknown): boolean {
  return chainOf(error).some(({ type }) => type !== undefined && startingUp.has(type));
}

/** Whether an error is the broker's, of that code. */
export function isOfType(error: unknown, wanted: string): boolean {
  return chainOf(error).some(({ type }) => type === wanted);
}

/** Whether the broker does not take what it was sent at once, for its size. */
export function isTooLarge(error: unknown): boolean {
  return isOfType(error, 'MESSAGE_TOO_LARGE') || isOfType(error, 'RECORD_LIST_TOO_LARGE');
}

/** Whether no repetition mends it: who we are, or what we may. */
export function isHopeless(error: unknown): boolean {
  return chainOf(error).some(
    ({ type, name }) => name === 'KafkaJSSASLAuthenticationError' || (type !== undefined && hopeless.test(type)),
  );
}

/** The error of a source: what was tried, and what came of it; `internal` when neither Kafka nor the network has failed. */
export function brokerError(what: string, error: unknown, secrets: readonly string[]): PipelineError {
  if (PipelineError.isInstance(error)) return error;
  if (!isOfKafka(error)) return new PipelineError('internal', `Kafka: ${what}: ${messageOf(error, secrets)}`);
  const retryable = !isHopeless(error) && chainOf(error).at(-1)?.retriable !== false;
  const isAnswer = chainOf(error).some(({ type }) => type !== undefined);
  return new BrokerError(
    retryable && !isAnswer ? 'broker_unavailable' : 'broker_error',
    `Kafka: ${what}: ${messageOf(error, secrets)}`,
    { retryable },
  );
}

/** The error of a sink; a `FencedError` when somebody else has taken over. */
export function publishError(what: string, error: unknown, secrets: readonly string[]): PipelineError {
  if (PipelineError.isInstance(error)) return error;
  const message = `Kafka: ${what}: ${messageOf(error, secrets)}`;
  if (isFencing(error)) return new FencedError(message);
  return new PublishError(message, { retryable: chainOf(error).at(-1)?.retriable !== false });
}

/** kafkajs tries any error again and wraps it: the innermost says whose it is. */
function isOfKafka(error: unknown): boolean {
  const innermost = chainOf(error).at(-1);
  if (innermost === undefined) return false;
  const { type, code } = innermost;
  const isOfNetwork = typeof code === 'string' && (networkCodes.has(code) || code.startsWith('UND_ERR_'));
  return innermost instanceof kafkajs.KafkaJSError || type !== undefined || isOfNetwork;
}

/** Without a cause: those of kafkajs carry requests and settings along. */
function messageOf(error: unknown, secrets: readonly string[]): string {
  const innermost = chainOf(error).at(-1);
  const text = innermost === undefined ? String(error) : innermost.message;
  const type = innermost?.type;
  return withoutSecrets(type === undefined ? text : `${type}: ${text}`, secrets);
}

/** The error, and those it was made of. */
function chainOf(error: unknown): KafkaFailure[] {
  const chain: KafkaFailure[] = [];
  for (let next = error; next instanceof Error && chain.length < 10; next = next.cause) {
    if (chain.includes(next)) break;
    chain.push(next);
  }
  return chain;
}
