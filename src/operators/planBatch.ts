import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { mergeMapBounded } from '../flow/mergeMapBounded.ts';
import type { Batch } from '../model/batch.ts';
import { defineOptions, port } from '../model/defineOptions.ts';
import { PipelineError, SinkError } from '../model/errors.ts';
import type { FailedOutcome, Outcome, PendingOutcome, Standing } from '../model/outcome.ts';
import type { Sink } from '../model/ports.ts';
import type { RunObserver } from '../model/runEvents.ts';
import { abortable } from './abortable.ts';
import { relayTo } from './relayTo.ts';
import { skippedBy } from './skipped.ts';

export interface PlanBatchOptions<I, T> {
  /** The sink that the batches are written to later, with its ledger, if it has one. */
  sink: Sink<I, T>;
  /** How old a stored value may be and still count as fresh, in milliseconds. Default: 45,000. */
  maxAgeMs?: number | undefined;
  /** The ledger key of the request: what its ledger holds is taken from there. Default: none, the ledger is not asked. */
  request?: string | undefined;
  /** The number of the first batch that comes, for the batches of a request that others do the rest of. Default: 0. */
  firstIndex?: number | undefined;
  /**
   * When aborted, batches not planned yet become `skipped`: as `deadline` when the signal's reason is a PipelineError
   * `timeout`, otherwise as `canceled`. Default: none.
   */
  signal?: AbortSignal | undefined;
  /** Gets `batch-started`. Default: nobody. */
  events?: RunObserver | undefined;
  /** Most batches planned at once. Default: 2. */
  concurrency?: number | undefined;
}

const resolveOptions = defineOptions<PlanBatchOptions<unknown, unknown>>('planBatch')({
  sink: port<Sink<unknown, unknown>>('a sink', 'write'),
  maxAgeMs: z.number().min(0).default(45_000),
  request: z.string().min(1).optional(),
  firstIndex: z.int().min(0).default(0),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
  events: port<RunObserver>('an observer', 'next').optional(),
  concurrency: z.int().min(1).default(2),
});

type Planned<I, T> = Outcome<I, T> | PendingOutcome<I>;

/**
 * Makes batches of groups of inputs, and settles what needs no fetch.
 *
 * Batches are numbered by arrival, from `firstIndex`. A batch that the ledger holds is taken from there. Of any other batch, inputs
 * that the sink refuses become `failed`, those it holds fresh become `fresh`, and the rest is `pending`, possibly
 * narrowed to what is missing.
 *
 * When the ledger or the sink cannot answer, the inputs concerned become `failed` at the stage `write`, and the stream
 * goes on; the same with a ledger that holds the batch in another size. Batches come out in order of completion. On
 * complete, those under way are finished; on error and on unsubscribe, the questions under way are aborted and dropped.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { memorySink, planBatch, RequestError, type MarketIndex } from 'fintrack-pipelines';
 *
 * const sink = memorySink<MarketIndex, number>({
 *   refuse: ({ symbol }) => (symbol.length > 10 ? new RequestError('symbol_too_long', symbol) : undefined),
 * });
 * await sink.write({ index: 0, outcomes: [{ status: 'ok', input: { symbol: '^GSPC' }, value: 6000 }] });
 *
 * of([{ symbol: '^GSPC' }, { symbol: '^NDX' }, { symbol: 'MUCH-TOO-LONG' }])
 *   .pipe(planBatch({ sink }))
 *   .subscribe(({ index, outcomes }) => console.log(index, outcomes.map(({ status }) => status)));
 * // 0 [ 'fresh', 'pending', 'failed' ]
 * ```
 */
export function planBatch<I, T>(options: PlanBatchOptions<I, T>): OperatorFunction<readonly I[], Batch<I, T>> {
  const { maxAgeMs, request, firstIndex, signal: outer, events, concurrency } = resolveOptions(options);
  const { sink } = options;
  const emit = relayTo(events);

  async function plan(inputs: readonly I[], index: number, signal: AbortSignal): Promise<Batch<I, T>> {
    emit({ type: 'batch-started', request, batch: index, inputs: inputs.length });
    const startedAt = performance.now();
    const planned = await settle(inputs, index, signal);
    return { index, request, ...planned, durations: { planMs: performance.now() - startedAt } };
  }

  async function settle(
    inputs: readonly I[],
    index: number,
    signal: AbortSignal,
  ): Promise<Pick<Batch<I, T>, 'outcomes' | 'written'>> {
    if (signal.aborted) return { outcomes: inputs.map((input) => ({ input, ...skippedBy(signal) })) };
    try {
      const stored = request === undefined ? undefined : await sink.ledger?.stored(request, index);
      if (stored !== undefined) return takeStored(stored, inputs.length);
    } catch (error) {
      return { outcomes: inputs.map((input) => unanswered(input, error, signal)) };
    }
    return { outcomes: await inspect(inputs, signal) };
  }

  /** What the sink says of each input. */
  async function inspect(inputs: readonly I[], signal: AbortSignal): Promise<Planned<I, T>[]> {
    const refusals = inputs.map((input) => refusalOf(sink, input));
    const accepted = inputs.filter((_, position) => refusals[position] === undefined);
    const standings = (await askCurrent(accepted, signal))[Symbol.iterator]();
    return inputs.map(
      (input, position) => refusals[position] ?? standings.next().value ?? { status: 'pending', input },
    );
  }

  async function askCurrent(inputs: readonly I[], signal: AbortSignal): Promise<readonly Planned<I, T>[]> {
    if (inputs.length === 0 || sink.current === undefined) return inputs.map((input) => ({ status: 'pending', input }));
    try {
      const standings = await sink.current(inputs, { maxAgeMs, signal });
      return checkLength(sink.name, standings, inputs.length);
    } catch (error) {
      return inputs.map((input) => unanswered(input, error, signal));
    }
  }

  return mergeMapBounded(
    (inputs, position) => abortable((signal) => plan(inputs, firstIndex + position, signal), outer),
    { concurrency },
  );
}

/** A batch as the ledger holds it: what this run has to do for it are its pending inputs. */
function takeStored<I, T>(
  { outcomes, written }: Batch<I, T>,
  inputs: number,
): Pick<Batch<I, T>, 'outcomes' | 'written'> {
  if (outcomes.length !== inputs) {
    const message = `the ledger holds this batch with ${outcomes.length} inputs, got ${inputs}: batch by the size that ledger.accept answers`;
    throw new SinkError('request_conflict', message);
  }
  if (outcomes.some(({ status }) => status === 'pending')) return { outcomes };
  return { outcomes, written: written ?? { inserted: 0, updated: 0, unchanged: 0, transactions: 0 } };
}

function refusalOf<I>(sink: Sink<I, unknown>, input: I): FailedOutcome<I> | undefined {
  try {
    const error = sink.refuse?.(input);
    return error && { status: 'failed', input, stage: 'validate', error };
  } catch (error) {
    return { status: 'failed', input, stage: 'validate', error: PipelineError.from(error) };
  }
}

function checkLength<I, T>(sink: string, standings: readonly Standing<I, T>[], inputs: number): typeof standings {
  if (standings.length === inputs) return standings;
  throw new SinkError('internal', `${sink}: answered ${standings.length} standings for ${inputs} inputs`);
}

/** An input of which nobody knows how it stands. */
function unanswered<I>(input: I, error: unknown, signal: AbortSignal): Outcome<I, never> {
  if (signal.aborted) return { input, ...skippedBy(signal) };
  return { status: 'failed', input, stage: 'write', error: PipelineError.from(error) };
}
