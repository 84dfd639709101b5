import type { Transaction } from '@databases/pg';
import { PipelineError, SinkError } from '../../model/errors.ts';
import { deploymentStates, stateOf } from '../errors.ts';
import { probe } from '../probe.ts';
import { isRowError } from '../rowErrors.ts';
import { allWritten } from './sinkTable.ts';
import type { OpenTable, SinkTable, Unit, Written } from './sinkTable.ts';

/** What it takes to find the rows that the server refuses. */
export interface Search<I, T> {
  readonly table: SinkTable<I, T>;
  readonly open: OpenTable<I, T>;
  readonly ownSchema: string;
  /** Whether a row that fails with this by itself is at fault. */
  readonly isOfRow: (error: unknown) => boolean;
}

const nothing: Written<never, never> = { recorded: true, inserted: 0, updated: 0, unchanged: 0, results: [] };

/**
 * Writes units by halves, each under a savepoint, until only those are left that the server refuses by themselves: the
 * codes 22003 and 22001 name neither row nor column.
 *
 * A state that is not a row's by its nature is one only where the database passes a probe right then; and what is missing in the
 * deployment is not a row's where no row of several can be written. Otherwise the error is that of the whole.
 */
export async function writeByHalves<I, T>(
  transaction: Transaction,
  search: Search<I, T>,
  units: readonly Unit<I, T>[],
): Promise<Written<I, T>> {
  const written = await writeSome(transaction, search, units);
  const missing = written.results.filter(isMissing);
  const [first] = missing;
  if (first === undefined || units.length === 1 || missing.length < units.length) return written;
  const message = `${first.message}; none of ${units.length} rows can be written`;
  throw new SinkError('database_not_ready', message, { cause: first.cause });
}

function isMissing(result: unknown): result is PipelineError {
  if (!PipelineError.isInstance(result)) return false;
  const state = stateOf(result);
  // A policy may refuse all rows of a batch.
  return deploymentStates.test(state) && state !== '42501';
}

async function writeSome<I, T>(
  transaction: Transaction,
  search: Search<I, T>,
  units: readonly Unit<I, T>[],
): Promise<Written<I, T>> {
  const [first] = units;
  if (first === undefined) return nothing;
  try {
    return await transaction.tx((savepoint) => search.open.write(savepoint, units));
  } catch (error) {
    if (!search.isOfRow(error)) throw error;
    if (units.length === 1) {
      if (!isRowError(error)) await probe(transaction, search.ownSchema).catch(failProbe);
      return { ...nothing, results: [refusal(search.table, first, error)] };
    }
  }
  const middle = Math.ceil(units.length / 2);
  const left = await writeSome(transaction, search, units.slice(0, middle));
  const right = await writeSome(transaction, search, units.slice(middle));
  return allWritten([left, right]);
}

function failProbe(cause: unknown): never {
  const message = `the database failed a probe while rows were written: ${String(cause)}`;
  throw new SinkError('database_unavailable', message, { retryable: true, cause });
}

function refusal<I, T>(table: SinkTable<I, T>, { outcome }: Unit<I, T>, error: unknown): SinkError {
  const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
  const subject = `${table.describe(outcome.input)} was refused by the database`;
  return new SinkError('row_rejected', `${subject}: ${message} (SQLSTATE ${stateOf(error)})`, { cause: error });
}
