import type { WriteCounts } from './batch.ts';
import type { FailedOutcome, Outcome, OutcomeCounts } from './outcome.ts';

/** What is kept of one batch. */
export interface BatchSummary extends OutcomeCounts {
  readonly index: number;
  readonly processingTimeMs: number;
  /** Failed inputs divided by all inputs of the batch. */
  readonly errorRate: number;
}

/** The spread of the batches' processing times, in milliseconds. All 0 when there was no batch. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

/** A failed input and the batch it was in. */
export interface Failure<I> extends FailedOutcome<I> {
  readonly batch: number;
}

/** What a run did, without its outcomes: what `summarize({ outcomes: false })` makes. It grows with the batches only. */
export interface ShortSummary<I> {
  readonly counts: OutcomeCounts;
  readonly batches: readonly BatchSummary[];
  readonly written: WriteCounts;
  /** The processing time of a batch. */
  readonly batchTimeMs: Spread;
  /** From the subscription to the last batch. */
  readonly totalTimeMs: number;
  /** Inputs that ended `ok` or `fresh`, per second of the total time. */
  readonly recordsPerSecond: number;
  /** In the order of the batches: all, or, without outcomes, the first `maxFailures`; `counts.failed` counts all. */
  readonly failures: readonly Failure<I>[];
  /** When the last batch was done. */
  readonly finishedAt: Date;
}

/** Everything a run did: the result of the reduce stage. It grows with the inputs, by about 200 bytes each. */
export interface Summary<I, T> extends ShortSummary<I> {
  /** Every input once, in the order of the batches. */
  readonly outcomes: readonly Outcome<I, T>[];
}
