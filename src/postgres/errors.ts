import { PipelineError, SinkError } from '../model/errors.ts';
import type { Database } from './connectDatabase.ts';

/** What of a database the messages name. */
export type NamedDatabase = Pick<Database, 'server' | 'schema' | 'ownSchema'>;

/** What @databases/pg and its driver put on an error, in so far as they put it. */
interface DriverError {
  readonly code: string;
  readonly message: string;
  readonly table: string | undefined;
}

/** The server cannot be had now (ENOENT: its socket is not there), takes no writes, or others are in the way: the same may succeed a moment later. */
const transientCodes =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|ENOENT|08.{3}|57P0[1-5]|25006|25P03|40001|40P01|55P03|55006|53300|CONNECTION_POOL:(QUEUE|OPEN)_TIMEOUT)$/;
const sqlState = /^[0-9A-Z]{5}$/;
/** Other transactions are in the way: conflicts, deadlocks, locks, objects in use. */
const conflicts = /^(40001|40P01|55P03|55006)$/;
/** The driver's own errors have no code: pg 8 client.js, "Connection terminated", "timeout expired", "Query read timeout". */
const transientMessages = /terminated|timeout expired|read timeout/i;
/** The same, of a login that cannot succeed: pg 8 connection.js and crypto/sasl.js. */
const sslRefused = 'The server does not support SSL connections';
const loginMessages = /^(There was an error establishing an SSL connection|SASL: )/;
/** PgBouncer's code for this is 08P01, as for a server that it cannot reach (objects.c, client.c): only the text tells. */
const startupRefused = 'unsupported startup parameter';
/** What TLS of Node says of a certificate. */
const certificateCodes = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_CERT|ERR_TLS_CERT|HOSTNAME_MISMATCH|ERR_SSL_)/;

/** Whether a transaction was rolled back because of another one that ran at the same time, and may be run again at once. */
export function lostAgainstAnother(error: unknown): boolean {
  return /^(40001|40P01)$/.test(driverError(error).code);
}

/** A table, column, function, schema or right is missing: the deployment's, unless it follows rows. */
export const deploymentStates = /^(42P01|42703|42883|3F000|42501)$/;

/** @databases/pg, on a pool that is closed or a transaction that has ended. */
const fromPool = 'You cannot run any operations on a ';

/** Whether the same transaction may succeed later without any change. */
export function isTransient(error: unknown): boolean {
  if (PipelineError.isInstance(error)) return error.retryable;
  const { code, message } = driverError(error);
  if (message.startsWith(startupRefused)) return false;
  return code === '' ? transientMessages.test(message) : transientCodes.test(code);
}

/** The SQLSTATE that an error of the server, or what was made of one, carries; empty where there is none. */
export function stateOf(error: unknown): string {
  if (PipelineError.isInstance(error)) return stateOf(error.cause);
  const { code } = driverError(error);
  return sqlState.test(code) && code !== 'EPIPE' ? code : '';
}

/** Whether the database answers, and other transactions are in the way. */
export function isConflict(error: unknown): boolean {
  return conflicts.test(stateOf(error));
}

/** Whether it was our side that gave up waiting, for a connection of the pool or for an answer: others may get answers. */
export function hasNoAnswer(error: unknown): boolean {
  if (PipelineError.isInstance(error)) return error.cause !== undefined && hasNoAnswer(error.cause);
  const { code, message } = driverError(error);
  return code === 'CONNECTION_POOL:QUEUE_TIMEOUT' || (code === '' && /read timeout/i.test(message));
}

/**
 * Makes a `SinkError` out of what a query, a transaction or a connection failed with; an error of ours passes through.
 *
 * `database_unavailable` (retryable): the server cannot be had now, takes no writes, or others hold a lock, and the
 * transaction may simply be tried again.
 * `database_not_ready`: a database, schema, table, column or right is missing, the login or TLS is refused, or a pooler wants
 * other settings; the message says what to do. `database_error`: whatever else the server refuses. Neither the URL, nor the password, nor a row is in the message. What comes
 * neither from the server nor from the driver, such as a bug in a callback, gets the code `internal`.
 *
 * @example
 * ```ts
 * import { connectDatabase, databaseError, sql } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 *
 * await database.pool.query(sql`select * from nowhere`).catch((error) => console.log(databaseError(error, database).code));
 * // database_not_ready
 * ```
 */
export function databaseError(error: unknown, database: NamedDatabase): PipelineError {
  if (PipelineError.isInstance(error)) return error;
  const seen = driverError(error);
  if (isTransient(error)) {
    return new SinkError('database_unavailable', unavailable(seen, database), { retryable: true, cause: error });
  }
  const missing = notReady(seen, database);
  if (missing !== undefined) return new SinkError('database_not_ready', missing, { cause: error });
  // Not the server's and not the driver's: whatever went wrong, it is not the database.
  if (seen.code === '' && !seen.message.startsWith(fromPool)) return PipelineError.from(error);
  return new SinkError('database_error', `PostgreSQL at ${database.server.host}: ${withCode(seen)}`, { cause: error });
}

function driverError(error: unknown): DriverError {
  const { code, message, table } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >;
  return {
    code: typeof code === 'string' ? code : '',
    // @databases/pg appends the statement, with a mark at the place of the error, after an empty line.
    message: (typeof message === 'string' ? message : String(error)).split('\n\n')[0] ?? '',
    table: typeof table === 'string' ? table : undefined,
  };
}

function withCode({ code, message }: DriverError): string {
  if (code === '' || message.includes(code)) return message;
  return message === '' ? code : `${message} (${code})`;
}

function unavailable(seen: DriverError, { server }: NamedDatabase): string {
  const { code } = seen;
  if (code === '55P03' || code === '55006')
    return `PostgreSQL at ${server.host}: ${withCode(seen)}: others hold what is needed, and are waited for`;
  if (code === '25006')
    return `PostgreSQL at ${server.host} takes no writes (${withCode(seen)}): it is a standby, or set to read-only`;
  if (code === '40001' || code === '40P01')
    return `PostgreSQL at ${server.host}: ${withCode(seen)}: the transaction may be tried again`;
  if (code === '53300')
    return `PostgreSQL at ${server.host} has no connection left (53300): raise max_connections, or use a smaller poolSize`;
  if (code.startsWith('CONNECTION_POOL')) {
    return `PostgreSQL at ${server.host}: no connection of the pool became free in time: raise poolSize or queueTimeoutMs`;
  }
  return `cannot reach PostgreSQL at ${server.host} (${withCode(seen)}): check that the server runs and that host and port are right`;
}

/** Errors that a person has to see to. */
function notReady(seen: DriverError, database: NamedDatabase): string | undefined {
  const { host, user, database: name } = database.server;
  if (seen.message.startsWith(sslRefused)) {
    return `PostgreSQL at ${host} does not offer TLS, which sslmode asks for: turn on ssl at the server, or leave out sslmode`;
  }
  if (seen.message.startsWith(startupRefused)) return `PostgreSQL at ${host}: ${withCode(seen)}: ${poolerAdvice}`;
  if (certificateCodes.test(seen.code) || (seen.code === '' && loginMessages.test(seen.message))) {
    return `PostgreSQL at ${host}: ${withCode(seen)}: check sslmode, the certificates, and user and password`;
  }
  switch (seen.code) {
    case '28P01':
      return `PostgreSQL at ${host} refused the password of user "${user}": check user and password`;
    case '28000':
      return `PostgreSQL at ${host} refused user "${user}" (${seen.message}): check the user and the server's pg_hba.conf`;
    case '3D000':
      return `PostgreSQL at ${host} has no database "${name}": create it, or correct its name in the URL`;
    case '42501':
      return `PostgreSQL at ${host}: ${seen.message} for user "${user}": grant it (docs/postgres.md lists the rights needed)`;
    case '42P10':
      return `PostgreSQL at ${host}: ${seen.message}: give the table the unique constraint on its key that the deployment's migrations make`;
    case '26000':
    case '42P05':
      return `PostgreSQL at ${host}: ${withCode(seen)}: ${poolerAdvice}`;
    case '3F000':
    case '42P01':
    case '42703':
    case '42883':
      return missingObject(seen, database);
    default:
      return undefined;
  }
}

const poolerAdvice =
  'behind a pooler in transaction mode, such as PgBouncer, say preparedStatements: false, or DATABASE_PREPARED_STATEMENTS=off';

function missingObject({ message }: DriverError, { server, schema, ownSchema }: NamedDatabase): string {
  const advice = message.includes(ownSchema)
    ? 'run `fintrack-pipelines migrate`, or call migrate()'
    : `create the price tables in schema "${schema}" with the deployment's migrations or createReferenceTables(), or name the schema that has them`;
  return `PostgreSQL at ${server.host}, database "${server.database}": ${message}: ${advice}`;
}
