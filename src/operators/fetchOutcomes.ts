import type { Batch } from '../model/batch.ts';
import { PipelineError, ProviderError } from '../model/errors.ts';
import type { Outcome, PendingOutcome } from '../model/outcome.ts';
import type { FetchCall, Fetched, Fetcher } from '../model/ports.ts';
import { skippedBy } from './skipped.ts';

type BatchOutcome<I, T> = Batch<I, T>['outcomes'][number];

export function isPending<I>(outcome: BatchOutcome<I, unknown>): outcome is PendingOutcome<I> {
  return outcome.status === 'pending';
}

/**
 * Fetches the pending ones among `outcomes` and puts what became of them in their places. Never rejects: whatever goes
 * wrong becomes an outcome.
 */
export async function fetchOutcomes<I, T>(
  fetcher: Fetcher<I, T>,
  outcomes: readonly BatchOutcome<I, T>[],
  call: FetchCall<I, T>,
): Promise<Outcome<I, T>[]> {
  const inputs = distinct(outcomes.filter(isPending).map(({ input }) => input));
  const fetched = inputs.size === 0 ? [] : await askFetcher(fetcher, [...inputs.values()], call);
  const byKey = new Map([...inputs.keys()].map((key, position) => [key, fetched[position]]));
  return outcomes.map((outcome) =>
    isPending(outcome) ? outcomeOf(outcome.input, byKey.get(keyOf(outcome.input)), call.signal) : outcome,
  );
}

async function askFetcher<I, T>(
  fetcher: Fetcher<I, T>,
  inputs: readonly I[],
  call: FetchCall<I, T>,
): Promise<readonly Fetched<T>[]> {
  if (call.signal.aborted) return inputs.map(() => skippedBy(call.signal));
  try {
    const fetched = await fetcher.fetch(inputs, call);
    if (fetched.length === inputs.length) return fetched;
    const message = `${fetcher.name}: answered ${fetched.length} entries for ${inputs.length} inputs`;
    throw new ProviderError('response_malformed', message);
  } catch (error) {
    return inputs.map(() =>
      call.signal.aborted ? skippedBy(call.signal) : { status: 'failed', error: PipelineError.from(error) },
    );
  }
}

function outcomeOf<I, T>(input: I, fetched: Fetched<T> | undefined, signal: AbortSignal): Outcome<I, T> {
  switch (fetched?.status) {
    case 'ok': {
      const { value, provider, receivedAtMs } = fetched;
      return { status: 'ok', input, value, provider, receivedAtMs };
    }
    case 'fresh':
      return { status: 'fresh', input, value: fetched.value };
    case 'skipped':
      // A fetcher only knows that it was stopped, and not what for.
      if (signal.aborted && fetched.reason === 'canceled') return { input, ...skippedBy(signal) };
      return { ...fetched, input };
    case 'failed':
      // A call cut off by the request's signal is no failure of its inputs.
      if (signal.aborted && isCut(fetched.error, signal)) return { input, ...skippedBy(signal) };
      return { status: 'failed', input, stage: 'fetch', error: fetched.error };
    case undefined:
      return { status: 'failed', input, stage: 'fetch', error: new ProviderError('response_malformed', 'no answer') };
  }
}

function isCut(error: PipelineError, { reason }: AbortSignal): boolean {
  return error.code === 'canceled' || error === reason;
}

/** The inputs that differ, by what they hold: equal ones are fetched once. */
function distinct<I>(inputs: readonly I[]): Map<string, I> {
  return new Map(inputs.map((input) => [keyOf(input), input]));
}

function keyOf(input: unknown): string {
  return JSON.stringify(input);
}
