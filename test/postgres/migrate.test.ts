import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import { applyMigrations, migrate } from '../../src/postgres/migrate.ts';
import { migrations } from '../../src/postgres/migrations/index.ts';
import type { Migration } from '../../src/postgres/migrations/migration.ts';
import { createUser, openTestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';

const first: Migration = {
  number: 1,
  name: 'first',
  create: (schema) =>
    sql`create table ${sql.ident(schema, 'one')} (a integer); create table ${sql.ident(schema, 'two')} (b text)`,
};
const second: Migration = {
  number: 2,
  name: 'second',
  create: (schema) => sql`alter table ${sql.ident(schema, 'one')} add column c text`,
};
const broken: Migration = { number: 3, name: 'broken', create: () => sql`create table broken (` };

async function tablesOf(database: {
  pool: ReturnType<typeof connectDatabase>['pool'];
  ownSchema: string;
}): Promise<string[]> {
  const rows = (await database.pool.query(
    sql`select tablename as name from pg_tables where schemaname = ${database.ownSchema} order by 1`,
  )) as { name: string }[];
  return rows.map(({ name }) => name);
}

describe('migrate', () => {
  it('makes our tables, once', async () => {
    await using database = track(await openTestDatabase());
    const names = migrations.map(({ number, name }) => `${String(number).padStart(4, '0')}-${name}`);
    expect(await migrate({ database })).toEqual({ version: migrations.length, applied: names });
    expect(await tablesOf(database)).toContain('schema_migrations');
    expect(await migrate({ database })).toEqual({ version: migrations.length, applied: [] });
  });

  it('numbers the migrations from 1 without gaps', () => {
    expect(migrations.map(({ number }) => number)).toEqual(migrations.map((_, index) => index + 1));
  });

  it('applies what is new, in the order of the numbers', async () => {
    await using database = track(await openTestDatabase());
    expect((await applyMigrations(database, [first])).applied).toEqual(['0001-first']);
    const result = await applyMigrations(database, [second, first]);
    expect(result).toEqual({ version: 2, applied: ['0002-second'] });
  });

  it('lets one of four concurrent runners apply, and three skip', async () => {
    await using database = track(await openTestDatabase({ poolSize: 4 }));
    const results = await Promise.all(Array.from({ length: 4 }, () => applyMigrations(database, [first, second])));
    expect(results.map(({ applied }) => applied.length).sort()).toEqual([0, 0, 0, 2]);
    expect(results.map(({ version }) => version)).toEqual([2, 2, 2, 2]);
  });

  it('applies all or nothing', async () => {
    await using database = track(await openTestDatabase());
    await expect(applyMigrations(database, [first, broken])).rejects.toMatchObject({ code: 'database_error' });
    expect(await tablesOf(database)).toEqual([]);
  });

  it('refuses a schema that a newer version has migrated', async () => {
    await using database = track(await openTestDatabase());
    await applyMigrations(database, [first, second]);
    await expect(applyMigrations(database, [first])).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringContaining('is at version 2, made by a newer fintrack-pipelines') as string,
    });
  });

  it('works in a schema of any name', async () => {
    await using admin = track(await openTestDatabase());
    for (const ownSchema of [`it's "quoted" ${admin.ownSchema}`, `select; drop schema ${admin.ownSchema}--`]) {
      await using database = track(connectDatabase({ url: admin.url, ownSchema }));
      try {
        expect((await migrate({ database })).version).toBe(migrations.length);
        expect((await migrate({ database })).applied).toEqual([]);
        expect(await tablesOf(database)).toContain('requests');
      } finally {
        await database.pool.query(sql`drop schema ${sql.ident(ownSchema)} cascade`);
      }
    }
  });

  it('says that the right to create the schema is missing', async () => {
    await using admin = track(await openTestDatabase());
    await using user = track(await createUser(admin));
    await using database = track(connectDatabase({ url: user.url, ownSchema: admin.ownSchema }));
    await expect(migrate({ database })).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringMatching(
        new RegExp(`permission denied for database .* for user "${user.name}": grant it`),
      ) as string,
    });
    await admin.pool.query(sql`create schema ${sql.ident(admin.ownSchema)} authorization ${sql.ident(user.name)}`);
    expect((await migrate({ database })).version).toBe(migrations.length);
  });
});
