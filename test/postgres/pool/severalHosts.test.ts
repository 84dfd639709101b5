import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import type { ConnectDatabaseOptions, Database } from '../../../src/postgres/connectDatabase.ts';
import { createReferenceTables } from '../../../src/postgres/createReferenceTables.ts';
import { databaseError } from '../../../src/postgres/errors.ts';
import { migrate } from '../../../src/postgres/migrate.ts';
import { patientSink } from '../../../src/postgres/patientSink.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { startOwnPostgres } from '../../support/ownPostgres.ts';
import type { OwnPostgres } from '../../support/ownPostgres.ts';
import { startTcpProxy } from '../../support/tcpProxy.ts';
import { track } from '../../support/track.ts';
import { asset, batchOf, call, ok, quote } from '../sinks/samples.ts';

// All of this file: issue 10, item 7.

const password = 'of-both';

interface TestServer {
  readonly own: OwnPostgres;
  readonly port: number;
  readonly direct: Database;
}

let a: TestServer;
let b: TestServer;

async function startTestServer(): Promise<TestServer> {
  const own = await startOwnPostgres();
  const direct = connectDatabase({ url: own.url, poolSize: 1 });
  await direct.pool.query(sql`create role both_servers superuser login password 'of-both'`);
  await createReferenceTables({ database: direct });
  await migrate({ database: direct });
  return { own, port: Number(new URL(own.url).port), direct };
}

beforeAll(async () => {
  [a, b] = await Promise.all([startTestServer(), startTestServer()]);
}, 120_000);

afterAll(async () => {
  for (const { own, direct } of [a, b]) {
    await direct.close();
    await own[Symbol.asyncDispose]();
  }
});

beforeEach(async () => {
  await takesWrites(a, true);
  await takesWrites(b, false);
});

/** Makes a server take writes, or none as a standby does; resolves once the connections given, and new ones, know it. */
async function takesWrites({ direct }: TestServer, isWritable: boolean, ...known: Database[]): Promise<void> {
  const value = isWritable ? 'off' : 'on';
  await direct.pool.query(sql`alter system set default_transaction_read_only = ${sql.__dangerous__rawValue(value)}`);
  await direct.pool.query(sql`select pg_reload_conf()`);
  const shows = async ({ pool }: Database): Promise<boolean> => {
    const rows = (await pool.query(sql`show transaction_read_only`)) as { transaction_read_only: string }[];
    return rows[0]?.transaction_read_only === value;
  };
  for (const database of [direct, ...known]) while (!(await shows(database)));
}

/** A pool of one connection, so that it can be seen what the server has told it. */
function connect(ports: readonly number[], options: Partial<ConnectDatabaseOptions> & { query?: string } = {}) {
  const { query = '?target_session_attrs=read-write', ...others } = options;
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return connectDatabase({
    url: `postgres://both_servers:${password}@${hosts}/postgres${query}`,
    poolSize: 1,
    ...others,
  });
}

async function valuesOf<Value>({ pool }: Pick<Database, 'pool'>, query: SQLQuery): Promise<Value[]> {
  return ((await pool.query(query)) as { value: Value }[]).map(({ value }) => value);
}

const port = sql`select inet_server_port() as value`;
const symbolsOf = ({ direct }: TestServer) =>
  valuesOf<string>(direct, sql`select symbol as value from financial_tracker.market_data order by symbol`);

function batch(symbol: string, number = 0) {
  return batchOf([ok(asset(symbol), quote(asset(symbol), '1.5'))], `request ${symbol}`, number);
}

describe('a database with several hosts', () => {
  it.each([
    ['the first', true, ''],
    ['the second', false, ''],
    ['the second, as libpq says it', false, '?target_session_attrs=read-write'],
  ])('is used on the host that takes writes: %s', async (_, isFirst, query) => {
    await using database = track(connect(isFirst ? [a.port, b.port] : [b.port, a.port], { query, poolSize: 3 }));
    expect(await valuesOf(database, port)).toEqual([a.port]);
    expect(await database.pool.tx((transaction) => valuesOf({ pool: transaction as never }, port))).toEqual([a.port]);
    expect(await database.pool.task((task) => valuesOf({ pool: task as never }, port))).toEqual([a.port]);
    const streamed: unknown[] = [];
    for await (const row of database.pool.queryStream(port, {})) streamed.push(row);
    for await (const row of database.pool.queryNodeStream(port)) streamed.push(row);
    expect(streamed).toEqual([{ value: a.port }, { value: a.port }]);
    await expect(database.probe()).resolves.toBeUndefined();
  });

  it.each([true, false])(
    'writes a batch that met 25006 on the other one (prepared statements: %s)',
    async (prepared) => {
      await using database = track(connect([a.port, b.port], { preparedStatements: prepared }));
      const waits: string[] = [];
      const sink = patientSink({
        sink: marketDataSink({ database }),
        onWait: ({ message }) => waits.push(message),
      });
      const [first, second, third] = [`A.${prepared}`, `B.${prepared}`, `C.${prepared}`];
      expect(await sink.write(batch(first), call)).toMatchObject({ inserted: 1 });

      await takesWrites(a, false, database);
      await takesWrites(b, true);
      expect(await sink.write(batch(second), call)).toMatchObject({ inserted: 1, failed: [] });
      // And back.
      await takesWrites(b, false, database);
      await takesWrites(a, true);
      expect(await sink.write(batch(third), call)).toMatchObject({ inserted: 1, failed: [] });

      expect(await symbolsOf(a)).toEqual(expect.arrayContaining([first, third]));
      expect(await symbolsOf(a)).not.toContain(second);
      expect(await symbolsOf(b)).toContain(second);
      expect(await symbolsOf(b)).not.toContain(first);
      expect(waits).toEqual([]);
    },
  );

  it('goes to the other one when the first is stopped', async () => {
    await using database = track(connect([a.port, b.port]));
    const sink = patientSink({ sink: marketDataSink({ database }) });
    await sink.write(batch('UP'), call);
    await a.direct.pool.dispose();
    await a.own.pause();
    try {
      await takesWrites(b, true);
      expect(await sink.write(batch('DOWN'), call)).toMatchObject({ inserted: 1, failed: [] });
    } finally {
      await a.own.unpause();
      a = { ...a, direct: connectDatabase({ url: a.own.url, poolSize: 1 }) };
    }
    expect(await symbolsOf(b)).toContain('DOWN');
    expect(await symbolsOf(a)).not.toContain('DOWN');
  });

  it('says of each host why it is not used, while none takes writes', async () => {
    await takesWrites(a, false);
    await using proxy = track(await startTcpProxy({ target: () => 1 }));
    await using database = track(connect([a.port, b.port, proxy.port]));
    const error = await database.pool.query(port).catch((error: unknown) => databaseError(error, database));
    expect(error).toMatchObject({ code: 'database_unavailable', retryable: true });
    const { message } = error as Error;
    expect(message).toContain(
      `127.0.0.1:${a.port}: read-only; 127.0.0.1:${b.port}: read-only; 127.0.0.1:${proxy.port}: `,
    );
    expect(message).not.toContain(password);
    // Nothing is kept of that: the next one is asked again.
    await takesWrites(b, true);
    expect(await valuesOf(database, port)).toEqual([b.port]);
  });

  it('says that the login is refused where the one that might take writes refuses it', async () => {
    await using refusing = track(await startTcpProxy({ target: () => 1 }));
    const failure = ({ pool, ...database }: Database) =>
      pool.query(port).catch((error: unknown) => databaseError(error, database));
    await using database = track(connect([b.port, a.port]));
    await using another = track(connect([refusing.port, a.port]));
    await a.direct.pool.query(sql`alter role both_servers password 'another'`);
    try {
      expect(await failure(database)).toMatchObject({ code: 'database_not_ready' });
      // Here that may be the one that cannot be had, and an outage passes.
      expect(await failure(another)).toMatchObject({ code: 'database_unavailable', retryable: true });
    } finally {
      await a.direct.pool.query(sql`alter role both_servers password 'of-both'`);
    }
    expect(await valuesOf(database, port)).toEqual([a.port]);
  });

  it('takes the first of two that take writes, and stays there when others are in the way', async () => {
    await takesWrites(b, true);
    await using database = track(connect([b.port, a.port], { poolSize: 2, queueTimeoutMs: 1 }));
    expect(await valuesOf(database, port)).toEqual([b.port]);
    await takesWrites(b, false, database);
    const failures = ['55P03', '23505'].map((code) => Object.assign(new Error('in the way'), { code }));
    for (const failure of failures) {
      await expect(database.pool.task(() => Promise.reject(failure))).rejects.toBe(failure);
      expect(await valuesOf(database, port)).toEqual([b.port]);
    }
    await database.pool.tx(() =>
      database.pool.tx(async () => {
        await expect(database.pool.query(port)).rejects.toMatchObject({ code: 'CONNECTION_POOL:QUEUE_TIMEOUT' });
      }),
    );
    expect(await valuesOf(database, port)).toEqual([b.port]);
    const broken = Object.assign(new Error('broken'), { code: 'ECONNRESET' });
    await expect(database.pool.task(() => Promise.reject(broken))).rejects.toBe(broken);
    expect(await valuesOf(database, port)).toEqual([a.port]);
  });
});

describe('a database with one host', () => {
  it('drops the connection that says read-only, so that a load balancer may give another server', async () => {
    let target = a.port;
    await using proxy = track(await startTcpProxy({ target: () => target }));
    await using database = track(connect([proxy.port]));
    const sink = patientSink({ sink: marketDataSink({ database }) });
    await sink.write(batch('by a'), call);
    const before = proxy.connections;
    await takesWrites(a, false, database);
    await takesWrites(b, true);
    expect(proxy.connections).toBe(before);
    target = b.port;
    expect(await sink.write(batch('by b'), call)).toMatchObject({ inserted: 1, failed: [] });
    expect(proxy.connections).toBe(before + 1);
    expect(await symbolsOf(b)).toContain('by b');
    expect(await symbolsOf(a)).not.toContain('by b');
  });
});
