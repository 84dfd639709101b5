import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { checkTables } from '../../src/postgres/checkTables.ts';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import { freePort } from '../../src/postgres/embedded/freePort.ts';
import { migrations } from '../../src/postgres/migrations/index.ts';
import { createUser, openTestDatabase, shapes } from '../support/postgres.ts';
import { track } from '../support/track.ts';

const notReady = (message: string): object => ({
  code: 'database_not_ready',
  message: expect.stringContaining(message) as string,
});

describe('checkTables', () => {
  it.each(shapes)('finds nothing to say about %s, migrated', async (shape) => {
    await using database = track(await openTestDatabase({ shape, migrated: true }));
    await expect(checkTables({ database })).resolves.toBeUndefined();
  });

  it('names everything that is missing, and what makes it', async () => {
    await using database = track(await openTestDatabase());
    await expect(checkTables({ database })).rejects.toMatchObject(
      notReady(
        `there is no market_data, market_data_monthly, market_index_data in schema "${database.schema}": create`,
      ),
    );
    await expect(checkTables({ database })).rejects.toMatchObject(
      notReady(
        `schema "${database.ownSchema}" is at version 0 of ${migrations.length}: run \`fintrack-pipelines migrate\``,
      ),
    );
  });

  it('asks for what is needed alone', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    await database.pool.query(sql`drop table ${sql.ident(database.schema, 'market_data_monthly')}`);
    await expect(checkTables({ database, tables: ['market_data'], ownTables: false })).resolves.toBeUndefined();
    await expect(checkTables({ database, tables: ['market_data_monthly'], ownTables: false })).rejects.toMatchObject(
      notReady('there is no market_data_monthly in schema'),
    );
  });

  it('names the columns that a table lacks', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
    await database.pool.query(
      sql`alter table ${sql.ident(database.schema, 'market_data')} drop column high, drop column low`,
    );
    await expect(checkTables({ database })).rejects.toMatchObject(
      notReady(`table "market_data" in schema "${database.schema}" lacks high, low`),
    );
  });

  it('names the tables that the user may not write, and is content with exactly the rights of docs/postgres.md', async () => {
    await using admin = track(await openTestDatabase({ shape: 'S1', migrated: true }));
    await using user = track(await createUser(admin));
    const { url, schema, ownSchema } = { ...admin, url: user.url };
    await using database = track(connectDatabase({ url, schema, ownSchema }));
    await expect(checkTables({ database })).rejects.toMatchObject(
      notReady(`user "${user.name}" may not read and write table "market_data" in schema "${schema}": grant it`),
    );
    const [prices, own, name] = [schema, ownSchema, user.name].map((name) => sql.ident(name));
    await admin.pool.query([
      sql`grant usage on schema ${prices!}, ${own!} to ${name!}`,
      sql`grant select, insert, update on all tables in schema ${prices!} to ${name!}`,
      sql`grant usage on all sequences in schema ${prices!} to ${name!}`,
      sql`grant select, insert, update, delete on all tables in schema ${own!} to ${name!}`,
    ]);
    await expect(checkTables({ database })).resolves.toBeUndefined();
    await database.pool.query(
      sql`insert into ${sql.ident(schema, 'market_data')} (symbol, asset_type) values ('A', 'STOCK')`,
    );
  });

  it('says that the server cannot be reached', async () => {
    const port = await freePort();
    await using database = track(connectDatabase({ url: `postgres://127.0.0.1:${port}/prices` }));
    await expect(checkTables({ database })).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining(`cannot reach PostgreSQL at 127.0.0.1:${port}`) as string,
    });
  });
});
