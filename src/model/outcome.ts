import type { PipelineError } from './errors.ts';

/** Where an input failed: before any call, at the provider, or at the sink. */
export type Stage = 'validate' | 'fetch' | 'write';

/** Why an input was never tried. */
export type SkipReason = 'quota' | 'deadline' | 'canceled';

export interface OkOutcome<I, T> {
  readonly status: 'ok';
  readonly input: I;
  readonly value: T;
  /** The provider that served it. */
  readonly provider?: string | undefined;
  /** When its response arrived, by `performance.now()`; a sink derives the row's age from it. */
  readonly receivedAtMs?: number | undefined;
}

/** Already up to date in the sink, confirmed for this request. */
export interface FreshOutcome<I, T> {
  readonly status: 'fresh';
  readonly input: I;
  readonly value: T;
}

export interface FailedOutcome<I> {
  readonly status: 'failed';
  readonly input: I;
  readonly stage: Stage;
  readonly error: PipelineError;
}

export interface SkippedOutcome<I> {
  readonly status: 'skipped';
  readonly input: I;
  readonly reason: SkipReason;
  /** For the reason `quota`: when it comes back, where that is known. */
  readonly until?: Date | undefined;
}

/** What became of one input. */
export type Outcome<I, T> = OkOutcome<I, T> | FreshOutcome<I, T> | FailedOutcome<I> | SkippedOutcome<I>;

/** Not fetched yet. Its `input` may be narrower than the one asked for: only what is missing. */
export interface PendingOutcome<I> {
  readonly status: 'pending';
  readonly input: I;
}

/** What a sink says of an input before any fetch: it holds it, fresh, or something is still missing. */
export type Standing<I, T> = FreshOutcome<I, T> | PendingOutcome<I>;

/** How many inputs ended how. */
export interface OutcomeCounts {
  readonly ok: number;
  readonly fresh: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Counts outcomes by status; pending ones count as skipped, since nothing became of them. */
export function countOutcomes(
  outcomes: Iterable<{ readonly status: Outcome<unknown, unknown>['status'] | 'pending' }>,
): OutcomeCounts {
  const counts = { ok: 0, fresh: 0, failed: 0, skipped: 0 };
  for (const { status } of outcomes) counts[status === 'pending' ? 'skipped' : status] += 1;
  return counts;
}
