import { sql } from '@databases/pg';
import { SinkError } from '../../model/errors.ts';
import type { Database } from '../connectDatabase.ts';
import { withRetry } from '../inTransaction.ts';
import { tableShape } from '../tableShape.ts';
import type { ColumnShape } from '../tableShape.ts';
import { runForRow, statementOf } from '../ledger/statement.ts';

/** A price table as it is: its columns, where its identities come from, and whether it may change what it is given. */
export interface OpenShape {
  column(name: string): ColumnShape;
  /** Its number in the catalog. */
  readonly oid: number;
  /**
   * Whether it holds what it was given, rounded in ways that we know. Not when it or a partition of it has triggers, or
   * where a column has a type of the deployment's own.
   */
  readonly storesAsGiven: boolean;
  /** The sequence of `id`, quoted and with its schema; undefined when `id` has none. */
  readonly sequence: string | undefined;
}

/** Types whose rounding we know. */
const knownType = /^(?:numeric(?:\(\d+(?:,\d+)?\))?$|character varying|text$|double precision$|date$|timestamp)/;

interface TableRow {
  readonly oid: string;
  readonly sequence: string | null;
  readonly triggers: boolean;
}

const describeTable = statementOf(sql`
  select c.oid::text as oid,
    case when $3 then pg_get_serial_sequence(quote_ident($1) || '.' || quote_ident($2), 'id') end as sequence,
    exists (
      select from pg_trigger where not tgisinternal and tgenabled <> 'D'
        and tgrelid in (select c.oid union all select relid from pg_partition_tree(c.oid))
    ) as triggers
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = $2`);

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
    const hasId = shape.columns.has('id');
    const { oid, sequence, triggers } = await runForRow<TableRow>(database.pool, describeTable, [
      database.schema,
      table,
      hasId,
    ]);
    return {
      column: (name) => shape.columns.get(name) ?? { type: 'unknown', nullable: true },
      oid: Number(oid),
      sequence: sequence ?? undefined,
      storesAsGiven: !triggers && columns.every((name) => knownType.test(shape.columns.get(name)?.type ?? '')),
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
