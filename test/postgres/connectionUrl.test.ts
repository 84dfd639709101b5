import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import { readConnectionUrl } from '../../src/postgres/connectionUrl.ts';
import { databaseError } from '../../src/postgres/errors.ts';
import { serverUrl } from '../support/postgres.ts';
import { track } from '../support/track.ts';

const read = (url: string) => readConnectionUrl(url, 'test');
const secret = 'S3CRET';

/** Stands before the server of this run, at another address. */
async function serveAt(listen: (server: Server) => void): Promise<Server & AsyncDisposable> {
  const { port } = new URL(serverUrl());
  const server = createServer((socket) => {
    const behind = connect(Number(port), '127.0.0.1');
    for (const each of [socket, behind]) each.on('error', () => undefined);
    socket.pipe(behind).pipe(socket);
  });
  listen(server);
  await once(server, 'listening');
  return track(server);
}

async function one(url: string): Promise<unknown> {
  await using database = track(connectDatabase({ url }));
  return await database.pool.query(sql`select 1 as one`);
}

// Issue 10, 15.
describe('a connection URL', () => {
  it.each<[string, Partial<ReturnType<typeof read>>]>([
    ['postgres://u:p@h/d\n', { hosts: ['h'], password: 'p', database: 'd' }],
    ['  "postgres://u:p@h/d" \r\n', { hosts: ['h'], user: 'u', database: 'd' }],
    ["'postgresql://u:p@h/d'", { hosts: ['h'], database: 'd' }],
    ['POSTGRES://u:p@DB.Example:5433/D', { hosts: ['DB.Example'], ports: [5433], database: 'D' }],
    ['postgres://u:p@h/d/', { database: 'd' }],
    ['postgres://u:p@h/', { database: 'u' }],
    ['postgres://u:p@h', { database: 'u' }],
    ['postgres://u:p%40%2F%3a%25%20w@h/d', { password: 'p@/:% w' }],
    ['postgres://u:p@my_db,[::1]:5433,10.0.0.1/d', { hosts: ['my_db', '::1', '10.0.0.1'], ports: [5432, 5433, 5432] }],
    ['postgres://u:p@[fe80::1%25eth0]/d', { hosts: ['fe80::1%eth0'] }],
    ['postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d', { hosts: ['/var/run/postgresql'], tls: 'disable' }],
    ['postgres://u:p@h/d?connect_timeout=10', { connectTimeoutMs: 10_000 }],
    ['postgres://u:p@h/d?pgbouncer=true', { preparedStatements: false }],
    ['postgres://u:p@h/d?pgbouncer=false', { preparedStatements: undefined }],
    ['postgres://u:p@h/d?sslmode=no-verify', { tls: 'no-verify' }],
    ['postgres://u:p@h/d?channel_binding=prefer&target_session_attrs=read-write', { hosts: ['h'] }],
    ['postgres://u:p@h/d?application_name=a%20b=c', { applicationName: 'a b=c' }],
    ['postgres://u:p@h/d?sslmode=require&sslrootcert=system', { tls: { rejectUnauthorized: true } }],
    ['postgres://u:p@h/d?', { database: 'd', tls: undefined }],
  ])('may be %j', (url, expected) => {
    expect(read(url)).toMatchObject(expected);
  });

  it.each([
    ['', 'it is empty'],
    [`postgres://u:${secret}@h/d\nDATABASE_NAME=x`, 'there is a line break or a zero byte in it'],
    [`postgres://u:${secret}@h/d\0`, 'there is a line break or a zero byte in it'],
    [`jdbc:postgresql://u:${secret}@h/d`, 'it begins with jdbc:'],
    [`postgres://u:${secret}@/d`, 'it names no host (the folder of a socket is encoded'],
    [`postgres://u:${secret}@`, 'it names no host'],
    [`postgres://u:${secret}@::1/d`, 'with an IPv6 address in brackets'],
    [`postgres://u:${secret}@[${secret}]/d`, 'expected an IPv6 address in the brackets'],
    [`postgres://u:${secret}@h ost/d`, 'percent-encoded'],
    [`postgres://u:${secret}@h%20ost/d`, 'the name or address of a host, which has neither spaces nor'],
    [`postgres://u:${secret}@h,/d`, 'a host is missing beside a comma'],
    [`postgres://u:${secret}@h:0/d`, 'expected a port from 1 to 65535, got "0"'],
    [`postgres://u:${secret}@h:99999/d`, 'expected a port from 1 to 65535, got "99999"'],
    [`postgres://u:${secret}@h:/d`, 'expected a port from 1 to 65535, got ""'],
    // The host was forgotten: what looks like a port is the password.
    [`postgres://u:${secret}/d`, 'expected a port from 1 to 65535, got one that is not shown'],
    // A character of the password is not encoded, so that its parts look like a port, a database or a parameter.
    [`postgres://u:1/${secret}@h`, 'must be percent-encoded'],
    [`postgres://u:1?${secret}@h/d`, 'must be percent-encoded'],
    [`postgres://u:1#${secret}@h/d`, 'must be percent-encoded'],
    [`postgres://u:1@${secret}@h/d`, 'must be percent-encoded'],
    [`postgres://u:${secret}%zz@h/d`, 'there is a % that encodes nothing; write %25'],
    [`postgres://u:${secret}@h/d?channel_binding=require`, 'parameter "channel_binding" is not supported; remove it'],
    [`postgres://u:${secret}@h/d?target_session_attrs=standby`, 'parameter "target_session_attrs" is not supported'],
    [`postgres://u:${secret}@h/d?connect_timeout=0`, 'expected connect_timeout to be whole seconds from 1, got "0"'],
    [`postgres://u:${secret}@h/d?pgbouncer=yes`, 'expected pgbouncer to be true or false, got "yes"'],
    [`postgres://u:${secret}@h/d?sslmode=allow`, 'expected sslmode to be one of'],
    [`postgres://u:${secret}@h/d?options=-c%20search_path%3Dx`, 'parameter "options" is not supported'],
    [`postgres://h/d?user=u&password=${secret}`, 'parameter "user" is not supported'],
    [`postgres://u:${secret}@h/d?sslmode=require&sslmode=disable`, 'parameter "sslmode" is given twice'],
  ])('is refused for what is wrong, without the password: %j', (url, expected) => {
    const refusal = (): unknown => read(url);
    expect(refusal).toThrow(expected);
    expect(refusal).not.toThrow(secret);
  });

  it('in quotes, with a newline behind it, connects', async () => {
    expect(await one(`"${serverUrl()}"\n`)).toEqual([{ one: 1 }]);
  });

  it('connects to an IPv6 address', async () => {
    await using server = await serveAt((each) => each.listen(0, '::1'));
    const url = new URL(serverUrl());
    url.host = `[::1]:${(server.address() as { port: number }).port}`;
    expect(await one(url.href)).toEqual([{ one: 1 }]);
  });

  it('connects to a socket of this machine, and takes one that is missing for a server that is not there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'socket-'));
    const url = serverUrl().replace(/@[^/]+\//, `@${encodeURIComponent(folder)}:5433/`);
    {
      await using database = track(connectDatabase({ url }));
      const refusal = await database.pool
        .query(sql`select 1`)
        .catch((error: unknown) => databaseError(error, database));
      expect(refusal).toMatchObject({ code: 'database_unavailable', retryable: true });
      expect(String(refusal)).toContain(`cannot reach PostgreSQL at ${folder}:5433`);
    }
    {
      await using _ = await serveAt((each) => each.listen(join(folder, '.s.PGSQL.5433')));
      expect(await one(url)).toEqual([{ one: 1 }]);
    }
    await rm(folder, { recursive: true });
  });

  it('of a pooler prepares no statements', async () => {
    const url = `${serverUrl()}?pgbouncer=true`;
    await using database = track(connectDatabase({ url, poolSize: 1 }));
    const parameters = sql`select name from pg_prepared_statements where statement like ${'%pg_prepared_statements%'}`;
    await database.pool.query(parameters);
    expect(await database.pool.query(parameters)).toEqual([]);
  });
});
