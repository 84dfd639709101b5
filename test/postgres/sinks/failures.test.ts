import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../../src/model/errors.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import { createReferenceTables } from '../../../src/postgres/createReferenceTables.ts';
import { migrate } from '../../../src/postgres/migrate.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { asset, batchOf, call, months, ok, quote, range } from './samples.ts';

const rowsOf = async ({ pool, schema }: Database): Promise<unknown[]> =>
  pool.query(sql`select symbol, price::float8 as price from ${sql.ident(schema, 'market_data')} order by 1`);

const one = (symbol: string, price = '1') => ok(asset(symbol), quote(asset(symbol), price));

/** Ends the session that commits the first ledger entry, as a restart of the server would. Answers how often one was tried. */
async function breakFirstCommit({ pool, ownSchema }: Database): Promise<() => Promise<unknown>> {
  const [attempts, trap] = [sql.ident(ownSchema, 'attempts'), sql.ident(ownSchema, 'break_first')];
  // A sequence, because what a rolled back transaction has taken from it stays taken.
  await pool.query(sql`create sequence ${attempts}`);
  await pool.query(sql`
    create function ${trap}() returns trigger language plpgsql as ${sql.__dangerous__rawValue(`$$
    begin
      if nextval('"${ownSchema}".attempts') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if;
      return null;
    end $$`)}`);
  await pool.query(sql`
    create constraint trigger break_first after insert on ${sql.ident(ownSchema, 'batches')}
    deferrable initially deferred for each row execute function ${trap}()`);
  return async () => pool.query(sql`select last_value::integer as attempts from ${attempts}`);
}

/** The database with another way to run what writes: a transaction, or a statement that is one by itself. */
function withWrites(database: Database, around: (write: () => Promise<unknown>) => Promise<unknown>): Database {
  const pool = new Proxy(database.pool, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...values: unknown[]): unknown => {
        const run = () => (member as (...values: unknown[]) => Promise<unknown>).apply(target, values);
        const [first] = values;
        const writes =
          name === 'tx' ||
          (name === 'query' && Array.isArray(first) && isWrite(first[0] as Parameters<typeof isWrite>[0]));
        return writes ? around(run) : run();
      };
    },
  });
  return { ...database, pool };
}

/** A prepared statement says its text whoever formats it. */
function isWrite(query: { format(): { readonly text: string } }): boolean {
  return query.format().text.includes('insert into');
}

describe('a database that fails', () => {
  it('writes the whole batch again when the connection breaks before it is committed', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
    const attempts = await breakFirstCommit(database);
    const sink = marketDataSink({ database });
    const { inserted, failed, stored } = await sink.write(batchOf([one('A'), one('B')], 'broken'), call);
    expect([inserted, failed, stored?.map(({ status }) => status)]).toEqual([2, [], ['ok', 'ok']]);
    expect(await attempts()).toEqual([{ attempts: 2 }]);
    expect(await rowsOf(database)).toHaveLength(2);
  });

  describe('when nobody knows whether COMMIT went through', () => {
    /** Loses the answer to the first write, which has been committed. */
    const losingFirst = (database: Database) => {
      const attempts: unknown[] = [];
      const losing = withWrites(database, async (write) => {
        attempts.push(await write());
        if (attempts.length === 1) throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        return attempts.at(-1);
      });
      return { attempts, losing };
    };

    it('takes outcomes and counts of quotes from the ledger', async () => {
      await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
      const { attempts, losing } = losingFirst(database);
      const batch = batchOf([one('A'), one('A'), one('B', 'NaN')], 'quotes');
      const { failed, ...counts } = await marketDataSink({ database: losing }).write(batch, call);
      expect(attempts.length).toBeGreaterThan(1);
      expect(counts).toMatchObject({ inserted: 1, updated: 0, unchanged: 0, transactions: 1 });
      expect(failed.map(({ index, error }) => [index, error.code])).toEqual([[2, 'value_invalid']]);
    });

    it('takes outcomes and counts of months from the ledger', async () => {
      await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
      const { attempts, losing } = losingFirst(database);
      const input = range('A', '2024-01-01', '2024-01-31');
      const batch = batchOf([ok(input, months(input, { '2024-01-31': '1' }))], 'months');
      const result = await monthlyPriceSink({ database: losing }).write(batch, call);
      expect(attempts.length).toBeGreaterThan(1);
      expect(result).toMatchObject({ inserted: 1, unchanged: 0, transactions: 1 });
      expect(result.stored).toMatchObject([{ status: 'ok', value: { recordCount: 1, prices: [] } }]);
    });
  });

  it('waits for a server that starts', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    let attempts = 0;
    const starting = withWrites(database, (write) => {
      attempts += 1;
      if (attempts < 3) return Promise.reject(Object.assign(new Error('starting up'), { code: '57P03' }));
      return write();
    });
    expect(await marketDataSink({ database: starting }).write(batchOf([one('A')]), call)).toMatchObject({
      inserted: 1,
    });
    expect(attempts).toBe(3);
  });

  it('says which table is missing, and which to make', async () => {
    await using database = track(await openTestDatabase());
    const sink = marketDataSink({ database });
    const attempts = [
      sink.write(batchOf([one('A')]), call),
      sink.current([asset('A')], call),
      sink.ledger.accept({ key: 'k', pipeline: 'market-data', inputs: [asset('A')], batchSize: 1 }),
      sink.ledger.stored('k', 0),
      monthlyPriceSink({ database }).current([range('A', '2024-01-01', '2024-02-01')], call),
    ];
    const reasons = (await Promise.allSettled(attempts)).map((result) =>
      result.status === 'rejected' ? (result.reason as PipelineError) : undefined,
    );
    expect(reasons.map((reason) => reason?.code)).toEqual(Array(5).fill('database_not_ready'));
    expect(reasons[0]!.message).toMatch(/market_data.*createReferenceTables/);
    expect(reasons[2]!.message).toMatch(/migrate/);
  });

  it('rejects the write of a request, and keeps no row, where the ledger has no tables', async () => {
    await using database = track(await openTestDatabase({ shape: 'S2' }));
    const sink = marketDataSink({ database });
    await expect(sink.write(batchOf([one('A')], 'request'), call)).rejects.toMatchObject({
      code: 'database_not_ready',
    });
    expect(await rowsOf(database)).toEqual([]);
    expect(await sink.write(batchOf([one('A')]), call)).toMatchObject({ inserted: 1 });
  });

  it('says which column is missing', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    await database.pool.query(sql`alter table ${sql.ident(database.schema, 'market_data')} drop column high`);
    const write = marketDataSink({ database }).write(batchOf([one('A')]), call);
    await expect(write).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringContaining('"high"') as string,
    });
  });

  it.each(['schema "quoted"', "o'clock; drop schema public; --", '.$1 \\'])(
    'works in a schema named %s',
    async (name) => {
      await using base = track(await openTestDatabase());
      const schemas = { schema: `${name} ${base.schema}`, ownSchema: `${name} ${base.ownSchema}` };
      await using database = track(connectDatabase({ url: base.url, ...schemas }));
      try {
        await createReferenceTables({ database });
        await migrate({ database });
        const sink = marketDataSink({ database });
        expect(await sink.write(batchOf([one('A')], 'request'), call)).toMatchObject({ inserted: 1 });
        expect(await sink.current([asset('A')], call)).toMatchObject([{ status: 'fresh' }]);
        const monthly = monthlyPriceSink({ database });
        const input = range('A', '2024-01-01', '2024-02-29');
        const written = await monthly.write(
          batchOf([ok(input, months(input, { '2024-01-31': '1' }))], 'monthly'),
          call,
        );
        expect(written).toMatchObject({ inserted: 1, failed: [] });
        expect(await monthly.current([input], call)).toMatchObject([{ status: 'fresh' }]);
      } finally {
        for (const schema of Object.values(schemas))
          await database.pool.query(sql`drop schema if exists ${sql.ident(schema)} cascade`);
      }
    },
  );

  it('writes to a table whose identities are generated always, and to one without identities', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1' }));
    const table = sql.ident(database.schema, 'market_data');
    for (const id of [sql`add column id bigint generated always as identity`, sql`add column other bigint`]) {
      await database.pool.query(sql`alter table ${table} drop column if exists id`);
      await database.pool.query(sql`alter table ${table} ${id}`);
      const { failed } = await marketDataSink({ database }).write(batchOf([one('A'), one('B')]), call);
      expect(failed).toEqual([]);
    }
    expect(await rowsOf(database)).toHaveLength(2);
  });

  it('rejects at once when aborted while it waits for a lock, and stores the batch whole or not at all', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
    const [sink, monthly] = [marketDataSink({ database }), monthlyPriceSink({ database })];
    const input = range('A', '2024-01-01', '2024-01-31');
    const write = (price: string, request: string, signal: AbortSignal) => [
      sink.write(batchOf([one('A', price), one('B', price)], request), { signal }),
      monthly.write(batchOf([ok(input, months(input, { '2024-01-31': price }))], `monthly ${request}`), { signal }),
    ];
    await Promise.all(write('1', 'before', call.signal));
    const controller = new AbortController();
    const { schema, ownSchema, url } = database;
    await using blocker = track(connectDatabase({ url, schema, ownSchema }));
    await blocker.pool.tx(async (transaction) => {
      await transaction.query(
        sql`lock table ${sql.ident(schema, 'market_data')}, ${sql.ident(schema, 'market_data_monthly')}`,
      );
      const writes = write('2', 'aborted', controller.signal);
      const waiting = sql`select count(*)::integer as waiting from pg_locks where not granted and relation = ${`"${schema}".market_data`}::regclass`;
      await expect.poll(() => transaction.query(waiting)).toEqual([{ waiting: 1 }]);
      controller.abort(new PipelineError('canceled', 'shutdown'));
      for (const aborted of writes) await expect(aborted).rejects.toMatchObject({ code: 'canceled' });
    });
    // What was sent may still be on its way, on a connection that the pool has given up: until it has ended it holds locks.
    const tables = sql.join(
      ['market_data', 'market_data_monthly'].map((table) => sql`${`"${schema}".${table}`}::regclass`),
      ', ',
    );
    const held = sql`select count(*)::integer as held from pg_locks where relation in (${tables})`;
    await expect.poll(() => database.pool.query(held), { timeout: 10_000 }).toEqual([{ held: 0 }]);
    const prices = (await rowsOf(database)).map((row) => (row as { price: number }).price);
    const stored = await sink.ledger.stored('aborted', 0);
    expect([prices, stored?.outcomes.length]).toEqual(prices[0] === 2 ? [[2, 2], 2] : [[1, 1], undefined]);
    expect(await monthly.ledger.stored('monthly aborted', 0)).toBeUndefined();
  });
});
