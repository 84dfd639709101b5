import { sql } from '@databases/pg';
import { describe, expect, it, vi } from 'vitest';
import type { PipelineError } from '../../../src/model/errors.ts';
import type { WriteResult } from '../../../src/model/ports.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';
import { patientSink } from '../../../src/postgres/patientSink.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { createUser, grantAll, openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase, TestDatabaseOptions } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { asset, batchOf, call, index, indexQuote, months, ok, quote, range } from './samples.ts';

// All of this file: issue 10, item 7.

const symbols = ['A', 'B', 'C', 'D', 'E'];
type Table = 'market_data' | 'market_index_data' | 'market_data_monthly';

/** Writes the symbols to a table, with the sink that it has. */
const writers: Record<Table, (database: Database, of: readonly string[]) => Promise<WriteResult<unknown, unknown>>> = {
  market_data: (database, of) => {
    const outcomes = of.map((symbol) => ok(asset(symbol), quote(asset(symbol), '1.5')));
    return marketDataSink({ database }).write(batchOf(outcomes, 'request'), call);
  },
  market_index_data: (database, of) => {
    const outcomes = of.map((symbol) => ok(index(symbol), indexQuote(index(symbol), '1.5')));
    return marketIndexSink({ database }).write(batchOf(outcomes, 'request'), call);
  },
  market_data_monthly: (database, of) => {
    const inputs = of.map((symbol) => range(symbol, '2024-01-01', '2024-01-31'));
    const outcomes = inputs.map((input) => ok(input, months(input, { '2024-01-31': '1.5' })));
    return monthlyPriceSink({ database }).write(batchOf(outcomes, 'request'), call);
  },
};
const tables = Object.keys(writers) as Table[];
const write = (database: Database, of = symbols) => writers.market_data(database, of);

const open = (options: TestDatabaseOptions = {}) => openTestDatabase({ shape: 'S1', migrated: true, ...options });

/** Runs a body of PL/pgSQL before each row that is written to a table; `tries` of the schema counts what it asks to. */
async function addTrigger({ pool, schema, ownSchema }: Database, table: string, body: string, own = false) {
  const [name, home] = [`trap_${table}`, own ? ownSchema : schema];
  await pool.query(sql`create sequence if not exists ${sql.ident(schema, 'tries')}`);
  await pool.query(sql`
    create function ${sql.ident(home, name)}() returns trigger language plpgsql as ${sql.__dangerous__rawValue(
      `$$ begin ${body.replaceAll('TRIES', `'"${schema}".tries'`)}; return new; end $$`,
    )}`);
  await pool.query(sql`
    create trigger ${sql.ident(name)} before insert or update on ${sql.ident(home, table)}
    for each row execute function ${sql.ident(home, name)}()`);
  return () => pool.query(sql`drop trigger ${sql.ident(name)} on ${sql.ident(home, table)}`);
}

const raise = (state: string): string => `raise exception 'trap' using errcode = '${state}'`;

/** The database with a watch on its probes. */
function watched(database: TestDatabase, before?: (probe: number) => Promise<unknown>) {
  let probes = 0;
  const probe = vi.fn(async () => {
    await before?.((probes += 1));
    return database.probe();
  });
  return { database: { ...database, probe }, probe };
}

function failures({ failed }: WriteResult<unknown, unknown>): [number, string, string][] {
  return failed.map(({ index, error }) => [index, error.code, /\(SQLSTATE (\w+)\)$/.exec(error.message)?.[1] ?? '']);
}

describe('a state that is a row’s', () => {
  it.each(['P0001', 'P0004', '22012', '23514', 'ZZ001', 'U0123', '38001'])('fails it at once: %s', async (state) => {
    await using opened = track(await open());
    const { database, probe } = watched(opened);
    await addTrigger(opened, 'market_data', `if new.symbol = 'C' then ${raise(state)}; end if`);
    const result = await write(database);
    expect(failures(result)).toEqual([[2, 'row_rejected', state]]);
    expect(result.inserted).toBe(4);
    expect(probe).not.toHaveBeenCalled();
  });
});

describe('a state that may be anybody’s', () => {
  it.each(tables)(
    'fails the row of %s that it follows, after three tries with a database that is well',
    async (table) => {
      await using opened = track(await open());
      const { database, probe } = watched(opened);
      const body = `if new.symbol = 'D' then perform nextval(TRIES); ${raise('XX000')}; end if`;
      await addTrigger(opened, table, body);
      const result = await writers[table](database, symbols);
      expect(failures(result)).toEqual([[3, 'row_rejected', 'XX000']]);
      expect(result.inserted).toBe(4);
      expect(probe).toHaveBeenCalledTimes(3);
      // Three of the whole, and halves of 5, 2 and 1.
      expect(
        await opened.pool.query(sql`select last_value::integer as tries from ${sql.ident(opened.schema, 'tries')}`),
      ).toEqual([{ tries: 6 }]);
    },
  );

  it.each(['53100', '53200', '58030', '57P01', '08006', '0A000', '54001'])(
    'is told apart by the probe: %s',
    async (state) => {
      await using opened = track(await open());
      const { database } = watched(opened);
      await addTrigger(opened, 'market_data', `if new.symbol = 'A' then ${raise(state)}; end if`);
      const result = await write(database, ['A', 'B']);
      expect(failures(result)).toEqual([[0, 'row_rejected', state]]);
      expect(result.inserted).toBe(1);
    },
  );

  it('passes without harm when it comes twice only', async () => {
    await using database = track(await open());
    await addTrigger(database, 'market_data', `if nextval(TRIES) <= 2 then ${raise('XX000')}; end if`);
    expect(await write(database)).toMatchObject({ inserted: 5, failed: [] });
  });

  it('is waited for while the probe, which writes to our own table, fails as well', async () => {
    await using opened = track(await open());
    const drops = [
      await addTrigger(opened, 'market_data', raise('53100')),
      await addTrigger(opened, 'requests', raise('53100'), true),
    ];
    const { database, probe } = watched(opened, async (number) => {
      if (number === 5) for (const drop of drops) await drop();
    });
    expect(await write(database)).toMatchObject({ inserted: 5, failed: [] });
    expect(probe).toHaveBeenCalledTimes(5);
  });

  it('is an outage in the end for who has no patience, and fails no row', async () => {
    await using opened = track(await open());
    await addTrigger(opened, 'market_data', raise('58030'));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const probe = () => Promise.reject(Object.assign(new Error('I/O error'), { code: '58030' }));
    const writing = write({ ...opened, probe }).catch((error: unknown) => error);
    let ended = false;
    void writing.then(() => (ended = true));
    while (!ended) {
      vi.advanceTimersByTime(1);
      await new Promise(setImmediate);
    }
    vi.useRealTimers();
    expect(await writing).toMatchObject({ code: 'database_unavailable', retryable: true });
    expect(((await writing) as Error).message).toMatch(/trap.*58030.*a probe fails as well: .*I\/O error/);
  });

  it('fails no row when the database fails while the rows are looked for', async () => {
    await using opened = track(await open());
    // The probe within the transaction fails; the one before found the database well.
    const dropOwn = await addTrigger(opened, 'requests', raise('53100'), true);
    const drop = await addTrigger(opened, 'market_data', `if new.symbol = 'C' then ${raise('53100')}; end if`);
    let searches = 0;
    const pool = new Proxy(opened.pool, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (name !== 'tx' || typeof member !== 'function') return member;
        return async (...values: unknown[]): Promise<unknown> => {
          searches += 1;
          // Three of the whole, one by halves.
          if (searches === 5) for (const undo of [drop, dropOwn]) await undo();
          return Reflect.apply(member, target, values) as unknown;
        };
      },
    });
    const database = { ...opened, pool, probe: () => Promise.resolve() };
    expect(await write(database)).toMatchObject({ inserted: 5, failed: [] });
    expect(searches).toBe(5);
  });
});

// Field case 20.
describe('a lock', () => {
  it('is waited for, longer than a statement may take, and fails nothing', async () => {
    await using opened = track(await open());
    const { url, schema, ownSchema } = opened;
    const limits = { statementTimeoutMs: 200, lockTimeoutMs: 60 };
    await using database = track(connectDatabase({ url, schema, ownSchema, ...limits }));
    const result = await opened.pool.tx(async (transaction) => {
      await transaction.query(sql`lock table ${sql.ident(schema, 'market_data')}`);
      const seen: unknown[] = [];
      const pool = new Proxy(database.pool, {
        get: (target, name) => {
          const member: unknown = Reflect.get(target, name, target);
          if (name !== 'query' || typeof member !== 'function') return member;
          return async (...values: unknown[]): Promise<unknown> => {
            try {
              return (await Reflect.apply(member, target, values)) as unknown;
            } catch (error) {
              seen.push((error as { code: unknown }).code);
              // As long as four limits, and more than a statement has.
              if (seen.length === 4) await transaction.query(sql`rollback`);
              throw error;
            }
          };
        },
      });
      const written = await write({ ...database, pool });
      return { written, seen };
    });
    expect(result.written).toMatchObject({ inserted: 5, failed: [] });
    expect(result.seen).toEqual(['55P03', '55P03', '55P03', '55P03']);
  });
});

describe('a statement that is too slow', () => {
  const slow = { statementTimeoutMs: 250, lockTimeoutMs: 50 };

  it('is halved after it was too slow twice, and the row that is too slow alone fails', async () => {
    await using database = track(await open(slow));
    await addTrigger(database, 'market_data', `if new.symbol = 'B' then perform nextval(TRIES), pg_sleep(5); end if`);
    const result = await write(database, ['A', 'B', 'C', 'D']);
    expect(failures(result)).toEqual([[1, 'row_rejected', '57014']]);
    expect(result.inserted).toBe(3);
    const [row] = (await database.pool.query(
      sql`select last_value::integer as tries from ${sql.ident(database.schema, 'tries')}`,
    )) as [{ tries: number }];
    // Twice the whole, then 4, 2 and 1.
    expect(row.tries).toBe(5);
  });

  it('is tried again when it was too slow once', async () => {
    await using database = track(await open(slow));
    await addTrigger(database, 'market_data', `if nextval(TRIES) = 1 then perform pg_sleep(5); end if`);
    expect(await write(database)).toMatchObject({ inserted: 5, failed: [] });
  });
});

describe('a right that is missing', () => {
  /** A database of somebody who owns nothing, with all rights that docs/postgres.md lists. */
  async function asWorker(opened: TestDatabase, url: string, name: string): Promise<Database> {
    await grantAll(opened, name);
    const { schema, ownSchema } = opened;
    return connectDatabase({ url, schema, ownSchema });
  }

  // Field case 10.
  it.each(tables)('for a row of %s, by its policy, fails that row alone', async (table) => {
    await using opened = track(await open());
    await using user = track(await createUser(opened));
    await using database = track(await asWorker(opened, user.url, user.name));
    const target = sql.ident(opened.schema, table);
    await opened.pool.query(sql`alter table ${target} enable row level security`);
    await opened.pool.query(sql`create policy reads on ${target} for select using (true)`);
    await opened.pool.query(sql`create policy changes on ${target} for update using (true)`);
    await opened.pool.query(sql`create policy writes on ${target} for insert with check (symbol <> 'B')`);
    const result = await writers[table](database, ['A', 'B', 'C']);
    expect(failures(result)).toEqual([[1, 'row_rejected', '42501']]);
    expect(result.inserted).toBe(2);
  });

  it.each([
    ['the table', (opened: TestDatabase) => sql`insert on ${sql.ident(opened.schema, 'market_data')}`],
    ['the schema', (opened: TestDatabase) => sql`usage on schema ${sql.ident(opened.schema)}`],
    ['a sequence', (opened: TestDatabase) => sql`usage on all sequences in schema ${sql.ident(opened.schema)}`],
    ['the ledger', (opened: TestDatabase) => sql`insert on ${sql.ident(opened.ownSchema, 'batches')}`],
  ])('for %s is the deployment’s, and waited for', async (_, right) => {
    await using opened = track(await open());
    await using user = track(await createUser(opened));
    await using database = track(await asWorker(opened, user.url, user.name));
    const name = sql.ident(user.name);
    await opened.pool.query(sql`revoke ${right(opened)} from ${name}`);
    await expect(write(database)).rejects.toMatchObject({ code: 'database_not_ready' });
    const told: PipelineError[] = [];
    const patient = patientSink({
      sink: marketDataSink({ database }),
      minDelayMs: 1,
      onWait: (error) => {
        told.push(error);
        void opened.pool.query(sql`grant ${right(opened)} to ${name}`);
      },
    });
    const outcomes = symbols.map((symbol) => ok(asset(symbol), quote(asset(symbol), '1.5')));
    expect(await patient.write(batchOf(outcomes, 'request'), call)).toMatchObject({ inserted: 5, failed: [] });
    expect(told.map(({ code }) => code)).toEqual(['database_not_ready']);
  });
});

describe('a table that is missing', () => {
  it.each(['42P01', '42703', '42883', '3F000'])('for a trigger on one row fails that row: %s', async (state) => {
    await using database = track(await open());
    await addTrigger(database, 'market_data', `if new.symbol = 'E' then ${raise(state)}; end if`);
    expect(failures(await write(database))).toEqual([[4, 'row_rejected', state]]);
  });

  it('for a trigger on all rows is the deployment’s', async () => {
    await using database = track(await open());
    await addTrigger(database, 'market_data', `perform 1 from missing_audit_table`);
    await expect(write(database)).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringContaining('missing_audit_table') as string,
    });
  });

  it('is waited for, and what was fetched is written once it is there', async () => {
    await using opened = track(await open());
    const [there, away] = [sql.ident(opened.schema, 'market_data'), sql.ident(opened.schema, 'moved')];
    const sink = marketDataSink({ database: opened });
    await sink.write(batchOf([ok(asset('X'), quote(asset('X'), '1'))], 'before'), call);
    await opened.pool.query(sql`alter table ${there} rename to moved`);
    const told: string[] = [];
    const patient = patientSink({
      sink,
      minDelayMs: 1,
      onWait: ({ code }) => {
        told.push(code);
        void opened.pool.query(sql`alter table ${away} rename to market_data`);
      },
    });
    const outcomes = [ok(asset('A'), quote(asset('A'), '1.5'))];
    expect(await patient.write(batchOf(outcomes, 'request'), call)).toMatchObject({ inserted: 1, failed: [] });
    expect(told).toEqual(['database_not_ready']);
  });
});

describe('a connection that says it is read-only', () => {
  it('is dropped, and the batch is written by another one', async () => {
    await using database = track(await open({ poolSize: 1 }));
    const pid = sql`select pg_backend_pid() as pid`;
    const [before] = (await database.pool.query(pid)) as [{ pid: number }];
    await database.pool.query(sql`set default_transaction_read_only = on`);
    expect(await write(database)).toMatchObject({ inserted: 5, failed: [] });
    const [after] = (await database.pool.query(pid)) as [{ pid: number }];
    expect(after.pid).not.toBe(before.pid);
  });
});
