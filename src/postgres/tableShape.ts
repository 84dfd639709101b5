import { sql } from '@databases/pg';
import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import { SinkError } from '../model/errors.ts';
import type { Database } from './connectDatabase.ts';
import { databaseSchema } from './databaseSchema.ts';
import { databaseError } from './errors.ts';

export interface TableShapeOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** The table or view. */
  table: string;
  /** Where it is. Default: the schema of the price tables, `database.schema`. */
  schema?: string | undefined;
}

const resolveOptions = defineOptions<TableShapeOptions>('tableShape')({
  database: databaseSchema,
  table: z.string().min(1),
  schema: z.string().min(1).optional(),
});

/** What a column can hold. */
export interface ColumnShape {
  /** As PostgreSQL writes it: 'numeric(15,6)', 'character varying(10)', 'double precision'. */
  readonly type: string;
  readonly nullable: boolean;
  /** Most characters of a `varchar(n)`; undefined where there is no limit. */
  readonly maxLength?: number | undefined;
  /** Most digits of a `numeric(precision, scale)`; undefined where there is no limit. */
  readonly precision?: number | undefined;
  /** How many of them stand behind the decimal point: more are rounded. */
  readonly scale?: number | undefined;
}

/** A table's columns by name, as they are and not as a migration says. */
export interface TableShape {
  readonly table: string;
  readonly columns: ReadonlyMap<string, ColumnShape>;
}

/**
 * Reads the columns of a table (or view) of the price schema, or of the `schema` given, from the catalog.
 *
 * Rejects with a `SinkError`: `database_not_ready` when there is no such table.
 *
 * @example
 * ```ts
 * import { connectDatabase, tableShape } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const { columns } = await tableShape({ database, table: 'market_data' });
 *
 * console.log(columns.get('symbol'));
 * // { type: 'character varying(10)', nullable: false, maxLength: 10 }
 * ```
 */
export async function tableShape(options: TableShapeOptions): Promise<TableShape> {
  const { database, table, schema = database.schema } = resolveOptions(options);
  let rows: readonly ColumnRow[];
  try {
    rows = (await database.pool.query(sql`
      select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable
      from pg_attribute a
      join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relname = ${table} and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and a.attnum > 0 and not a.attisdropped
      order by a.attnum`)) as readonly ColumnRow[];
  } catch (error) {
    throw databaseError(error, database);
  }
  if (rows.length === 0) throw missingTable(database, schema, table);
  return { table, columns: new Map(rows.map((row) => [row.name, columnShape(row)])) };
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
}

function columnShape({ type, nullable }: ColumnRow): ColumnShape {
  const [, base, first, second] = /^(character varying|numeric)\((\d+)(?:,(-?\d+))?\)$/.exec(type) ?? [];
  if (base === 'numeric') return { type, nullable, precision: Number(first), scale: Number(second ?? 0) };
  if (base !== undefined) return { type, nullable, maxLength: Number(first) };
  return { type, nullable };
}

function missingTable({ server }: Database, schema: string, table: string): SinkError {
  return new SinkError(
    'database_not_ready',
    `PostgreSQL at ${server.host}, database "${server.database}": there is no table "${table}" in schema "${schema}": ` +
      'create it with the migrations of your deployment or createReferenceTables(), or name the schema that has it',
  );
}
