import { sql } from '@databases/pg';
import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import { SinkError } from '../model/errors.ts';
import type { Database } from './connectDatabase.ts';
import { databaseSchema } from './databaseSchema.ts';
import { databaseError } from './errors.ts';
import { migrations } from './migrations/index.ts';

/** The price tables, each with the columns that a sink reads and writes. */
const priceTables = {
  market_data: ['symbol', 'asset_type', 'price', 'percent_change', 'change', 'high', 'low', 'updated_at'],
  market_data_monthly: ['symbol', 'asset_type', 'price', 'date'],
  market_index_data: ['symbol', 'price', 'percent_change', 'price_change', 'price_high', 'price_low', 'updated_at'],
} as const;

export type PriceTable = keyof typeof priceTables;

const tableNames = Object.keys(priceTables) as PriceTable[];

export interface CheckTablesOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** The price tables that will be written. Default: all three. */
  tables?: readonly PriceTable[] | undefined;
  /** Whether the library's own tables are needed, too. Default: true. */
  ownTables?: boolean | undefined;
}

const resolveOptions = defineOptions<CheckTablesOptions>('checkTables')({
  database: databaseSchema,
  tables: z.array(z.enum(tableNames)).default(tableNames),
  ownTables: z.boolean().default(true),
});

/**
 * Asks at the start for everything that would otherwise fail in the middle of the work: that the server can be reached and
 * lets us in, that the tables are there with their columns, that we may read and write them, and that `migrate` has been run.
 *
 * Tries once. Rejects with a `SinkError` that names what is missing, all of it, and what to do: `database_not_ready`, or
 * `database_unavailable` when the server cannot be reached.
 *
 * @example
 * ```ts
 * import { checkTables, connectDatabase } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '', schema: 'elsewhere' });
 *
 * await checkTables({ database, tables: ['market_data'] }).catch((error) => console.log(error.code));
 * // database_not_ready
 * ```
 */
export async function checkTables(options: CheckTablesOptions): Promise<void> {
  const { database, tables, ownTables } = resolveOptions(options);
  let problems: readonly string[];
  try {
    problems = [
      ...(await priceTableProblems(database, tables)),
      ...(ownTables ? await ownTableProblems(database) : []),
    ];
  } catch (error) {
    throw databaseError(error, database);
  }
  if (problems.length === 0) return;
  const { host, database: name } = database.server;
  throw new SinkError('database_not_ready', `PostgreSQL at ${host}, database "${name}": ${problems.join('; ')}`);
}

/** By number and not by name, which is an error where we may not use the schema. */
const rights = sql`has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
  and has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')`;

async function priceTableProblems(database: Database, tables: readonly PriceTable[]): Promise<string[]> {
  const { schema } = database;
  const rows = (await database.pool.query(sql`
    select c.relname as table, ${rights} as permitted,
      array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = any(${tables}::text[]) and c.relkind in ('r', 'p')
  `)) as readonly { table: string; permitted: boolean; columns: readonly string[] }[];
  const found = new Map(rows.map((row) => [row.table, row]));
  const missing = tables.filter((table) => !found.has(table));
  const problems = missing.length === 0 ? [] : [missingTables(schema, missing)];
  for (const table of tables) {
    const row = found.get(table);
    if (row === undefined) continue;
    const columns = priceTables[table].filter((column) => !row.columns.includes(column));
    if (columns.length > 0) problems.push(`table "${table}" in schema "${schema}" lacks ${columns.join(', ')}`);
    if (!row.permitted) problems.push(notPermitted(database, schema, table));
  }
  return problems;
}

function missingTables(schema: string, tables: readonly string[]): string {
  return (
    `there is no ${tables.join(', ')} in schema "${schema}": create the price tables with the migrations of your deployment ` +
    'or createReferenceTables(), or name the schema that has them'
  );
}

async function ownTableProblems(database: Database): Promise<string[]> {
  const { ownSchema, pool } = database;
  const rows = (await pool.query(sql`
    select c.relname as table, ${rights} and has_table_privilege(c.oid, 'delete') as permitted
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${ownSchema} and c.relkind in ('r', 'p') order by 1
  `)) as readonly { table: string; permitted: boolean }[];
  const refused = rows.filter(({ table, permitted }) => !permitted && table !== 'schema_migrations');
  if (refused.length > 0) return refused.map(({ table }) => notPermitted(database, ownSchema, table));
  const version = rows.some(({ table }) => table === 'schema_migrations') ? await ownVersion(database) : 0;
  const latest = Math.max(...migrations.map(({ number }) => number));
  if (version >= latest) return [];
  return [
    `schema "${ownSchema}" is at version ${version} of ${latest}: run \`fintrack-pipelines migrate\`, or call migrate()`,
  ];
}

async function ownVersion({ pool, ownSchema }: Database): Promise<number> {
  const [row] = (await pool.query(
    sql`select coalesce(max(number), 0)::int as version from ${sql.ident(ownSchema, 'schema_migrations')}`,
  )) as readonly { version: number }[];
  return row?.version ?? 0;
}

function notPermitted({ server }: Database, schema: string, table: string): string {
  return `user "${server.user}" may not read and write table "${table}" in schema "${schema}": grant it (docs/postgres.md lists the rights needed)`;
}
