// Issue 10, item 9: price tables of deployments that partition them. PostgreSQL has no `xmax` of their rows to offer.
import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { checkTables } from '../../../src/postgres/checkTables.ts';
import { openTestDatabase, shapes } from '../../support/postgres.ts';
import type { Shape, TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { waitingForLocks } from './lockWaits.ts';
import { asset, batchOf, call, index, indexQuote, months, ok, quote, range } from './samples.ts';

const raw = sql.__dangerous__rawValue;

/** Makes a table of the same columns that is partitioned, in the place of one that is not. */
async function partition(
  { pool, schema }: TestDatabase,
  table: string,
  by: string,
  parts: readonly string[],
  key: string,
) {
  const name = sql.ident(schema, table);
  await pool.query(sql`alter table ${name} rename to plain`);
  await pool.query(
    sql`create table ${name} (like ${sql.ident(schema, 'plain')} including defaults, unique (${raw(key)})) partition by ${raw(by)}`,
  );
  // The sequence of a serial column goes with its table.
  await pool.query(sql`alter sequence ${sql.ident(schema, `${table}_id_seq`)} owned by ${name}.id`);
  await pool.query(sql`drop table ${sql.ident(schema, 'plain')}`);
  for (const [number, part] of parts.entries()) {
    await pool.query(sql`create table ${sql.ident(schema, `${table}_${number}`)} partition of ${name} ${raw(part)}`);
  }
}

const hashed = [0, 1, 2].map((remainder) => `for values with (modulus 3, remainder ${remainder})`);

async function openPartitioned(shape: Shape): Promise<TestDatabase> {
  const database = await openTestDatabase({ shape, migrated: true, poolSize: 4 });
  await partition(
    database,
    'market_data',
    'list (asset_type)',
    ["for values in ('STOCK')", 'default'],
    'symbol, asset_type',
  );
  await partition(
    database,
    'market_data_monthly',
    'range (date)',
    ["for values from (minvalue) to ('2024-02-01')", "for values from ('2024-02-01') to (maxvalue)"],
    'symbol, date, asset_type',
  );
  await partition(database, 'market_index_data', 'hash (symbol)', hashed, 'symbol');
  return database;
}

const sequenceOf = async ({ pool, schema }: TestDatabase, table: string): Promise<unknown> =>
  pool.query(sql`select last_value::text as last from ${sql.ident(schema, `${table}_id_seq`)}`);

describe.each(shapes)('on partitioned tables of shape %s', (shape) => {
  it('counts quotes as inserted, updated and unchanged, and answers what is fresh', async () => {
    await using database = track(await openPartitioned(shape));
    await checkTables({ database });
    const sink = marketDataSink({ database });
    const [a, b, c] = [asset('A'), asset('B', 'CRYPTO'), asset('C')];
    const batch = (price: string, request: string, receivedAtMs = performance.now()) =>
      batchOf(
        [a, b].map((input) => ok(input, quote(input, price), { receivedAtMs })),
        request,
      );
    expect(await sink.write(batch('1', 'first'), call)).toMatchObject({
      inserted: 2,
      updated: 0,
      unchanged: 0,
      failed: [],
    });
    const last = await sequenceOf(database, 'market_data');
    expect(await sink.write(batch('2', 'second'), call)).toMatchObject({ inserted: 0, updated: 2, unchanged: 0 });
    expect(await sink.write(batch('3', 'late', performance.now() - 60_000), call)).toMatchObject({
      inserted: 0,
      updated: 0,
      unchanged: 2,
      failed: [],
    });
    expect(await sequenceOf(database, 'market_data')).toEqual(last);
    const more = [ok(a, quote(a, '4')), ok(c, quote(c, '4'))];
    expect(await sink.write(batchOf(more), call)).toMatchObject({ inserted: 1, updated: 1, unchanged: 0 });
    expect((await sink.current([a, b, c], call)).map(({ status }) => status)).toEqual(['fresh', 'fresh', 'fresh']);
  });

  it('counts months as inserted, updated and unchanged, and answers which are missing', async () => {
    await using database = track(await openPartitioned(shape));
    const sink = monthlyPriceSink({ database });
    const input = range('A', '2024-01-31', '2024-03-31');
    const write = (prices: Record<string, string>, request: string) =>
      sink.write(batchOf([ok(input, months(input, prices))], request), call);
    expect(await write({ '2024-01-31': '1', '2024-02-29': '2' }, 'first')).toMatchObject({
      inserted: 2,
      updated: 0,
      unchanged: 0,
    });
    const last = await sequenceOf(database, 'market_data_monthly');
    expect(await write({ '2024-01-31': '1', '2024-02-29': '2.5' }, 'second')).toMatchObject({
      inserted: 0,
      updated: 1,
      unchanged: 1,
    });
    expect(await sequenceOf(database, 'market_data_monthly')).toEqual(last);
    expect(await write({ '2024-01-01': '1', '2024-03-01': '3' }, 'third')).toMatchObject({
      inserted: 1,
      updated: 0,
      unchanged: 1,
    });
    expect(await sink.current([input], call)).toMatchObject([{ status: 'fresh', value: { recordCount: 3 } }]);
  });

  it('counts indexes as inserted, updated and unchanged, and finds the row that the database refuses', async () => {
    await using database = track(await openPartitioned(shape));
    const { pool, schema } = database;
    await pool.query(
      sql`alter table ${sql.ident(schema, 'market_index_data')} add constraint not_b check (symbol <> 'B')`,
    );
    const sink = marketIndexSink({ database });
    const batch = (price: string, request: string) =>
      batchOf(
        ['A', 'B', 'C'].map((symbol) => ok(index(symbol), indexQuote(index(symbol), price))),
        request,
      );
    const [first, second] = [await sink.write(batch('1', 'first'), call), await sink.write(batch('2', 'second'), call)];
    expect(first).toMatchObject({ inserted: 2, updated: 0, unchanged: 0 });
    expect(second).toMatchObject({ inserted: 0, updated: 2, unchanged: 0 });
    for (const { failed } of [first, second])
      expect(failed.map((failure) => [failure.index, failure.error.code])).toEqual([[1, 'row_rejected']]);
  });

  it('fails the row that a trigger of one partition drops', async () => {
    await using database = track(await openPartitioned(shape));
    const { pool, schema } = database;
    await pool.query(
      sql`create function ${sql.ident(schema, 'gone')}() returns trigger language plpgsql as ${raw('$$ begin return null; end $$')}`,
    );
    await pool.query(
      sql`create trigger gone before insert on ${sql.ident(schema, 'market_data_1')} for each row execute function ${sql.ident(schema, 'gone')}()`,
    );
    const inputs = [asset('A'), asset('B', 'CRYPTO'), asset('C')];
    const { failed, inserted } = await marketDataSink({ database }).write(
      batchOf(
        inputs.map((input) => ok(input, quote(input, '1'))),
        'key',
      ),
      call,
    );
    expect([failed.map((failure) => [failure.index, failure.error.code]), inserted]).toEqual([
      [[1, 'row_rejected']],
      2,
    ]);
  });
});

it('counts as updated the row that another transaction has inserted meanwhile', async () => {
  await using database = track(await openTestDatabase({ shape: 'S1', migrated: true, poolSize: 4 }));
  const { url, schema, ownSchema } = database;
  await using other = track(connectDatabase({ url, schema, ownSchema }));
  const { write } = await other.pool.tx(async (transaction) => {
    await transaction.query(
      sql`insert into ${sql.ident(schema, 'market_data')} (symbol, asset_type, price) values ('B', 'STOCK', 7)`,
    );
    const outcomes = ['A', 'B'].map((symbol) => ok(asset(symbol), quote(asset(symbol), '1')));
    const write = marketDataSink({ database }).write(batchOf(outcomes), call);
    await waitingForLocks(database, 1);
    return { write };
  });
  expect(await write).toMatchObject({ inserted: 1, updated: 1 });
});
