import type { Batch } from '../model/batch.ts';
import { PipelineError } from '../model/errors.ts';
import type { FetchEstimate, QuotaWindow } from '../model/ports.ts';

/** What the batches of a request take, added up. */
export interface PlanTally {
  readonly refused: number;
  readonly stored: number;
  readonly fresh: number;
  readonly toFetch: number;
  readonly batches: number;
  readonly calls?: number | undefined;
  readonly credits?: number | undefined;
}

type Estimate<I> = (inputs: readonly I[], ahead: number) => FetchEstimate | undefined;

/** Adds a batch as `planBatch` settled it. Throws when the sink or the ledger did not answer, and when it was canceled. */
export function addBatch<I>(sum: PlanTally, batch: Batch<I, unknown>, estimate: Estimate<I>): PlanTally {
  const pending = batch.outcomes.flatMap((outcome) => (outcome.status === 'pending' ? [outcome.input] : []));
  if (batch.written === undefined && pending.length === 0) throwIfUnanswered(batch);
  const counts = { refused: 0, stored: 0, fresh: 0, toFetch: pending.length };
  for (const outcome of batch.outcomes) if (outcome.status !== 'pending') counts[placeOf(outcome, batch)] += 1;
  const cost = estimate(pending, sum.credits ?? 0);
  return {
    refused: sum.refused + counts.refused,
    stored: sum.stored + counts.stored,
    fresh: sum.fresh + counts.fresh,
    toFetch: sum.toFetch + counts.toFetch,
    batches: sum.batches + 1,
    ...(cost && { calls: (sum.calls ?? 0) + cost.calls, credits: (sum.credits ?? 0) + cost.credits }),
  };
}

type SettledOutcome = Exclude<Batch<unknown, unknown>['outcomes'][number], { readonly status: 'pending' }>;

/** Only a batch of the ledger has `written`, or values and failures of a fetch before any. */
function placeOf(outcome: SettledOutcome, { written }: Batch<unknown, unknown>): 'refused' | 'stored' | 'fresh' {
  if (written !== undefined) return 'stored';
  if (outcome.status === 'fresh') return 'fresh';
  return outcome.status === 'failed' && outcome.stage === 'validate' ? 'refused' : 'stored';
}

/** A plan that takes an outage for an answer would be wrong about every symbol. */
function throwIfUnanswered({ outcomes }: Batch<unknown, unknown>): void {
  for (const outcome of outcomes) {
    if (outcome.status === 'failed' && outcome.stage === 'write') throw outcome.error;
    if (outcome.status === 'skipped') throw new PipelineError('canceled', 'plan: canceled');
  }
}

/** A limit on the key, and what a request takes of it. */
export interface PlannedWindow extends QuotaWindow {
  /** How many windows the credits take. */
  readonly rounds: number;
  /** Credits that a period such as a day lacks: so much stays `skipped` for the reason `quota`. */
  readonly lacking: number;
}

export function plannedWindow(window: QuotaWindow, credits: number): PlannedWindow {
  return {
    ...window,
    rounds: Math.ceil(credits / window.credits),
    lacking: window.endsAt === undefined ? 0 : Math.max(0, credits - window.left),
  };
}
