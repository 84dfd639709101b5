import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { inspect } from 'node:util';
import { sql } from '@databases/pg';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { withRetry } from '../../src/postgres/inTransaction.ts';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import type { ConnectDatabaseOptions } from '../../src/postgres/connectDatabase.ts';
import { freePort } from '../../src/postgres/embedded/freePort.ts';
import { databaseError } from '../../src/postgres/errors.ts';
import type { PipelineError } from '../../src/model/errors.ts';
import { administrate, openTestDatabase, serverUrl } from '../support/postgres.ts';
import { deferred } from '../support/deferred.ts';
import { track } from '../support/track.ts';

const password = 'S3CRET-pa55';

/** The error of a first query, as our own code reports it. */
async function firstError(options: ConnectDatabaseOptions): Promise<PipelineError> {
  await using database = track(connectDatabase(options));
  try {
    await database.pool.query(sql`select 1`);
  } catch (error) {
    return databaseError(error, database);
  }
  return expect.unreachable('the query succeeded');
}

function changed(change: (url: URL) => void): string {
  const url = new URL(serverUrl());
  change(url);
  return url.href;
}

describe('connectDatabase', () => {
  it('reads text where JavaScript has no exact type', async () => {
    await using database = track(await openTestDatabase());
    await using connection = track(connectDatabase({ url: database.url }));
    await connection.pool.query(sql`select 1`);
    const rows: unknown = await database.pool.query(sql`
      select 123456789012345.6789::numeric as "numeric", 9007199254740993::bigint as "bigint",
             date '2026-01-31' as "date", timestamp '2026-01-31 12:00:00' as "timestamp",
             timestamptz '2026-01-31 12:00:00+00' at time zone 'UTC' as "utc",
             array[0.10, 2.5]::numeric[] as "numerics", array[date '2026-01-31', null] as "dates"`);
    expect(rows).toEqual([
      {
        numeric: '123456789012345.6789',
        bigint: '9007199254740993',
        date: '2026-01-31',
        timestamp: '2026-01-31 12:00:00',
        utc: '2026-01-31 12:00:00',
        numerics: ['0.10', '2.5'],
        dates: ['2026-01-31', null],
      },
    ]);
    const types: unknown = await database.pool.query(
      sql`select pg_typeof(timestamptz '2026-01-31 12:00:00+00')::text as type, timestamptz '2026-01-31 12:00:00+00' as value`,
    );
    expect(types).toEqual([
      { type: 'timestamp with time zone', value: expect.stringMatching(/^2026-01-31 \d\d:00:00[+-]\d\d$/) as string },
    ]);
  });

  it('limits the statement and the connections', async () => {
    await using database = track(await openTestDatabase({ statementTimeoutMs: 50, poolSize: 1, queueTimeoutMs: 60 }));
    await expect(database.pool.query(sql`select pg_sleep(60)`)).rejects.toMatchObject({ code: '57014' });
    const error = await database.pool.task(async () =>
      database.pool.query(sql`select 1`).catch((error: unknown) => databaseError(error, database)),
    );
    expect(error).toMatchObject({ code: 'database_unavailable', retryable: true });
    expect(String(error)).toContain('no connection of the pool became free in time');
  });

  it('closes once, however often it is asked', async () => {
    const database = track(await openTestDatabase());
    await Promise.all([database.close(), database.close()]);
    await database[Symbol.asyncDispose]();
    const error = await database.pool.query(sql`select 1`).catch((error: unknown) => databaseError(error, database));
    expect(error).toMatchObject({ code: 'database_error', retryable: false });
  });

  it('tells onError, and prints nothing, when an idle connection breaks; a query tried again gets another one', async () => {
    const printed = (['log', 'info', 'warn', 'error'] as const).map((method) => vi.spyOn(console, method));
    const broken = deferred<Error>();
    await using database = track(await openTestDatabase({ poolSize: 1, onError: broken.resolve }));
    const [{ pid }] = (await database.pool.query(sql`select pg_backend_pid() as pid`)) as [{ pid: number }];
    await administrate(`select pg_terminate_backend(${pid})`);
    expect((await broken.promise).message).toContain('terminat');
    // The pool hears of the break when the socket closes, which may be after the server's message.
    const one = withRetry(database, () => database.pool.query(sql`select 1 as one`), { retryDelayMs: 1 });
    expect(await one).toEqual([{ one: 1 }]);
    for (const method of printed) expect(method).not.toHaveBeenCalled();
  });
});

// Issue 10, item 7.
describe('the time limit of locks', () => {
  it('is below that of statements, so that a lock shows itself', async () => {
    await using database = track(await openTestDatabase());
    await using quick = track(connectDatabase({ url: database.url, statementTimeoutMs: 500 }));
    const shown = sql`select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement`;
    expect(await database.pool.query(shown)).toEqual([{ lock: '5s', statement: '30s' }]);
    expect(await quick.pool.query(shown)).toEqual([{ lock: '250ms', statement: '500ms' }]);
  });
});

describe('a database that cannot be had', () => {
  /** The errors, all at once: @databases/pg tries for 2 s before it gives up on its first connection. */
  let errors: Record<
    'refused' | 'unknownHost' | 'silent' | 'wrongPassword' | 'missing' | 'noTls' | 'noPassword',
    PipelineError
  >;
  let port: number;

  beforeAll(async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = await freePort();
    const login = `fin:${password}`;
    const silent = `postgres://${login}@127.0.0.1:${(server.address() as AddressInfo).port}/prices?sslmode=disable`;
    const [refused, unknownHost, never, wrongPassword, missing, noTls, noPassword] = await Promise.all([
      firstError({ url: `postgres://${login}@127.0.0.1:${port}/prices` }),
      firstError({ url: `postgres://${login}@no-such-host.invalid/prices` }),
      firstError({ url: silent, connectTimeoutMs: 100 }),
      firstError({ url: changed((url) => (url.password = password)) }),
      firstError({ url: changed((url) => (url.pathname = '/nowhere')) }),
      firstError({ url: changed((url) => (url.search = '?sslmode=require')) }),
      firstError({ url: changed((url) => (url.password = '')) }),
    ]);
    errors = { refused, unknownHost, silent: never, wrongPassword, missing, noTls, noPassword };
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it('is named, with what to do, when nobody listens', () => {
    expect(errors.refused).toMatchObject({ name: 'SinkError', code: 'database_unavailable', retryable: true });
    expect(errors.refused.message).toBe(
      `cannot reach PostgreSQL at 127.0.0.1:${port} (connect ECONNREFUSED 127.0.0.1:${port}): ` +
        'check that the server runs and that host and port are right',
    );
  });

  it('is named when its host does not exist', () => {
    expect(errors.unknownHost.code).toBe('database_unavailable');
    expect(errors.unknownHost.message).toContain('cannot reach PostgreSQL at no-such-host.invalid:5432');
  });

  it('is given up on when it takes the connection and never answers', () => {
    expect(errors.silent).toMatchObject({ code: 'database_unavailable', retryable: true });
  });

  it('says so when the password is wrong', () => {
    const user = new URL(serverUrl()).username;
    expect(errors.wrongPassword).toMatchObject({ code: 'database_not_ready', retryable: false });
    expect(errors.wrongPassword.message).toContain(`refused the password of user "${user}": check user and password`);
  });

  it('says so when the server has no such database', () => {
    expect(errors.missing).toMatchObject({ code: 'database_not_ready', retryable: false });
    expect(errors.missing.message).toContain('has no database "nowhere": create it, or correct its name in the URL');
  });

  // Issue 10, item 20: it was called `internal`, of the same kind as a login without a password.
  it('says so when sslmode asks for TLS and the server has none', () => {
    expect(errors.noTls).toMatchObject({ code: 'database_not_ready', retryable: false });
    expect(errors.noTls.message).toMatch(
      /does not offer TLS, which sslmode asks for: turn on ssl at the server, or leave/,
    );
  });

  it('says so when the server asks for a password and there is none', () => {
    expect(errors.noPassword).toMatchObject({ code: 'database_not_ready', retryable: false });
    expect(errors.noPassword.message).toContain('check sslmode, the certificates, and user and password');
  });

  it('never shows the password', () => {
    for (const error of Object.values(errors)) expect(inspect(error, { depth: 10 })).not.toContain(password);
  });
});

describe('a connection URL', () => {
  const refused = (url: string): string => {
    try {
      connectDatabase({ url });
    } catch (error) {
      expect(error).toMatchObject({ name: 'OptionsError', code: 'options_invalid' });
      return (error as Error).message;
    }
    return expect.unreachable(`${url} was accepted`);
  };

  it.each([
    '',
    'prices',
    `mysql://fin:${password}@host/prices`,
    `postgres://fin:${password}/x@host/prices`,
    `postgres://fin:${password}@x@host/prices`,
    `postgres://fin:${password}#x@host/prices`,
    `postgres://fin:${password}?x@host/prices`,
    `postgres://fin:${password}%ZZ@host/prices`,
    `postgres://fin:${password}@host:port/prices`,
    `postgres://fin:${password}@host:70000/prices`,
    `postgres://fin:${password}@host/prices?sslmode=perhaps`,
    `postgres://fin:${password}@host/prices?color=${password}`,
    `postgres://fin:${password}@host/prices?sslmode=verify-full&sslrootcert=missing.pem`,
  ])('that is malformed is refused without its password: %s', (url) => {
    const message = refused(url);
    expect(message).toMatch(/^connectDatabase: url: /);
    expect(message).not.toContain(password);
    expect(message).not.toContain(password.slice(0, 6));
  });

  it('may have special characters, encoded', async () => {
    const { schema, server } = connectDatabase({
      url: 'postgres://f%40n:a%2Fb%3Ac%40d@[::1]:5433/my%20prices?sslmode=require&application_name=x',
      schema: `"; drop table x; --`,
    });
    expect(server).toEqual({ host: '[::1]:5433', user: 'f@n', database: 'my prices' });
    expect(schema).toBe(`"; drop table x; --`);
  });

  it('is not printed about, whatever it says', () => {
    const warned = vi.spyOn(console, 'warn');
    expect(refused('postgres://host/prices?channel_binding=require')).toContain(
      'parameter "channel_binding" is not supported; remove it',
    );
    expect(warned).not.toHaveBeenCalled();
  });
});

it.each([
  [{ schema: '' }, 'schema: '],
  [{ schema: 'x'.repeat(61) }, 'schema: '],
  [{ schema: 'währung' }, 'schema: expected only ASCII characters, got "währung"'],
  [{ ownSchema: 'financial_tracker' }, 'ownSchema: expected another schema than that of the price tables'],
  [{ poolSize: 0 }, 'poolSize: '],
  [{ lockTimeoutMs: 30_000 }, 'lockTimeoutMs: expected less than statementTimeoutMs (30000), got 30000'],
])('refuses %o', (options, message) => {
  expect(() => connectDatabase({ url: 'postgres://host/prices', ...options })).toThrow(`connectDatabase: ${message}`);
});
