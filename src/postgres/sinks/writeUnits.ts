import type { Transaction } from '@databases/pg';
import { SinkError } from '../../model/errors.ts';
import { isRowError } from './rowErrors.ts';
import type { OpenTable, SinkTable, Unit, Written } from './sinkTable.ts';

const nothing: Written<never, never> = { recorded: true, inserted: 0, updated: 0, unchanged: 0, results: [] };

/**
 * Writes units by halves, each under a savepoint, until only those are left that the server refuses by themselves: the
 * codes 22003 and 22001 name neither row nor column.
 */
export async function writeByHalves<I, T>(
  transaction: Transaction,
  table: SinkTable<I, T>,
  open: OpenTable<I, T>,
  units: readonly Unit<I, T>[],
): Promise<Written<I, T>> {
  const [first] = units;
  if (first === undefined) return nothing;
  try {
    return await transaction.tx((savepoint) => open.write(savepoint, units));
  } catch (error) {
    if (!isRowError(error)) throw error;
    if (units.length === 1) return { ...nothing, results: [refusal(table, first, error)] };
  }
  const middle = Math.ceil(units.length / 2);
  const left = await writeByHalves(transaction, table, open, units.slice(0, middle));
  const right = await writeByHalves(transaction, table, open, units.slice(middle));
  return {
    recorded: true,
    inserted: left.inserted + right.inserted,
    updated: left.updated + right.updated,
    unchanged: left.unchanged + right.unchanged,
    results: [...left.results, ...right.results],
  };
}

function refusal<I, T>(table: SinkTable<I, T>, { outcome }: Unit<I, T>, error: unknown): SinkError {
  const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
  return new SinkError('row_rejected', `${table.describe(outcome.input)} was refused by the database: ${message}`, {
    cause: error,
  });
}
