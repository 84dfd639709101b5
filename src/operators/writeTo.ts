import { tap, type OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { mergeMapBounded } from '../flow/mergeMapBounded.ts';
import { batchMs, type Batch, type WriteCounts } from '../model/batch.ts';
import { defineOptions, port } from '../model/defineOptions.ts';
import { OptionsError, PipelineError, SinkError } from '../model/errors.ts';
import { countOutcomes } from '../model/outcome.ts';
import type { Sink, WriteResult } from '../model/ports.ts';
import type { RunObserver } from '../model/runEvents.ts';
import { abortable } from './abortable.ts';
import { relayTo } from './relayTo.ts';

export interface WriteToOptions<I, T> {
  /** Where the values go. */
  sink: Sink<I, T>;
  /** Most batches written at once. Default: 2. */
  concurrency?: number | undefined;
  /** Gets `batch-done`. Default: nobody. */
  events?: RunObserver | undefined;
}

const resolveOptions = defineOptions<WriteToOptions<unknown, unknown>>('writeTo')({
  sink: port<Sink<unknown, unknown>>('a sink', 'write'),
  concurrency: z.int().min(1).default(2),
  events: port<RunObserver>('an observer', 'next').optional(),
});

const nothingWritten: WriteCounts = { inserted: 0, updated: 0, unchanged: 0, transactions: 0 };

/**
 * Writes each batch to a sink, in a transaction of its own, and says in `written` what that did.
 *
 * A row that the sink cannot store becomes `failed` at the stage `write`; when the whole write is rejected, all `ok`
 * outcomes of the batch do, and the stream goes on. Not written are a batch that came whole from the ledger, one that
 * was canceled as a whole, and, without a request, one without an `ok` outcome.
 *
 * Batches come out in order of completion. On complete, writes under way are finished; on error and on unsubscribe,
 * they are aborted: each is then either committed or not, and a request's ledger knows which. Errors with an
 * `OptionsError` when a batch still has `pending` inputs, which `throttledFetch` would have fetched.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { memorySink, writeTo, type Batch, type MarketIndex } from 'fintrack-pipelines';
 *
 * const sink = memorySink<MarketIndex, number>();
 * const fetched: Batch<MarketIndex, number> = {
 *   index: 0,
 *   outcomes: [
 *     { status: 'ok', input: { symbol: '^GSPC' }, value: 6000 },
 *     { status: 'skipped', input: { symbol: '^NDX' }, reason: 'quota' },
 *   ],
 * };
 * of(fetched).pipe(writeTo({ sink })).subscribe(({ written }) => console.log(written));
 * // { inserted: 1, updated: 0, unchanged: 0, transactions: 1 }
 * ```
 */
export function writeTo<I, T>(options: WriteToOptions<I, T>): OperatorFunction<Batch<I, T>, Batch<I, T>> {
  const { concurrency, events } = resolveOptions(options);
  const { sink } = options;
  const emit = relayTo(events);

  async function write(batch: Batch<I, T>, signal: AbortSignal): Promise<Batch<I, T>> {
    refusePending(batch);
    if (batch.written !== undefined) return batch;
    if (!isWorthWriting(batch)) return { ...batch, written: nothingWritten };
    const startedAt = performance.now();
    const result = await attempt(batch, signal);
    return { ...batch, ...result, durations: { ...batch.durations, writeMs: performance.now() - startedAt } };
  }

  async function attempt(
    batch: Batch<I, T>,
    signal: AbortSignal,
  ): Promise<Required<Pick<Batch<I, T>, 'outcomes' | 'written'>>> {
    try {
      const result = await sink.write(batch, { signal });
      const { inserted, updated, unchanged, transactions = 1 } = result;
      return {
        outcomes: outcomesAfter(sink.name, batch, result),
        written: { inserted, updated, unchanged, transactions },
      };
    } catch (error) {
      return { outcomes: failWrites(batch, PipelineError.from(error)), written: nothingWritten };
    }
  }

  return (source) =>
    source.pipe(
      mergeMapBounded((batch) => abortable((signal) => write(batch, signal)), { concurrency }),
      tap((batch) => {
        emit(batchDone(batch));
      }),
    );
}

type Outcomes<I, T> = Batch<I, T>['outcomes'];

function refusePending({ index, outcomes }: Batch<unknown, unknown>): void {
  const pending = outcomes.filter(({ status }) => status === 'pending').length;
  if (pending === 0) return;
  throw new OptionsError(`writeTo: batch ${index} has ${pending} pending inputs: put throttledFetch before writeTo`);
}

/** The batch of a request leaves its ledger row even without a value to store, unless it was canceled as a whole. */
function isWorthWriting({ request, outcomes }: Batch<unknown, unknown>): boolean {
  return outcomes.some(
    (outcome) =>
      outcome.status === 'ok' || (request !== undefined && !('reason' in outcome && outcome.reason === 'canceled')),
  );
}

function outcomesAfter<I, T>(
  sink: string,
  { outcomes }: Batch<I, T>,
  { failed, stored }: WriteResult<I, T>,
): Outcomes<I, T> {
  if (stored !== undefined) {
    if (stored.length === outcomes.length) return stored;
    throw new SinkError('internal', `${sink}: stored ${stored.length} outcomes of ${outcomes.length}`);
  }
  const wrong = failed.find(({ index }) => outcomes[index]?.status !== 'ok');
  if (wrong !== undefined) throw new SinkError('internal', `${sink}: no value to write at index ${wrong.index}`);
  const errors = new Map(failed.map(({ index, error }) => [index, error]));
  return outcomes.map((outcome, index) => failIfOk(outcome, errors.get(index)));
}

function failWrites<I, T>({ outcomes }: Batch<I, T>, error: PipelineError): Outcomes<I, T> {
  return outcomes.map((outcome) => failIfOk(outcome, error));
}

function failIfOk<I, T>(outcome: Outcomes<I, T>[number], error: PipelineError | undefined): typeof outcome {
  if (error === undefined || outcome.status !== 'ok') return outcome;
  return { status: 'failed', input: outcome.input, stage: 'write', error };
}

function batchDone(batch: Batch<unknown, unknown>): Parameters<RunObserver['next']>[0] {
  const { index, request, outcomes, written = nothingWritten } = batch;
  return {
    type: 'batch-done',
    request,
    batch: index,
    counts: countOutcomes(outcomes),
    written,
    processingTimeMs: batchMs(batch),
  };
}
