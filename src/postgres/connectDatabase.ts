import createConnectionPool from '@databases/pg';
import type { ConnectionPool } from '@databases/pg';
import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { OptionsError } from '../model/errors.ts';
import { readConnectionUrl } from './connectionUrl.ts';
import type { ConnectionUrl, ServerName } from './connectionUrl.ts';
import { identifierName } from './identifierName.ts';
import { probe } from './probe.ts';
import { transactionPooling, unprepared } from './pool/transactionPooling.ts';
import { writableHost } from './pool/writableHost.ts';
import type { Host } from './pool/writableHost.ts';

/** A PostgreSQL database and the schemas this library uses in it. */
export interface Database {
  /** The connections, of `@databases/pg`; where the URL names several hosts, to that which takes writes. */
  readonly pool: ConnectionPool;
  /** The schema of the price tables. */
  readonly schema: string;
  /** The schema of the library's own tables: the ledger and what belongs to it. */
  readonly ownSchema: string;
  /** Host, database and user, for messages; the password is not in it. */
  readonly server: ServerName;
  /**
   * Asks, on a connection of its own, whether the server answers `select 1` and takes a write to the library's own tables, which is
   * undone; rejects with the driver's error when it does not. Calls at the same time share one answer.
   */
  probe(): Promise<void>;
  /** Closes all connections, once the queries under way have ended. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ConnectDatabaseOptions {
  /**
   * `postgres://user:password@host:port/database`; the parameters it may have are in docs/postgres.md. Of several hosts
   * (`a:5432,b:5432`) the first that takes writes is used, and looked for again when it takes none any more.
   */
  url: string;
  /** The schema of the price tables, any name in ASCII. Default: 'financial_tracker'. */
  schema?: string | undefined;
  /** The schema of the library's own tables. Default: 'fintrack_pipelines'. */
  ownSchema?: string | undefined;
  /** Most connections at the same time. Default: 2, since more gained nothing in measurements. */
  poolSize?: number | undefined;
  /** The server ends a statement that takes longer, in milliseconds. Default: 30000. */
  statementTimeoutMs?: number | undefined;
  /**
   * How long a statement waits for a lock, in milliseconds; less than `statementTimeoutMs`, so that a lock that is held (55P03)
   * can be told from a statement that is slow (57014). Default: 5000, or half of `statementTimeoutMs` if that is less.
   */
  lockTimeoutMs?: number | undefined;
  /** How long to wait for a new connection, in milliseconds. Default: 10000. */
  connectTimeoutMs?: number | undefined;
  /** How long to wait for a free connection of the pool, in milliseconds. Default: 60000. */
  queueTimeoutMs?: number | undefined;
  /** A connection that is not in use is closed after this time, in milliseconds. Default: 30000. */
  idleTimeoutMs?: number | undefined;
  /**
   * Whether each connection prepares a statement once. A pooler in transaction mode, such as PgBouncer, needs `false`:
   * then no session is relied on, and timeouts are set in each transaction. Default: true.
   */
  preparedStatements?: boolean | undefined;
  /** Shown in `pg_stat_activity`. Default: 'fintrack-pipelines'. */
  applicationName?: string | undefined;
  /**
   * Told when a connection breaks while nobody uses it. There is nothing to do: the pool opens another one.
   * Default: nothing happens.
   */
  onError?: ((error: Error) => void) | undefined;
}

const milliseconds = z.int().min(1).max(2_147_483_647);

const resolveOptions = defineOptions<ConnectDatabaseOptions>('connectDatabase')({
  url: z.string(),
  schema: identifierName.default('financial_tracker'),
  ownSchema: identifierName.default('fintrack_pipelines'),
  poolSize: z.int().min(1).max(1000).default(2),
  statementTimeoutMs: milliseconds.default(30_000),
  lockTimeoutMs: milliseconds.optional(),
  connectTimeoutMs: milliseconds.default(10_000),
  queueTimeoutMs: milliseconds.default(60_000),
  idleTimeoutMs: milliseconds.default(30_000),
  preparedStatements: z.boolean().default(true),
  applicationName: z.string().default('fintrack-pipelines'),
  onError: callback<(error: Error) => void>().optional(),
});

/** How much later than the server the client gives up on a statement: then the server is gone without a word. */
const graceMs = 5000;

/**
 * Sets up the connections to a PostgreSQL database; the first query opens the first of them.
 *
 * Throws an `OptionsError` for an option that cannot be right, such as a malformed URL. Whether the server is there, lets
 * us in and has the tables shows with the first query: `checkTables` asks for all of that and says what is missing.
 * Nothing is printed, and no error of this library holds the URL or the password.
 *
 * Values come back as text where JavaScript has no exact type for them: `bigint`, `numeric`, `date`, timestamps, and
 * arrays of these. The session's time zone is the server's: our statements name UTC where it matters.
 *
 * @example
 * ```ts
 * import { connectDatabase, sql } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 *
 * console.log(await database.pool.query(sql`select 0.10::numeric as price, '2026-01-31'::date as date`));
 * // [ { price: '0.10', date: '2026-01-31' } ]
 * ```
 */
export function connectDatabase(options: ConnectDatabaseOptions): Database {
  const { url, schema, ownSchema, ...settings } = resolveOptions(options);
  if (schema === ownSchema) {
    throw new OptionsError(
      `connectDatabase: ownSchema: expected another schema than that of the price tables, got "${ownSchema}"`,
    );
  }
  const { statementTimeoutMs, lockTimeoutMs = Math.floor(Math.min(5000, statementTimeoutMs / 2)) } = settings;
  if (lockTimeoutMs >= statementTimeoutMs) {
    throw new OptionsError(
      `connectDatabase: lockTimeoutMs: expected less than statementTimeoutMs (${statementTimeoutMs}), got ${lockTimeoutMs}`,
    );
  }
  const target = readConnectionUrl(url, 'connectDatabase');
  const connectTimeoutMs = target.connectTimeoutMs ?? settings.connectTimeoutMs;
  const open = (poolSize: number): ConnectionPool => {
    const names = target.server.host.split(',');
    const hosts = target.hosts.map((host, position): Host => {
      const only = { ...target, hosts: [host], ports: target.ports.slice(position, position + 1) };
      const pool = openPool(only, { ...settings, connectTimeoutMs, lockTimeoutMs, poolSize });
      return { name: names[position] ?? host, pool };
    });
    return writableHost(hosts, connectTimeoutMs);
  };
  const pool = open(settings.poolSize);
  // Its own, since what is asked may be why all connections of the other are busy.
  let probes: ConnectionPool | undefined;
  let probing: Promise<void> | undefined;
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= (async () => {
      const ofProbes = probes?.dispose().catch(() => undefined);
      await pool.dispose();
      // One that waits for a server without answers ends by itself.
      if (probing === undefined) await ofProbes;
    })());
  return {
    pool,
    schema,
    ownSchema,
    server: target.server,
    probe: () =>
      (probing ??= probe((probes ??= open(1)), ownSchema).finally(() => {
        probing = undefined;
      })),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const { DataTypeID } = createConnectionPool;
const textTypes = [DataTypeID.numeric, DataTypeID.date, DataTypeID.timestamp, DataTypeID.timestamptz];
const textArrayTypes = [
  DataTypeID._numeric,
  DataTypeID._int8,
  DataTypeID._date,
  DataTypeID._timestamp,
  DataTypeID._timestamptz,
];

type PoolSettings = Omit<ReturnType<typeof resolveOptions>, 'url' | 'schema' | 'ownSchema' | 'lockTimeoutMs'> & {
  readonly lockTimeoutMs: number;
};

function openPool(target: ConnectionUrl, settings: PoolSettings): ConnectionPool {
  const { statementTimeoutMs, lockTimeoutMs, onError } = settings;
  const preparedStatements = settings.preparedStatements && target.preparedStatements !== false;
  const timeouts = {
    statementTimeoutMilliseconds: statementTimeoutMs,
    lockTimeoutMilliseconds: lockTimeoutMs,
    idleInTransactionSessionTimeoutMilliseconds: statementTimeoutMs + graceMs,
  };
  const pool = createConnectionPool.default({
    // Not undefined, which stands for the variable DATABASE_URL.
    connectionString: false,
    host: target.hosts,
    port: target.ports,
    ...given({ user: target.user, password: target.password, database: target.database, ssl: target.tls }),
    applicationName: target.applicationName ?? settings.applicationName,
    poolSize: settings.poolSize,
    connectionTimeoutMilliseconds: settings.connectTimeoutMs,
    queueTimeoutMilliseconds: settings.queueTimeoutMs,
    acquireLockTimeoutMilliseconds: settings.queueTimeoutMs,
    idleTimeoutMilliseconds: settings.idleTimeoutMs,
    // Sent when a connection starts, which PgBouncer refuses.
    ...(preparedStatements ? timeouts : { prepareQuery: unprepared }),
    queryTimeoutMilliseconds: statementTimeoutMs + graceMs,
    keepAlive: true,
    bigIntMode: 'string',
    // Without a handler the library prints. Whoever uses a broken connection gets its error from the query.
    onError: onError ?? (() => undefined),
    // A plain object is ignored by @databases/pg 6.1; the function form works.
    types: (parsers) => {
      for (const type of textTypes) parsers.setTypeParser(type, (value) => value);
      for (const type of textArrayTypes) parsers.setTypeParser(type, (value) => parsers.parseArray(value));
      return undefined;
    },
  });
  return preparedStatements ? pool : transactionPooling(pool, timeouts);
}

/** The fields that have a value: @databases/pg tells a field that is undefined from one that is not there. */
function given<Fields extends object>(fields: Fields): { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
