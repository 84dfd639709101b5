import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import type { Database } from '../../src/postgres/connectDatabase.ts';
import { createReferenceTables } from '../../src/postgres/createReferenceTables.ts';
import { tableShape } from '../../src/postgres/tableShape.ts';
import { openTestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';

async function columns(database: Database, table: string): Promise<Record<string, string>> {
  const shape = await tableShape({ database, table });
  return Object.fromEntries(
    [...shape.columns].map(([name, { type, nullable }]) => [name, nullable ? `${type} null` : type]),
  );
}

async function uniqueConstraints(database: Database): Promise<string[]> {
  const rows = (await database.pool.query(sql`
    select c.relname || ' ' || pg_get_constraintdef(k.oid) as text
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${database.schema} and k.contype = 'u' order by 1`)) as { text: string }[];
  return rows.map(({ text }) => text);
}

const keys = [
  'market_data UNIQUE (symbol, asset_type)',
  'market_data_monthly UNIQUE (symbol, date, asset_type)',
  'market_index_data UNIQUE (symbol)',
];

describe('createReferenceTables', () => {
  it('makes S1, as the migrations do', async () => {
    await using database = track(await openTestDatabase());
    await createReferenceTables({ database });
    expect(await columns(database, 'market_data')).toEqual({
      id: 'integer',
      symbol: 'character varying(10)',
      price: 'numeric(15,6) null',
      percent_change: 'numeric null',
      change: 'numeric(15,6) null',
      high: 'numeric(15,6) null',
      low: 'numeric(15,6) null',
      updated_at: 'timestamp without time zone null',
      asset_type: 'character varying(255)',
    });
    expect(await columns(database, 'market_data_monthly')).toEqual({
      id: 'integer',
      symbol: 'character varying(255)',
      price: 'numeric(15,6)',
      date: 'date',
      asset_type: 'character varying(255)',
    });
    expect(await columns(database, 'market_index_data')).toEqual({
      id: 'integer',
      symbol: 'character varying(10)',
      price: 'numeric',
      percent_change: 'numeric null',
      price_change: 'numeric null',
      price_high: 'numeric null',
      price_low: 'numeric null',
      updated_at: 'timestamp without time zone',
    });
    expect(await uniqueConstraints(database)).toEqual(keys);
  });

  it('makes S2, as the backend widens it', async () => {
    await using database = track(await openTestDatabase());
    await createReferenceTables({ database, shape: 'S2' });
    expect(await columns(database, 'market_data')).toMatchObject({
      id: 'bigint',
      price: 'numeric(19,4) null',
      percent_change: 'numeric(19,4) null',
      change: 'numeric(15,6) null',
    });
    expect(await columns(database, 'market_data_monthly')).toMatchObject({ id: 'bigint', price: 'numeric(15,2)' });
    expect(await columns(database, 'market_index_data')).toMatchObject({
      id: 'bigint',
      price: 'character varying(255)',
      percent_change: 'character varying(255) null',
      price_change: 'double precision null',
      price_high: 'double precision null',
      price_low: 'double precision null',
    });
    expect(await uniqueConstraints(database)).toEqual(keys.flatMap((key) => [key, key]));
  });

  it('leaves alone what is there', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    const table = sql.ident(database.schema, 'market_data');
    await database.pool.query(sql`insert into ${table} (symbol, asset_type, price) values ('AAPL', 'STOCK', 1.5)`);
    await database.pool.query(sql`drop table ${sql.ident(database.schema, 'market_index_data')}`);
    await createReferenceTables({ database, shape: 'S2' });
    expect(await columns(database, 'market_data')).toMatchObject({ price: 'numeric(15,6) null' });
    expect(await columns(database, 'market_index_data')).toMatchObject({ price: 'character varying(255)' });
    expect(await database.pool.query(sql`select symbol, price from ${table}`)).toEqual([
      { symbol: 'AAPL', price: '1.500000' },
    ]);
  });

  it('may be called by several at once', async () => {
    await using database = track(await openTestDatabase({ poolSize: 4 }));
    await Promise.all(Array.from({ length: 4 }, () => createReferenceTables({ database })));
    expect(await uniqueConstraints(database)).toEqual(keys);
  });

  it('works in a schema of any name', async () => {
    await using admin = track(await openTestDatabase());
    const schema = `it's "${admin.schema}"; --`;
    await using database = track(connectDatabase({ url: admin.url, schema }));
    try {
      await createReferenceTables({ database });
      await createReferenceTables({ database });
      expect(await uniqueConstraints(database)).toEqual(keys);
    } finally {
      await database.pool.query(sql`drop schema ${sql.ident(schema)} cascade`);
    }
  });

  it('refuses an unknown shape', async () => {
    await using database = track(await openTestDatabase());
    await expect(createReferenceTables({ database, shape: 'S3' as 'S1' })).rejects.toMatchObject({
      code: 'options_invalid',
    });
  });
});

describe('tableShape', () => {
  it('tells lengths, precision and scale where there are any', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    const { columns } = await tableShape({ database, table: 'market_data' });
    expect(columns.get('symbol')).toMatchObject({ maxLength: 10, nullable: false });
    expect(columns.get('price')).toMatchObject({ precision: 15, scale: 6, nullable: true });
    expect(columns.get('percent_change')).toEqual({ type: 'numeric', nullable: true });
  });

  it('knows a numeric without a scale and a varchar without a length', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    await database.pool.query(
      sql`create table ${sql.ident(database.schema, 'odd')} (whole numeric(5), gone text, rest character varying)`,
    );
    await database.pool.query(sql`alter table ${sql.ident(database.schema, 'odd')} drop column gone`);
    const { columns } = await tableShape({ database, table: 'odd' });
    expect([...columns.keys()]).toEqual(['whole', 'rest']);
    expect(columns.get('whole')).toMatchObject({ precision: 5, scale: 0 });
    expect(columns.get('rest')?.maxLength).toBeUndefined();
  });

  it('says which table is missing, and where', async () => {
    await using database = track(await openTestDatabase());
    await expect(tableShape({ database, table: 'market_data' })).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringContaining(`there is no table "market_data" in schema "${database.schema}"`) as string,
    });
  });
});
