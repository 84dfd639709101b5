import { sql } from '@databases/pg';
import type { Transaction } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { databaseError, isTransient } from '../../src/postgres/errors.ts';
import { inTransaction, withRetry } from '../../src/postgres/inTransaction.ts';
import { administrate, openTestDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { deferred } from '../support/deferred.ts';
import { track } from '../support/track.ts';

const quick = { retryDelayMs: 1 };

async function openWithTable(): Promise<TestDatabase> {
  const database = await openTestDatabase({ shape: 'S1' });
  await database.pool.query(sql`create table ${sql.ident(database.schema, 'notes')} (note text primary key)`);
  return database;
}

async function insert(database: TestDatabase, transaction: Transaction, note: string): Promise<void> {
  await transaction.query(sql`insert into ${sql.ident(database.schema, 'notes')} values (${note})`);
}

async function notes(database: TestDatabase): Promise<string[]> {
  const rows = (await database.pool.query(sql`select note from ${sql.ident(database.schema, 'notes')} order by 1`)) as {
    note: string;
  }[];
  return rows.map(({ note }) => note);
}

async function killBackend(transaction: Transaction): Promise<void> {
  const [{ pid }] = (await transaction.query(sql`select pg_backend_pid() as pid`)) as [{ pid: number }];
  await administrate(`select pg_terminate_backend(${pid})`);
}

describe('inTransaction', () => {
  it('commits what resolves and rolls back what rejects', async () => {
    await using database = track(await openWithTable());
    await inTransaction({ database, work: (transaction) => insert(database, transaction, 'kept') });
    const failing = inTransaction({
      database,
      work: async (transaction) => {
        await insert(database, transaction, 'lost');
        throw new TypeError('a bug in the work');
      },
    });
    await expect(failing).rejects.toMatchObject({ code: 'internal', message: 'a bug in the work' });
    expect(await notes(database)).toEqual(['kept']);
  });

  it('runs the whole again when the connection is cut', async () => {
    await using database = track(await openWithTable());
    let attempts = 0;
    const result = await inTransaction({
      database,
      work: async (transaction) => {
        attempts += 1;
        await insert(database, transaction, 'first');
        if (attempts < 3) await killBackend(transaction);
        await insert(database, transaction, 'second');
        return attempts;
      },
      ...quick,
    });
    expect(result).toBe(3);
    expect(await notes(database)).toEqual(['first', 'second']);
  });

  it('runs both of two deadlocked transactions to their end', async () => {
    await using database = track(await openWithTable());
    await database.pool.query(sql`insert into ${sql.ident(database.schema, 'notes')} values ('a'), ('b')`);
    const touch = (transaction: Transaction, note: string): Promise<unknown> =>
      transaction.query(sql`update ${sql.ident(database.schema, 'notes')} set note = note where note = ${note}`);
    let waiting = 0;
    const both = deferred();
    let attempts = 0;
    const crossing = (first: string, second: string): Promise<void> =>
      inTransaction({
        database,
        work: async (transaction) => {
          attempts += 1;
          await touch(transaction, first);
          if ((waiting += 1) === 2) both.resolve();
          await both.promise;
          await touch(transaction, second);
        },
        ...quick,
      });
    await Promise.all([crossing('a', 'b'), crossing('b', 'a')]);
    expect(attempts).toBe(3);
  });

  it('gives up after maxRetries with an error that may be retried', async () => {
    await using database = track(await openWithTable());
    let attempts = 0;
    const failing = inTransaction({
      database,
      work: async (transaction) => {
        attempts += 1;
        await killBackend(transaction);
        await insert(database, transaction, 'never');
      },
      ...quick,
      maxRetries: 2,
    });
    await expect(failing).rejects.toMatchObject({ name: 'SinkError', code: 'database_unavailable', retryable: true });
    expect(attempts).toBe(3);
  });

  it('does not try again what cannot succeed', async () => {
    await using database = track(await openWithTable());
    let attempts = 0;
    const failing = inTransaction({
      database,
      work: async (transaction) => {
        attempts += 1;
        await insert(database, transaction, 'twice');
        await insert(database, transaction, 'twice');
      },
    });
    await expect(failing).rejects.toMatchObject({ code: 'database_error', retryable: false });
    expect(attempts).toBe(1);
    expect(await notes(database)).toEqual([]);
  });

  it('rejects at once when aborted in the middle, and rolls back', async () => {
    await using database = track(await openWithTable());
    const controller = new AbortController();
    const inside = deferred();
    const running = inTransaction({
      database,
      work: async (transaction) => {
        await insert(database, transaction, 'lost');
        inside.resolve();
        await new Promise(() => {});
      },
      signal: controller.signal,
    });
    await inside.promise;
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(await notes(database)).toEqual([]);
  });

  it('does not begin when aborted before, or while it queues for a connection', async () => {
    await using database = track(await openTestDatabase({ poolSize: 1 }));
    const controller = new AbortController();
    let begun = 0;
    const work = async (): Promise<void> => {
      begun += 1;
    };
    await database.pool.task(async () => {
      const queued = inTransaction({ database, work, signal: controller.signal });
      controller.abort(new Error('enough'));
      await expect(queued).rejects.toThrow('enough');
    });
    await expect(inTransaction({ database, work, signal: controller.signal })).rejects.toThrow('enough');
    // The pool serves in order: the queued one has had its turn.
    await database.pool.query(sql`select 1`);
    expect(begun).toBe(0);
  });
});

describe('withRetry', () => {
  const lost = Object.assign(new Error('lost'), { code: 'ECONNRESET' });

  it('waits longer each time, jittered and bounded', async () => {
    await using database = track(await openTestDatabase());
    const waits: (number | undefined)[] = [];
    const { setTimeout: original } = globalThis;
    const recording = (run: () => void, milliseconds?: number): NodeJS.Timeout => {
      waits.push(milliseconds);
      return original(run, 0);
    };
    globalThis.setTimeout = recording as typeof setTimeout;
    try {
      const failing = withRetry(database, () => Promise.reject(lost), { maxRetries: 7, random: () => 0.5 });
      await expect(failing).rejects.toMatchObject({ code: 'database_unavailable' });
    } finally {
      globalThis.setTimeout = original;
    }
    expect(waits).toEqual([75, 150, 300, 600, 1200, 1500, 1500]);
  });

  it('ends its wait at once when aborted, and leaves no timer', async () => {
    await using database = track(await openTestDatabase());
    const controller = new AbortController();
    const failed = deferred();
    const waiting = withRetry(
      database,
      () => {
        failed.resolve();
        return Promise.reject(lost);
      },
      { retryDelayMs: 1_000_000, maxRetryDelayMs: 1_000_000, signal: controller.signal },
    );
    await failed.promise;
    await new Promise(setImmediate);
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await new Promise(setImmediate);
    expect(timers()).toBe(before - 1);
  });
});

describe('databaseError', () => {
  const database = {
    server: { host: 'db:5432', user: 'fin', database: 'prices' },
    schema: 'financial_tracker',
    ownSchema: 'fintrack_pipelines',
  };
  const failure = (code: string | undefined, message = 'something'): Error =>
    Object.assign(new Error(message), { code });

  it.each([
    ...[
      'ECONNREFUSED',
      'ECONNRESET',
      'EPIPE',
      'ETIMEDOUT',
      '08000',
      '08006',
      '57P01',
      '57P02',
      '57P03',
      '40001',
      '40P01',
    ],
    ...['53300', 'CONNECTION_POOL:QUEUE_TIMEOUT'],
    // Issue 10, item 7.
    ...['55P03', '55006', '25006', '25P03'],
  ])('lets %s be tried again', (code) => {
    expect(isTransient(failure(code))).toBe(true);
    expect(databaseError(failure(code), database)).toMatchObject({ code: 'database_unavailable', retryable: true });
  });

  it.each(['Connection terminated unexpectedly', 'timeout expired', 'Query read timeout'])('knows "%s"', (message) => {
    expect(databaseError(failure(undefined, message), database)).toMatchObject({
      code: 'database_unavailable',
      retryable: true,
    });
  });

  it.each(['22003', '23505', '42601', '57014', '25P02'])('takes %s for final', (code) => {
    expect(databaseError(failure(code), database)).toMatchObject({ code: 'database_error', retryable: false });
  });

  // Issue 10, item 7: the server was called unreachable for each of them.
  it.each([
    ['55P03', /others hold what is needed, and are waited for$/],
    ['25006', /takes no writes \(.*25006.*\): it is a standby, or set to read-only$/],
  ])('says of %s what is the matter', (code, message) => {
    expect(databaseError(failure(code), database).message).toMatch(message);
  });

  it('says which command makes our own tables', async () => {
    await using real = track(await openTestDatabase());
    const ours = await real.pool
      .query(sql`select * from ${sql.ident(real.ownSchema, 'requests')}`)
      .catch((error: unknown) => error);
    expect(databaseError(ours, real).code).toBe('database_not_ready');
    expect(databaseError(ours, real).message).toMatch(
      /relation "own_\w+\.requests" does not exist: run `fintrack-pipelines migrate`, or call migrate\(\)$/,
    );
    const prices = await real.pool
      .query(sql`select * from ${sql.ident(real.schema, 'market_data')}`)
      .catch((error: unknown) => error);
    expect(databaseError(prices, real).message).toMatch(
      /relation "prices_\w+\.market_data" does not exist: create the price tables/,
    );
  });

  it('leaves our own errors as they are', () => {
    const ours = databaseError(failure('ECONNRESET'), database);
    expect(databaseError(ours, database)).toBe(ours);
  });
});
