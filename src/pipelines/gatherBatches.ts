import { defer, Observable, takeUntil } from 'rxjs';
import { z } from 'zod';
import { fromPull } from '../flow/fromPull.ts';
import { pause } from '../flow/pause.ts';
import type { Batch } from '../model/batch.ts';
import { defineOptions, port } from '../model/defineOptions.ts';
import type { Delivery } from '../model/delivery.ts';
import { OptionsError, PipelineError } from '../model/errors.ts';
import { countOutcomes } from '../model/outcome.ts';
import type { Ledger, Sink } from '../model/ports.ts';
import type { RunObserver } from '../model/runEvents.ts';
import { relayTo } from '../operators/relayTo.ts';

export interface GatherBatchesOptions<I, T> {
  /** The request; its signal ends the waiting. */
  delivery: Pick<Delivery<unknown, I>, 'id' | 'inputs' | 'batchSize' | 'signal'>;
  /** Where the batches are written, by whomever; it needs a ledger. */
  sink: Sink<I, T>;
  /** How often the ledger is asked for new batches, in milliseconds between two questions. Default: 250. */
  pollMs?: number | undefined;
  /**
   * How long to wait for the next batch, in milliseconds, before the request is given back, so that what became of the missing
   * ones is found out anew: in that time even a slow lane gets its share of a small quota. Default: 21,600,000 (6 hours).
   */
  patienceMs?: number | undefined;
  /** Gets `batch-stored`. Default: nobody. */
  events?: RunObserver | undefined;
}

const resolveOptions = defineOptions<GatherBatchesOptions<unknown, unknown>>('gatherBatches')({
  delivery: z.custom<GatherBatchesOptions<unknown, unknown>['delivery']>(
    (value) => typeof value === 'object' && value !== null && 'signal' in value,
    { error: 'expected a delivery' },
  ),
  sink: port<Sink<unknown, unknown>>('a sink', 'write'),
  pollMs: z.number().min(1).default(250),
  patienceMs: z.number().min(1).default(21_600_000),
  events: port<RunObserver>('an observer', 'next').optional(),
});

/** The longest time between two questions to a database that is away. */
const longestPauseMs = 5_000;

/**
 * Emits the batches of a request as they get into the ledger, whoever does them, each once, and completes when all are there.
 *
 * It fetches and writes nothing: it is for the owner of a request whose batches several workers share. What is in the ledger
 * already comes at once. A batch that the quota or a deadline has ended counts as it stands. A database that is away is waited
 * for. Memory: the numbers of the batches, and what the ledger reads ahead.
 *
 * Errors with the reason of the delivery's signal when that is aborted, with a retryable `timeout` when no batch came for
 * `patienceMs`, with an `OptionsError` when the sink has no ledger, and with an error of the ledger that no waiting mends.
 * Unsubscribing ends the waiting.
 *
 * @example
 * ```ts
 * import { gatherBatches, memorySink, PipelineError } from 'fintrack-pipelines';
 *
 * const sink = memorySink<string, number>();
 * const { signal } = new AbortController();
 * const delivery = { id: 'request', inputs: ['AAPL', 'MSFT', 'IBM'], batchSize: 2, signal };
 * gatherBatches({ delivery, sink, pollMs: 1 }).subscribe({
 *   next: ({ index, outcomes }) => console.log(index, outcomes.map(({ status, input }) => `${input} ${status}`)),
 *   complete: () => console.log('all there'),
 * });
 *
 * // Done by others, in any order:
 * await sink.write({ request: 'request', index: 1, outcomes: [{ status: 'ok', input: 'IBM', value: 220 }] });
 * // 1 [ 'IBM ok' ]
 * const error = new PipelineError('timeout', 'no answer');
 * await sink.ledger.storeFailed('request', { index: 0, inputs: ['AAPL', 'MSFT'], error });
 * // 0 [ 'AAPL failed', 'MSFT failed' ]
 * // all there
 * ```
 */
export function gatherBatches<I, T>(options: GatherBatchesOptions<I, T>): Observable<Batch<I, T>> {
  const { pollMs, patienceMs, events } = resolveOptions(options);
  const { id, inputs, batchSize, signal } = options.delivery;
  const { ledger, name } = options.sink;
  const emit = relayTo(events);

  async function* gather(from: Ledger<I, T>, over: AbortSignal): AsyncGenerator<Batch<I, T>, void, undefined> {
    const missing = new Set(Array.from({ length: Math.ceil(inputs.length / batchSize) }, (_, index) => index));
    let waitedFrom = performance.now();
    let failures = 0;
    while (missing.size > 0 && !over.aborted) {
      try {
        const news = (await from.storedNumbers(id)).filter((index) => missing.has(index));
        for await (const batch of from.batches(id, news)) {
          missing.delete(batch.index);
          emit({ type: 'batch-stored', request: id, batch: batch.index, counts: countOutcomes(batch.outcomes) });
          yield batch;
        }
        if (news.length > 0 || failures > 0) waitedFrom = performance.now();
        failures = 0;
      } catch (error) {
        if (!PipelineError.from(error).retryable) throw error;
        failures += 1;
      }
      if (failures === 0 && performance.now() - waitedFrom >= patienceMs) throw overdue(id, missing.size, patienceMs);
      const delayMs = Math.min(pollMs * 2 ** failures, Math.max(pollMs, longestPauseMs));
      // Nobody waits any more once it is aborted.
      if (missing.size > 0) await pause(delayMs, over).catch(() => undefined);
    }
  }

  return defer(() => {
    if (ledger === undefined) {
      throw new OptionsError(`gatherBatches: sink: ${name} has no ledger, where the batches of others would appear`);
    }
    return fromPull((over) => gather(ledger, over)).pipe(takeUntil(aborted(signal)));
  });
}

function overdue(request: string, missing: number, patienceMs: number): PipelineError {
  const message = `request ${request}: ${missing} batches are missing, and none came for ${Math.round(patienceMs / 60_000)} minutes`;
  return new PipelineError('timeout', message, { retryable: true });
}

/** Errors once the signal is aborted. */
function aborted(signal: AbortSignal): Observable<never> {
  return new Observable((subscriber) => {
    const abort = (): void => {
      subscriber.error(PipelineError.from(signal.reason));
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    return () => signal.removeEventListener('abort', abort);
  });
}
