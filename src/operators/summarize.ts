import { defer, map, reduce, type OperatorFunction } from 'rxjs';
import { batchMs, type Batch, type WriteCounts } from '../model/batch.ts';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { countOutcomes, type Outcome, type OutcomeCounts } from '../model/outcome.ts';
import type { BatchSummary, Failure, Spread, Summary } from '../model/summary.ts';

export interface SummarizeOptions {
  /** The clock of `finishedAt`, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<SummarizeOptions>('summarize')({
  now: callback<() => number>().default(() => () => Date.now()),
});

/** What is kept of the batches until the last one: their outcomes and one line of figures each. */
interface Kept<I, T> {
  readonly batches: { readonly summary: BatchSummary; readonly outcomes: readonly Outcome<I, T>[] }[];
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
 * the total runs from the subscription to the last batch. Memory grows with the inputs: their outcomes are kept.
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
export function summarize<I, T>(options: SummarizeOptions = {}): OperatorFunction<Batch<I, T>, Summary<I, T>> {
  const { now } = resolveOptions(options);
  const moment = (): Moment => ({ elapsed: performance.now(), date: new Date(now()) });
  return (source) =>
    defer(() => {
      const startedAt = performance.now();
      // One object, added to: a copy per batch would make a long run quadratic.
      const kept: Kept<I, T> = {
        batches: [],
        written: noWrites,
        lastBatchAt: { elapsed: startedAt, date: new Date(0) },
      };
      return source.pipe(
        reduce((_, batch: Batch<I, T>) => keep(kept, batch, moment()), kept),
        map(() => finish(kept, startedAt, kept.batches.length === 0 ? moment() : kept.lastBatchAt)),
      );
    });
}

const noWrites: WriteCounts = { inserted: 0, updated: 0, unchanged: 0, transactions: 0 };

function keep<I, T>(kept: Kept<I, T>, batch: Batch<I, T>, at: Moment): Kept<I, T> {
  const outcomes = batch.outcomes.map(settled);
  const counts = countOutcomes(outcomes);
  const errorRate = outcomes.length === 0 ? 0 : counts.failed / outcomes.length;
  const summary = { index: batch.index, ...counts, processingTimeMs: batchMs(batch), errorRate };
  kept.batches.push({ summary, outcomes });
  kept.written = addFields(kept.written, batch.written ?? noWrites);
  kept.lastBatchAt = at;
  return kept;
}

function settled<I, T>(outcome: Batch<I, T>['outcomes'][number]): Outcome<I, T> {
  return outcome.status === 'pending' ? { status: 'skipped', input: outcome.input, reason: 'canceled' } : outcome;
}

function finish<I, T>({ batches, written }: Kept<I, T>, startedAt: number, { elapsed, date }: Moment): Summary<I, T> {
  batches.sort((one, other) => one.summary.index - other.summary.index);
  const summaries = batches.map(({ summary }) => summary);
  const counts = summaries.reduce<OutcomeCounts>(addFields, { ok: 0, fresh: 0, failed: 0, skipped: 0 });
  const totalTimeMs = elapsed - startedAt;
  return {
    outcomes: batches.flatMap(({ outcomes }) => outcomes),
    counts,
    batches: summaries,
    written,
    batchTimeMs: spread(summaries.map(({ processingTimeMs }) => processingTimeMs)),
    totalTimeMs,
    recordsPerSecond: totalTimeMs === 0 ? 0 : (counts.ok + counts.fresh) / (totalTimeMs / 1000),
    failures: batches.flatMap(({ summary, outcomes }) =>
      outcomes.flatMap((outcome) => failureOf(outcome, summary.index)),
    ),
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
