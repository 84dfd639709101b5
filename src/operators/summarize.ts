import { defer, map, reduce, type OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { batchMs, type Batch, type WriteCounts } from '../model/batch.ts';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { OptionsError } from '../model/errors.ts';
import { countOutcomes, type Outcome, type OutcomeCounts } from '../model/outcome.ts';
import type { BatchSummary, Failure, ShortSummary, Spread, Summary } from '../model/summary.ts';

export interface SummarizeOptions {
  /** The clock of `finishedAt`, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
  /** Whether the outcomes are kept. Without them the summary makes no completion event. Default: true. */
  outcomes?: boolean | undefined;
  /** Only without outcomes: how many failures are kept, the first in the order of the batches, 0 to 10,000. Default: 100. */
  maxFailures?: number | undefined;
}

const resolveOptions = defineOptions<SummarizeOptions>('summarize')({
  now: callback<() => number>().default(() => () => Date.now()),
  outcomes: z.boolean().default(true),
  maxFailures: z.int().min(0).max(10_000).optional(),
});

const defaultMaxFailures = 100;

/** What is kept of the batches until the last one. */
interface Kept<I, T> {
  readonly batches: BatchSummary[];
  /** Undefined: they are not kept. */
  readonly outcomes: { readonly index: number; readonly outcomes: readonly Outcome<I, T>[] }[] | undefined;
  /** The first failures so far, when the outcomes are not kept. */
  failures: readonly Failure<I>[];
  written: WriteCounts;
  lastBatchAt: Moment;
}

interface Moment {
  /** By `performance.now()`, which no change of the clock disturbs. */
  readonly elapsed: number;
  readonly date: Date;
}

/**
 * Reduces the batches of a run to one summary: every outcome in the order of the batches, counts, times and failures.
 *
 * Emits exactly one summary when the source completes, also when it was empty; on error and on unsubscribe, none. A
 * `pending` input, of which nothing became, counts as `skipped` for the reason `canceled`. Times are in milliseconds;
 * the total runs from the subscription to the last batch. Memory grows with the inputs: their outcomes are kept. With
 * `outcomes: false` only counts, times and the first `maxFailures` failures are, for runs of any length; of such a summary no
 * completion event can be made.
 *
 * @example
 * ```ts
 * import { from } from 'rxjs';
 * import { PipelineError, summarize, type Batch, type MarketIndex } from 'fintrack-pipelines';
 *
 * const error = new PipelineError('symbol_unknown', 'NOWHERE: unknown symbol');
 * const batches: Batch<MarketIndex, number>[] = [
 *   { index: 1, outcomes: [{ status: 'failed', input: { symbol: 'NOWHERE' }, stage: 'fetch', error }] },
 *   { index: 0, outcomes: [{ status: 'ok', input: { symbol: '^GSPC' }, value: 6000 }] },
 * ];
 *
 * from(batches)
 *   .pipe(summarize())
 *   .subscribe(({ counts, outcomes, failures }) => {
 *     console.log(counts);
 *     // { ok: 1, fresh: 0, failed: 1, skipped: 0 }
 *     console.log(outcomes.map(({ input }) => input.symbol));
 *     // [ '^GSPC', 'NOWHERE' ]
 *     console.log(failures[0]?.error.code, 'in batch', failures[0]?.batch);
 *     // symbol_unknown in batch 1
 *   });
 * ```
 */
export function summarize<I, T>(
  options?: SummarizeOptions & { outcomes?: true | undefined; maxFailures?: undefined },
): OperatorFunction<Batch<I, T>, Summary<I, T>>;
export function summarize<I, T>(
  options: SummarizeOptions & { outcomes: false },
): OperatorFunction<Batch<I, T>, ShortSummary<I>>;
export function summarize<I, T>(options: SummarizeOptions = {}): OperatorFunction<Batch<I, T>, ShortSummary<I>> {
  const { now, outcomes, maxFailures = defaultMaxFailures } = resolveOptions(options);
  if (outcomes && options.maxFailures !== undefined) {
    throw new OptionsError('summarize: maxFailures: expected only with outcomes: false, else all failures are kept');
  }
  const moment = (): Moment => ({ elapsed: performance.now(), date: new Date(now()) });
  return (source) =>
    defer(() => {
      const startedAt = performance.now();
      // One object, added to: a copy per batch would make a long run quadratic.
      const kept: Kept<I, T> = {
        batches: [],
        outcomes: outcomes ? [] : undefined,
        failures: [],
        written: noWrites,
        lastBatchAt: { elapsed: startedAt, date: new Date(0) },
      };
      return source.pipe(
        reduce((_, batch: Batch<I, T>) => keep(kept, batch, { at: moment(), maxFailures }), kept),
        map(() => finish(kept, startedAt, kept.batches.length === 0 ? moment() : kept.lastBatchAt)),
      );
    });
}

const noWrites: WriteCounts = { inserted: 0, updated: 0, unchanged: 0, transactions: 0 };

function keep<I, T>(
  kept: Kept<I, T>,
  batch: Batch<I, T>,
  { at, maxFailures }: { readonly at: Moment; readonly maxFailures: number },
): Kept<I, T> {
  const { index } = batch;
  const outcomes = batch.outcomes.map(settled);
  const counts = countOutcomes(outcomes);
  const errorRate = outcomes.length === 0 ? 0 : counts.failed / outcomes.length;
  kept.batches.push({ index, ...counts, processingTimeMs: batchMs(batch), errorRate });
  if (kept.outcomes === undefined) kept.failures = firstFailures(kept.failures, { index, outcomes }, maxFailures);
  else kept.outcomes.push({ index, outcomes });
  kept.written = addFields(kept.written, batch.written ?? noWrites);
  kept.lastBatchAt = at;
  return kept;
}

/** The first failures in the order of the batches, which may come in any. */
function firstFailures<I>(
  kept: readonly Failure<I>[],
  { index, outcomes }: { readonly index: number; readonly outcomes: readonly Outcome<I, unknown>[] },
  maxFailures: number,
): readonly Failure<I>[] {
  const more = outcomes.flatMap((outcome) => failureOf(outcome, index));
  if (more.length === 0) return kept;
  return [...kept, ...more].sort((one, other) => one.batch - other.batch).slice(0, maxFailures);
}

function settled<I, T>(outcome: Batch<I, T>['outcomes'][number]): Outcome<I, T> {
  return outcome.status === 'pending' ? { status: 'skipped', input: outcome.input, reason: 'canceled' } : outcome;
}

function finish<I, T>(kept: Kept<I, T>, startedAt: number, { elapsed, date }: Moment): ShortSummary<I> {
  const { written } = kept;
  const batches = kept.batches.sort((one, other) => one.index - other.index);
  const perBatch = kept.outcomes?.sort((one, other) => one.index - other.index);
  const counts = batches.reduce<OutcomeCounts>(addFields, { ok: 0, fresh: 0, failed: 0, skipped: 0 });
  const totalTimeMs = elapsed - startedAt;
  return {
    ...(perBatch === undefined ? {} : { outcomes: perBatch.flatMap(({ outcomes }) => outcomes) }),
    counts,
    batches,
    written,
    batchTimeMs: spread(batches.map(({ processingTimeMs }) => processingTimeMs)),
    totalTimeMs,
    recordsPerSecond: totalTimeMs === 0 ? 0 : (counts.ok + counts.fresh) / (totalTimeMs / 1000),
    failures:
      perBatch?.flatMap(({ index, outcomes }) => outcomes.flatMap((outcome) => failureOf(outcome, index))) ??
      kept.failures,
    finishedAt: date,
  };
}

function failureOf<I>(outcome: Outcome<I, unknown>, batch: number): Failure<I>[] {
  return outcome.status === 'failed' ? [{ ...outcome, batch }] : [];
}

/** Adds up, field by field, what `sum` has. */
function addFields<Fields extends Readonly<Record<keyof Fields, number>>>(sum: Fields, more: Fields): Fields {
  const fields = Object.keys(sum) as (keyof Fields)[];
  return Object.fromEntries(fields.map((field) => [field, sum[field] + more[field]])) as Fields;
}

function spread(times: readonly number[]): Spread {
  const sorted = times.toSorted((one, other) => one - other);
  return {
    min: percentile(sorted, 0),
    median: percentile(sorted, 50),
    p95: percentile(sorted, 95),
    max: percentile(sorted, 100),
  };
}

/**
 * The nearest-rank percentile: the smallest value that at least `percent` per cent of the values do not exceed. It is
 * always a measured value (R. J. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", 1996: definition 1).
 */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0;
}
