import { sql } from '@databases/pg';
import { lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { memorySink } from '../../src/memory/memorySink.ts';
import { PipelineError, SinkError } from '../../src/model/errors.ts';
import type { Sink } from '../../src/model/ports.ts';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import type { Database } from '../../src/postgres/connectDatabase.ts';
import { fromTable } from '../../src/postgres/fromTable.ts';
import { inTransaction } from '../../src/postgres/inTransaction.ts';
import { postgresLedger } from '../../src/postgres/ledger/postgresLedger.ts';
import { removeExpired } from '../../src/postgres/ledger/removeExpired.ts';
import { patientSink } from '../../src/postgres/patientSink.ts';
import { marketDataSink } from '../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../src/postgres/sinks/monthlyPriceSink.ts';
import { deferred } from '../support/deferred.ts';
import { openTestDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';
import { asset, batchOf, call, index, ok, quote, range } from './sinks/samples.ts';

// All of this file: issue 10, item 7: what is no row's, once or twice, failed the call while the database passed a probe.

interface Obstructed {
  readonly table: string;
  /** It returns `xmax`, which a view has not, and begins with an insert. */
  readonly isWritten?: true;
  readonly run: (database: Database) => Promise<unknown>;
}

/** One statement of each kind that is no write of rows. */
const statements: Readonly<Record<string, Obstructed>> = {
  'what is fresh of market_data': {
    table: 'market_data',
    run: (database) => marketDataSink({ database }).current([asset('A')], call),
  },
  'what is fresh of market_index_data': {
    table: 'market_index_data',
    run: (database) => marketIndexSink({ database }).current([index('A')], call),
  },
  'which months are there': {
    table: 'market_data_monthly',
    run: (database) => monthlyPriceSink({ database }).current([range('A', '2024-01-01', '2024-03-31')], call),
  },
  'a page of fromTable': {
    table: 'market_data',
    run: (database) => lastValueFrom(fromTable({ database, table: 'market_data' }).pipe(toArray())),
  },
  'a request accepted': {
    table: 'requests',
    isWritten: true,
    run: (database) =>
      postgresLedger({ database }).accept({ key: 'request', pipeline: 'p', inputs: ['A'], batchSize: 1 }),
  },
  'a batch read': { table: 'batches', run: (database) => postgresLedger({ database }).stored('request', 0) },
  'numbers read': { table: 'batches', run: (database) => postgresLedger({ database }).storedNumbers('request') },
  'batches read': { table: 'batches', run: (database) => readAll(postgresLedger({ database }).batches('request')) },
  'a failed batch stored': {
    table: 'batches',
    run: (database) => {
      const error = new PipelineError('internal', 'failed');
      return postgresLedger({ database }).storeFailed('request', { index: 0, inputs: ['A'], error });
    },
  },
  'a start': {
    table: 'starts',
    isWritten: true,
    run: (database) => postgresLedger({ database }).begin({ key: 'request', token: 'token' }, 3),
  },
  'a start handed back': {
    table: 'starts',
    run: (database) => postgresLedger({ database }).handBack({ key: 'request', token: 'token' }),
  },
  'what is expired': { table: 'requests', run: (database) => removeExpired({ database }) },
};

async function readAll(batches: AsyncIterable<unknown>): Promise<void> {
  for await (const batch of batches) expect(batch).toBeDefined();
}

/** The first `times` statements on a table meet `obstacle`, in PL/pgSQL; answers how many have met it. */
async function obstruct(
  { pool, schema, ownSchema }: Database,
  table: string,
  obstacle: string,
  times = Infinity,
  isWritten = false,
) {
  const home = table.startsWith('market') ? schema : ownSchema;
  const within = (name: string) => sql.ident(home, name);
  const raw = (text: string) => sql.__dangerous__rawValue(text);
  await pool.query(sql`create sequence ${within('tries')}`);
  const condition = times === Infinity ? 'true' : `count <= ${times}`;
  const body = `declare count integer := nextval('"${home}".tries'); begin if ${condition} then ${obstacle}; end if; return true; end`;
  await pool.query(
    sql`create function ${within('meet')}() returns boolean language plpgsql as ${raw(`$$ ${body} $$`)}`,
  );
  const trigger = `begin perform "${home}".meet(); return null; end`;
  await pool.query(
    sql`create function ${within('trap')}() returns trigger language plpgsql as ${raw(`$$ ${trigger} $$`)}`,
  );
  await pool.query(sql`
    create trigger trap before insert on ${within(table)} for each statement execute function ${within('trap')}()`);
  // What returns xmax needs the table itself.
  if (!isWritten) {
    await pool.query(sql`alter table ${within(table)} rename to hidden`);
    await pool.query(
      sql`create view ${within(table)} as select * from ${within('hidden')} where (select ${within('meet')}())`,
    );
  }
  return async (): Promise<number> => {
    const rows = await pool.query(sql`select last_value::integer as tries from ${within('tries')}`);
    return (rows as [{ tries: number }])[0].tries;
  };
}

const raise = (state: string): string => `raise exception 'met' using errcode = '${state}'`;
const open = async (): Promise<TestDatabase> => track(await openTestDatabase({ shape: 'S1', migrated: true }));

const failure = { code: 'database_error', retryable: false };

describe.each(Object.entries(statements))('%s', (_, { table, isWritten, run }) => {
  it('is asked again after a state that may pass: twice, and once after one that was too slow', async () => {
    await using database = await open();
    const state = `case when count = 1 then '57014' else 'XX000' end`;
    await obstruct(database, table, `raise exception 'met' using errcode = ${state}`, 3, isWritten);
    await expect(run(database)).resolves.not.toThrow();
  });

  it('fails when it was too slow twice, while the database passes a probe', async () => {
    await using database = await open();
    // The probe of the database writes to the same tables.
    const probe = vi.fn(() => Promise.resolve());
    const tries = await obstruct(database, table, raise('57014'), Infinity, isWritten);
    await expect(run({ ...database, probe })).rejects.toMatchObject(failure);
    expect([await tries(), probe.mock.calls.length]).toEqual([2, 2]);
  });
});

describe('a statement', () => {
  const { table, run } = statements['what is fresh of market_data']!;

  it.each([
    ['XX000', 3],
    // What the same values, or the same text, will always meet.
    ['22003', 1],
    ['P0001', 1],
    ['42601', 1],
  ])('fails with %s after %i tries', async (state, times) => {
    await using database = await open();
    const tries = await obstruct(database, table, raise(state));
    await expect(run(database)).rejects.toMatchObject(failure);
    expect(await tries()).toBe(times);
  });

  it('waits with any state while the probe fails as well, and is an outage in the end', async () => {
    await using database = await open();
    const tries = await obstruct(database, table, raise('XX000'));
    const work = () => database.pool.query(sql`select from ${sql.ident(database.schema, table)}`);
    const probed = { ...database, probe: () => Promise.reject(new Error('no answer')) };
    const waited = inTransaction({ database: probed, work, maxRetries: 5, retryDelayMs: 1 });
    await expect(waited).rejects.toMatchObject({ code: 'database_unavailable', retryable: true });
    await expect(waited).rejects.toThrow(/met.*XX000.*a probe fails as well: .*no answer/);
    expect(await tries()).toBe(6);
  });

  it('that runs out of its time once is asked again by the server’s own word', async () => {
    await using opened = await open();
    const { url, schema, ownSchema } = opened;
    const limits = { statementTimeoutMs: 250, lockTimeoutMs: 50 };
    await using database = track(connectDatabase({ url, schema, ownSchema, ...limits }));
    const tries = await obstruct(opened, table, 'perform pg_sleep(5)', 1);
    expect(await run(database)).toEqual([{ status: 'pending', input: asset('A') }]);
    expect(await tries()).toBe(2);
  });

  it('that may be tried once only is not tried again', async () => {
    await using database = await open();
    const tries = await obstruct(database, table, raise('57014'));
    const work = () => database.pool.query(sql`select from ${sql.ident(database.schema, table)}`);
    await expect(inTransaction({ database, work, maxRetries: 0 })).rejects.toMatchObject(failure);
    expect(await tries()).toBe(1);
  });
});

describe('what a batch writes beside its rows', () => {
  it('may be too slow once more after a row was', async () => {
    await using opened = await open();
    const { url, schema, ownSchema } = opened;
    const limits = { statementTimeoutMs: 250, lockTimeoutMs: 50 };
    await using database = track(connectDatabase({ url, schema, ownSchema, ...limits }));
    const [slow, claims] = [sql.ident(schema, 'slow'), sql.ident(ownSchema, 'claims')];
    const trigger = (body: string) => sql.__dangerous__rawValue(`$$ begin ${body}; return new; end $$`);
    await opened.pool.query(sql`create sequence ${claims}`);
    await opened.pool.query(sql`
      create function ${slow}() returns trigger language plpgsql as
        ${trigger(`if new.symbol = 'B' then perform pg_sleep(5); end if`)}`);
    await opened.pool.query(sql`
      create trigger slow before insert on ${sql.ident(schema, 'market_data')} for each row execute function ${slow}()`);
    // The claim of the third try, with which the rows are looked for.
    await opened.pool.query(sql`
      create function ${sql.ident(ownSchema, 'slow')}() returns trigger language plpgsql as
        ${trigger(`if nextval('"${ownSchema}".claims') = 3 then perform pg_sleep(5); end if`)}`);
    await opened.pool.query(sql`
      create trigger slow before insert on ${sql.ident(ownSchema, 'batches')}
      for each row execute function ${sql.ident(ownSchema, 'slow')}()`);
    const outcomes = ['A', 'B', 'C'].map((symbol) => ok(asset(symbol), quote(asset(symbol), '1.5')));
    const { inserted, failed } = await marketDataSink({ database }).write(batchOf(outcomes, 'request'), call);
    expect([inserted, failed.map(({ index, error }) => [index, error.code])]).toEqual([2, [[1, 'row_rejected']]]);
  });
});

// Field case 20, of what is no write: a lock that is held for longer than a statement may take.
describe('a lock on the tables', () => {
  it('is waited for by the questions of a patient sink and its ledger, and called busy', async () => {
    await using opened = await open();
    const { url, schema, ownSchema } = opened;
    const limits = { statementTimeoutMs: 120, lockTimeoutMs: 40 };
    await using database = track(connectDatabase({ url, schema, ownSchema, ...limits }));
    const told: string[] = [];
    const waiting = deferred();
    const sink = patientSink({
      sink: marketDataSink({ database }),
      answerWithinMs: 2000,
      onWait: ({ code }) => {
        told.push(code);
        waiting.resolve();
      },
    });
    const asked = await opened.pool.tx(async (transaction) => {
      for (const table of [sql.ident(schema, 'market_data'), sql.ident(ownSchema, 'batches')]) {
        await transaction.query(sql`lock table ${table}`);
      }
      const answers = [sink.current([asset('A')], call), sink.ledger.stored('request', 0)];
      await waiting.promise;
      return answers;
    });
    expect(await Promise.all(asked)).toEqual([[{ status: 'pending', input: asset('A') }], undefined]);
    expect(told).toEqual(['database_busy']);
  });
});

describe('a patient sink whose connections are all taken by slow statements', () => {
  it.each(['CONNECTION_POOL:QUEUE_TIMEOUT', 'Query read timeout'])('is busy, and not away: %s', async (what) => {
    const cause = what.startsWith('C') ? Object.assign(new Error('queue'), { code: what }) : new Error(what);
    const stored = memorySink<string, number>();
    const told: string[] = [];
    let failures = 1;
    const taken: Sink<string, number> = {
      ...stored,
      probe: () => Promise.resolve(),
      write: (batch, call) =>
        failures-- > 0
          ? Promise.reject(new SinkError('database_unavailable', 'no connection', { retryable: true, cause }))
          : stored.write(batch, call),
    };
    const sink = patientSink({ sink: taken, minDelayMs: 1, onWait: ({ code }) => told.push(code) });
    await sink.write(batchOf<string, number>([ok('A', 1)]), call);
    expect(told).toEqual(['database_busy']);
  });
});
