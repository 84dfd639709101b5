import { randomBytes } from 'node:crypto';
import { sql } from '@databases/pg';
import pg from 'pg';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import type { ConnectDatabaseOptions, Database } from '../../src/postgres/connectDatabase.ts';
import { createReferenceTables } from '../../src/postgres/createReferenceTables.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { provided } from './provided.ts';

const { Client, escapeIdentifier } = pg;

/** Both shapes that the price tables have in deployments. */
export const shapes = ['S1', 'S2'] as const;
export type Shape = (typeof shapes)[number];

export interface TestDatabaseOptions extends Omit<Partial<ConnectDatabaseOptions>, 'url'> {
  /** Makes the price tables in this shape. Default: no price tables, not even their schema. */
  shape?: Shape | undefined;
  /** Makes our own tables. Default: false. */
  migrated?: boolean | undefined;
  /** A database of its own, where the schemas have their default names. Default: false. */
  ownDatabase?: boolean | undefined;
  /** The URL of another server, for a database of its own on it. Default: the server of this run. */
  server?: string | undefined;
}

export interface TestDatabase extends Database {
  /** For code that connects by itself. */
  readonly url: string;
}

/** The server of this run; see globalSetup.ts. */
export function serverUrl(): string {
  return provided('postgresUrl');
}

/**
 * Two schemas of random names on the server of this run, dropped on dispose: cheap enough for every test to have its own.
 *
 * ```ts
 * await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
 * await database.pool.query(sql`select * from ${sql.ident(database.schema, 'market_data')}`);
 * ```
 *
 * A second connection to the same schemas: `connectDatabase({ url, schema, ownSchema })` with its fields. The server's time
 * zone is not UTC, on purpose.
 */
export async function openTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { shape, migrated = false, ownDatabase = false, server = serverUrl(), ...connection } = options;
  const { url, drop } = ownDatabase ? await createDatabase(server) : { url: server, drop: undefined };
  const name = randomBytes(6).toString('hex');
  const schemas = ownDatabase ? {} : { schema: `prices_${name}`, ownSchema: `own_${name}` };
  const database = connectDatabase({ url, applicationName: 'tests', ...schemas, ...connection });
  if (shape !== undefined) await createReferenceTables({ database, shape });
  if (migrated) await migrate({ database });
  const dispose = async (): Promise<void> => {
    await database.close();
    await (drop?.() ?? dropSchemas(database));
  };
  return { ...database, url, [Symbol.asyncDispose]: dispose };
}

/** By a connection of its own: the test may have closed, or filled, the pool. */
function dropSchemas({ schema, ownSchema }: Database): Promise<void> {
  return administrate(`drop schema if exists ${escapeIdentifier(schema)}, ${escapeIdentifier(ownSchema)} cascade`);
}

async function createDatabase(server: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await administrate(`create database ${name}`, server);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administrate(`drop database ${name} with (force)`, server) };
}

/** A user without any right but to connect, and the URL that makes one that user; dropped with all it owns. */
export async function createUser({ url }: TestDatabase): Promise<{ name: string; url: string } & AsyncDisposable> {
  const name = `user_${randomBytes(6).toString('hex')}`;
  await administrate(`create user ${name} password 'secret'`);
  const theirs = new URL(url);
  theirs.username = name;
  theirs.password = 'secret';
  const dispose = async (): Promise<void> => {
    await administrate(`drop owned by ${name} cascade`, url);
    await administrate(`drop user ${name}`);
  };
  return { name, url: theirs.href, [Symbol.asyncDispose]: dispose };
}

/** Gives a user the rights that docs/postgres.md lists. */
export async function grantAll({ pool, schema, ownSchema }: Database, name: string): Promise<void> {
  const user = sql.ident(name);
  for (const home of [schema, ownSchema].map((each) => sql.ident(each))) {
    await pool.query(sql`grant usage on schema ${home} to ${user}`);
    await pool.query(sql`grant select, insert, update, delete on all tables in schema ${home} to ${user}`);
    await pool.query(sql`grant usage on all sequences in schema ${home} to ${user}`);
  }
}

/** Runs a statement as the user of the server's URL, on a connection of the bare driver: a pool takes 100 ms to open. */
export async function administrate(statement: string, server = serverUrl()): Promise<void> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
