import { sql } from '@databases/pg';
import { SinkError } from '../../model/errors.ts';
import type { Database } from '../connectDatabase.ts';
import { withRetry } from '../inTransaction.ts';
import { tableShape } from '../tableShape.ts';
import type { ColumnShape } from '../tableShape.ts';
import { runForRow, statementOf } from '../ledger/statement.ts';

/** A price table as it is: its columns and where its identities come from. */
export interface OpenShape {
  column(name: string): ColumnShape;
  /** The sequence of `id`, quoted and with its schema; undefined when `id` has none. */
  readonly sequence: string | undefined;
}

const sequenceOf = statementOf(
  sql`select pg_get_serial_sequence(quote_ident($1) || '.' || quote_ident($2), 'id') as sequence`,
);

/** Reads a table's shape once the server can be had; rejects with a `SinkError` when the table or a column is missing. */
export async function openShape(
  database: Database,
  table: string,
  columns: readonly string[],
  signal: AbortSignal,
): Promise<OpenShape> {
  const read = async (): Promise<OpenShape> => {
    const shape = await tableShape({ database, table });
    const missing = columns.filter((name) => !shape.columns.has(name));
    if (missing.length > 0) throw missingColumns(database, table, missing);
    const { sequence } = shape.columns.has('id')
      ? await runForRow<{ sequence: string | null }>(database.pool, sequenceOf, [database.schema, table])
      : { sequence: null };
    return {
      column: (name) => shape.columns.get(name) ?? { type: 'unknown', nullable: true },
      sequence: sequence ?? undefined,
    };
  };
  return withRetry(database, read, { signal });
}

function missingColumns({ schema }: Database, table: string, missing: readonly string[]): SinkError {
  const names = missing.map((name) => `"${name}"`).join(', ');
  return new SinkError(
    'database_not_ready',
    `table "${table}" in schema "${schema}" has no column ${names}: run the deployment's migrations`,
  );
}
