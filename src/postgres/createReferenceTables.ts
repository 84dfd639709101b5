import { sql } from '@databases/pg';
import type { SQLQuery, Transaction } from '@databases/pg';
import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import type { PriceTable } from './checkTables.ts';
import type { Database } from './connectDatabase.ts';
import { databaseSchema } from './databaseSchema.ts';
import { databaseError } from './errors.ts';

export interface CreateReferenceTablesOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /**
   * `S1`: as the deployment's migrations make them. `S2`: the same after the backend has started once, which widens
   * columns and repeats the unique constraints. Default: 'S1'.
   */
  shape?: 'S1' | 'S2' | undefined;
}

const resolveOptions = defineOptions<CreateReferenceTablesOptions>('createReferenceTables')({
  database: databaseSchema,
  shape: z.enum(['S1', 'S2']).default('S1'),
});

/**
 * Makes the price tables of the FinTrack deployment, for a demo, a test or a database of one's own.
 *
 * Makes what is missing of the schema, `market_data`, `market_data_monthly`, `market_index_data` and leaves alone what is
 * there, whatever its shape. Needs the right to create the schema, or tables in it. Rejects with a `SinkError`.
 *
 * @example
 * ```ts
 * import { connectDatabase, createReferenceTables, sql } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * await createReferenceTables({ database });
 *
 * console.log(await database.pool.query(sql`select to_regclass('financial_tracker.market_data') is not null as there`));
 * // [ { there: true } ]
 * ```
 */
export async function createReferenceTables(options: CreateReferenceTablesOptions): Promise<void> {
  const { database, shape } = resolveOptions(options);
  try {
    await database.pool.tx(
      async (transaction) => {
        // `if not exists` still fails when two sessions make the same table at the same time.
        await transaction.query(
          sql`select pg_advisory_xact_lock(hashtextextended(${`reference:${database.schema}`}, 0))`,
        );
        const found: unknown[] = await transaction.query(
          sql`select 1 from pg_namespace where nspname = ${database.schema}`,
        );
        // `create schema if not exists` asks for the right to create even where there is nothing to do.
        if (found.length === 0) await transaction.query(sql`create schema ${sql.ident(database.schema)}`);
        for (const [table, columns] of Object.entries(columnsOf[shape])) {
          await createTable(transaction, database.schema, table as PriceTable, columns, shape);
        }
      },
      { lockTimeoutMilliseconds: 0 },
    );
  } catch (error) {
    throw databaseError(error, database);
  }
}

async function createTable(
  transaction: Transaction,
  schema: string,
  table: PriceTable,
  columns: SQLQuery,
  shape: 'S1' | 'S2',
): Promise<void> {
  const found: unknown[] = await transaction.query(
    sql`select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname = ${schema} and relname = ${table}`,
  );
  if (found.length > 0) return;
  const name = sql.ident(schema, table);
  await transaction.query(sql`create table ${name} (${columns}, unique (${keys[table]}))`);
  // A second time in the same statement would be taken for a slip of the pen and left out.
  if (shape === 'S2') await transaction.query(sql`alter table ${name} add unique (${keys[table]})`);
}

const keys: Record<PriceTable, SQLQuery> = {
  market_data: sql`symbol, asset_type`,
  market_data_monthly: sql`symbol, date, asset_type`,
  market_index_data: sql`symbol`,
};

const migrated: Record<PriceTable, SQLQuery> = {
  market_data: sql`
    id serial primary key,
    symbol varchar(10) not null,
    price numeric(15,6),
    percent_change numeric,
    change numeric(15,6),
    high numeric(15,6),
    low numeric(15,6),
    updated_at timestamp without time zone,
    asset_type varchar(255) not null`,
  market_data_monthly: sql`
    id serial primary key,
    symbol varchar(255) not null,
    price numeric(15,6) not null,
    date date not null,
    asset_type varchar(255) not null`,
  market_index_data: sql`
    id serial primary key,
    symbol varchar(10) not null,
    price numeric not null,
    percent_change numeric,
    price_change numeric,
    price_high numeric,
    price_low numeric,
    updated_at timestamp without time zone not null`,
};

const widened: Record<PriceTable, SQLQuery> = {
  market_data: sql`
    id bigserial primary key,
    symbol varchar(10) not null,
    price numeric(19,4),
    percent_change numeric(19,4),
    change numeric(15,6),
    high numeric(15,6),
    low numeric(15,6),
    updated_at timestamp without time zone,
    asset_type varchar(255) not null`,
  market_data_monthly: sql`
    id bigserial primary key,
    symbol varchar(255) not null,
    price numeric(15,2) not null,
    date date not null,
    asset_type varchar(255) not null`,
  market_index_data: sql`
    id bigserial primary key,
    symbol varchar(10) not null,
    price varchar(255) not null,
    percent_change varchar(255),
    price_change double precision,
    price_high double precision,
    price_low double precision,
    updated_at timestamp without time zone not null`,
};

const columnsOf = { S1: migrated, S2: widened };
