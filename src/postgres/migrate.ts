import createConnectionPool, { sql } from '@databases/pg';
import type { Transaction } from '@databases/pg';
import { defineOptions } from '../model/defineOptions.ts';
import { SinkError } from '../model/errors.ts';
import type { Database } from './connectDatabase.ts';
import { databaseSchema } from './databaseSchema.ts';
import { databaseError } from './errors.ts';
import { migrations as allMigrations } from './migrations/index.ts';
import type { Migration } from './migrations/migration.ts';

export interface MigrateOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
}

const resolveOptions = defineOptions<MigrateOptions>('migrate')({ database: databaseSchema });

const { IsolationLevel } = createConnectionPool;

/** What `migrate` found and did. */
export interface MigrationResult {
  /** The version the schema is at now. */
  readonly version: number;
  /** What was applied by this call, in its order, such as '0001-ledger'; empty when there was nothing to do. */
  readonly applied: readonly string[];
}

const table = 'schema_migrations';

/**
 * Brings the library's own schema (`database.ownSchema`) to the version this library works with.
 *
 * Everything is one transaction under a lock: it is applied whole or not at all, and of several processes that call it at
 * the same time one does the work while the others wait and find nothing to do. The price tables are not touched.
 *
 * Needs the right to create the schema (CREATE on the database), or a schema that the user owns; once everything is
 * applied, reading it is enough. Rejects with a `SinkError`, `database_not_ready` when a right is missing or when a newer
 * version of this library has been here.
 *
 * @example
 * ```ts
 * import { connectDatabase, migrate } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * await migrate({ database });
 *
 * console.log((await migrate({ database })).applied);
 * // []
 * ```
 */
export async function migrate(options: MigrateOptions): Promise<MigrationResult> {
  return applyMigrations(resolveOptions(options).database, allMigrations);
}

/** `migrate` with the list as a parameter, for its tests. */
export async function applyMigrations(database: Database, migrations: readonly Migration[]): Promise<MigrationResult> {
  try {
    // Whoever migrates at the same time is waited for.
    return await database.pool.tx((transaction) => applyMissing(transaction, database.ownSchema, migrations), {
      lockTimeoutMilliseconds: 0,
      // What they did while we waited has to be seen, and what was spent of a window until its table is locked.
      isolationLevel: IsolationLevel.READ_COMMITTED,
    });
  } catch (error) {
    throw databaseError(error, database);
  }
}

async function applyMissing(
  transaction: Transaction,
  schema: string,
  migrations: readonly Migration[],
): Promise<MigrationResult> {
  await transaction.query(
    sql`select pg_advisory_xact_lock(hashtextextended(${`fintrack-pipelines/migrate/${schema}`}, 0))`,
  );
  const done = await appliedNumbers(transaction, schema);
  const latest = Math.max(0, ...migrations.map(({ number }) => number));
  const version = Math.max(latest, ...done);
  if (version > latest) throw newer(schema, version, latest);
  const missing = migrations.filter(({ number }) => !done.has(number)).sort((a, b) => a.number - b.number);
  if (missing.length > 0) {
    await prepareSchema(transaction, schema);
    for (const migration of missing) await apply(transaction, schema, migration);
  }
  return { version, applied: missing.map(fullName) };
}

/** Empty when the schema, or our table in it, is not there yet. */
async function appliedNumbers(transaction: Transaction, schema: string): Promise<ReadonlySet<number>> {
  const found: unknown[] = await transaction.query(
    sql`select 1 from pg_tables where schemaname = ${schema} and tablename = ${table}`,
  );
  if (found.length === 0) return new Set();
  const rows = (await transaction.query(sql`select number from ${sql.ident(schema, table)}`)) as { number: number }[];
  return new Set(rows.map(({ number }) => number));
}

async function prepareSchema(transaction: Transaction, schema: string): Promise<void> {
  const found: unknown[] = await transaction.query(sql`select 1 from pg_namespace where nspname = ${schema}`);
  // `create schema if not exists` asks for the right to create even where there is nothing to do.
  if (found.length === 0) await transaction.query(sql`create schema ${sql.ident(schema)}`);
  await transaction.query(sql`
    create table if not exists ${sql.ident(schema, table)} (
      number integer primary key,
      name text not null,
      applied_at timestamptz not null default now()
    )`);
}

async function apply(transaction: Transaction, schema: string, { number, name, create }: Migration): Promise<void> {
  await transaction.query(create(schema));
  await transaction.query(sql`insert into ${sql.ident(schema, table)} (number, name) values (${number}, ${name})`);
}

function fullName({ number, name }: Migration): string {
  return `${String(number).padStart(4, '0')}-${name}`;
}

function newer(schema: string, version: number, latest: number): SinkError {
  return new SinkError(
    'database_not_ready',
    `migrate: schema "${schema}" is at version ${version}, made by a newer fintrack-pipelines; this one knows version ${latest}: ` +
      'update the package',
  );
}
