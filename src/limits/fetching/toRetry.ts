import type { PipelineError } from '../../model/errors.ts';
import type { FetchCall } from '../../model/ports.ts';
import { isOutage, isTransient } from '../retryPolicy.ts';
import type { Entry } from './inputQueue.ts';
import type { SharedCall } from './sharedCalls.ts';
import type { BatchSettings } from './turn.ts';

/** An input that a call failed. */
export interface Failure<I> {
  readonly entry: Entry<I>;
  readonly error: PipelineError;
}

/**
 * Which failures of a call are tried again.
 *
 * What fails with a provider that is down is no attempt of its inputs: `outageMs` bounds their wait, and there is no load to
 * keep from it, because nothing is sent but a trial now and then. Where an outage is waited for without end, the provider
 * counts as down for them as soon as it has answered nothing for as many calls as an input has attempts: few inputs would
 * otherwise wear out theirs before the circuit opens.
 */
export function toRetry<I, T>(
  failures: readonly Failure<I>[],
  call: SharedCall<I, T>,
  { state, maxRetries, outageMs }: Pick<BatchSettings<I, T>, 'state' | 'maxRetries' | 'outageMs'>,
  { failFast = false }: Pick<FetchCall<I, T>, 'failFast'>,
): readonly Failure<I>[] {
  const { isDown, failuresInARow } = state.breaker;
  const isSilent = outageMs === Infinity && failuresInARow > maxRetries;
  const transient = failures.filter(({ entry, error }) => {
    const isOutOfCount = isDown || (isSilent && !failFast && isOutage(error));
    return isTransient(error) && (isOutOfCount || entry.failures < maxRetries);
  });
  if (transient.length === 0) return transient;
  return call.mayRetry(() => isDown || isSilent || state.budget.take()) ? transient : [];
}
