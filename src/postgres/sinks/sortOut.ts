import type { Batch } from '../../model/batch.ts';
import type { PipelineError } from '../../model/errors.ts';
import type { Outcome } from '../../model/outcome.ts';
import type { OpenTable, SinkTable, Unit } from './sinkTable.ts';

/** Errors by the index of their outcome. */
export type Failures = ReadonlyMap<number, PipelineError>;

export interface SortedOut<I, T> {
  /** One per key, by key. */
  readonly units: readonly Unit<I, T>[];
  readonly failures: Failures;
}

/** Takes what can be written out of a batch: checked, one outcome per key, the last one, in the order of the keys. */
export function sortOut<I, T>(
  { outcomes }: Batch<I, T>,
  table: SinkTable<I, T>,
  open: OpenTable<I, T>,
  refuse: (input: I) => PipelineError | undefined,
): SortedOut<I, T> {
  const failures = new Map<number, PipelineError>();
  const units = new Map<string, { outcome: Unit<I, T>['outcome']; indexes: number[] }>();
  outcomes.forEach((outcome, index) => {
    if (outcome.status !== 'ok') return;
    const error = refuse(outcome.input) ?? open.check(outcome);
    if (error !== undefined) {
      failures.set(index, error);
      return;
    }
    const key = table.keyOf(outcome.input);
    const unit = units.get(key);
    if (unit === undefined) units.set(key, { outcome, indexes: [index] });
    else {
      unit.outcome = outcome;
      unit.indexes.push(index);
    }
  });
  return { units: inOrder(units), failures };
}

/** Requests often come sorted: then only that is found out. */
function inOrder<Value>(values: ReadonlyMap<string, Value>): Value[] {
  const keys = [...values.keys()];
  if (keys.every((key, index) => index === 0 || key > (keys[index - 1] ?? ''))) return [...values.values()];
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

/** The outcomes of a batch after its write: what was refused has failed, and what was never tried was canceled. */
export function settleOutcomes<I, T>(batch: Batch<I, T>, table: SinkTable<I, T>, failures: Failures): Outcome<I, T>[] {
  return batch.outcomes.map((outcome, index) => {
    const error = failures.get(index);
    if (error !== undefined) return { status: 'failed', input: outcome.input, stage: 'write', error };
    if (outcome.status === 'pending') return { status: 'skipped', input: outcome.input, reason: 'canceled' };
    return outcome.status === 'ok' && table.settled !== undefined ? table.settled(outcome) : outcome;
  });
}
