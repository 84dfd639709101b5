import type { Batch } from '../../model/batch.ts';
import { PipelineError } from '../../model/errors.ts';
import type { Outcome } from '../../model/outcome.ts';
import type { OpenTable, SinkTable, Unit, UnitResult } from './sinkTable.ts';

/** Errors by the index of their outcome. */
export type Failures = ReadonlyMap<number, PipelineError>;

/** What became of outcomes, by their index. */
export type Results<I, T> = ReadonlyMap<number, UnitResult<I, T>>;

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

/** The outcomes of a batch after its write: as the table holds them, failed, or canceled when they were never tried. */
export function settleOutcomes<I, T>({ outcomes }: Batch<I, T>, results: Results<I, T>): Outcome<I, T>[] {
  return outcomes.map((outcome, index) => {
    const { input } = outcome;
    const result = results.get(index);
    if (PipelineError.isInstance(result)) return { status: 'failed', input, stage: 'write', error: result };
    if (result !== undefined) return { ...result, input };
    return outcome.status === 'pending' ? { status: 'skipped', input, reason: 'canceled' } : outcome;
  });
}
