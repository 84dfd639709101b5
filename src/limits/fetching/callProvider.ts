import { PipelineError, ProviderError } from '../../model/errors.ts';
import type { Grant, Provider, QuotaSeen } from '../../model/ports.ts';
import type { AbortListeners } from '../abortListeners.ts';
import { asProviderError } from '../retryPolicy.ts';
import { orAborted } from './orAborted.ts';

/** The circumstances of one request to a provider. */
export interface CallCircumstances {
  /** Ends the call at once when it aborts. */
  readonly signal: AbortSignal;
  readonly aborts: AbortListeners;
  readonly timeoutMs: number;
  /** Learns what the provider says of its quota; its own deadline binds as well. */
  readonly grant: Pick<Grant, 'report' | 'deadlineAtMs'>;
}

/**
 * One request to a provider, held to its contract: one value or error per input, within the time limit. Rejects with a
 * `PipelineError` in every other case, and as soon as the time is over or `signal` aborts, whatever the provider does.
 */
export async function callProvider<I, T>(
  provider: Provider<I, T>,
  inputs: readonly I[],
  { signal, aborts, timeoutMs: mostMs, grant }: CallCircumstances,
): Promise<readonly (T | PipelineError)[]> {
  const timeoutMs = Math.min(mostMs, Math.floor((grant.deadlineAtMs ?? Infinity) - performance.now()));
  if (timeoutMs <= 0) throw timeout(provider.name, 'the time of its credits was over before it was sent');
  const controller = new AbortController();
  const cancel = (): void => {
    controller.abort(
      new PipelineError('canceled', `${provider.name}: the call was canceled`, { cause: signal.reason }),
    );
  };
  const forget = aborts.add(signal, cancel);
  const timer = setTimeout(() => {
    controller.abort(timeout(provider.name, `no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    if (signal.aborted) cancel();
    const report = (seen: QuotaSeen): void => {
      grant.report(seen);
    };
    const answer = fetchAsync(provider, inputs, { signal: controller.signal, report });
    return checked(provider.name, inputs.length, await orAborted(answer, controller.signal, aborts));
  } catch (error) {
    // The provider may reject for the abort first, in words of its own.
    throw asProviderError(provider.name, controller.signal.aborted ? controller.signal.reason : error);
  } finally {
    clearTimeout(timer);
    forget();
  }
}

/** An error thrown at once by a provider's `fetch` is a rejection like any other. */
async function fetchAsync<I, T>(
  provider: Provider<I, T>,
  inputs: readonly I[],
  call: Parameters<Provider<I, T>['fetch']>[1],
): Promise<readonly (T | PipelineError)[]> {
  return provider.fetch(inputs, call);
}

function checked<T>(name: string, expected: number, values: readonly T[]): readonly T[] {
  const count = Array.isArray(values) ? values.length : undefined;
  if (count === expected) return values;
  const seen = count === undefined ? 'no array' : `${count} values`;
  throw new ProviderError('internal', `${name}: broke the provider contract with ${seen} for ${expected} inputs`);
}

function timeout(provider: string, message: string): ProviderError {
  return new ProviderError('timeout', `${provider}: ${message}`, { retryable: true });
}
