import type { Transaction } from '@databases/pg';
import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import type { PipelineError } from '../model/errors.ts';
import type { Database } from './connectDatabase.ts';
import { databaseSchema } from './databaseSchema.ts';
import { databaseError, isTransient, stateOf } from './errors.ts';
import { isRowError } from './rowErrors.ts';
import { outageBehind, Strikes } from './Strikes.ts';
import { untilAborted } from './untilAborted.ts';

/** How a piece of work on the database is tried again. */
export interface RetryOptions {
  /** Ends the attempt under way and the wait between two attempts. Default: none. */
  signal?: AbortSignal | undefined;
  /** How often to try again. Default: 10, which outlasts a restart of the server. */
  maxRetries?: number | undefined;
  /** The wait before the first retry, in milliseconds; it doubles each time. Default: 100. */
  retryDelayMs?: number | undefined;
  /** The longest wait between two tries, in milliseconds. Default: 2000. */
  maxRetryDelayMs?: number | undefined;
  /** Spreads the waits between half and all of their length. Default: Math.random. */
  random?: (() => number) | undefined;
}

export interface TransactionOptions<Result> extends RetryOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** What to do in the transaction; may be run several times. */
  work: (transaction: Transaction) => Promise<Result>;
}

const retryChecks = {
  signal: z.instanceof(AbortSignal).optional(),
  maxRetries: z.int().min(0).max(1000).default(10),
  retryDelayMs: z.number().min(0).max(2_147_483_647).default(100),
  maxRetryDelayMs: z.number().min(0).max(2_147_483_647).default(2000),
  random: callback<() => number>().default(() => Math.random),
};

const resolveRetryOptions = defineOptions<RetryOptions>('withRetry')(retryChecks);

const checkArguments = defineOptions<{ database: Database; attempt: () => Promise<unknown> }>('withRetry')({
  database: databaseSchema,
  attempt: callback<() => Promise<unknown>>(),
});

const resolveOptions = defineOptions<TransactionOptions<unknown>>('inTransaction')({
  ...retryChecks,
  database: databaseSchema,
  work: callback<TransactionOptions<unknown>['work']>(),
});

/**
 * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects.
 *
 * When the server cannot be had, or the transaction loses against another one, the whole of it is run again after a
 * jittered, growing wait; `work` must therefore be repeatable. So it is with any other state of the server that neither the
 * values nor the statement bring about: while a probe of the database fails as well, and otherwise twice, or once after a
 * statement over its time (57014). A connection lost in the middle of COMMIT is such a case
 * too, although the transaction may have been committed: `work` must find that out, or not mind.
 *
 * Rejects with a `SinkError` (see `databaseError`), or with whatever `work` rejected with of its own; with the signal's
 * reason, at once, when aborted. A transaction aborted before its COMMIT was sent is rolled back.
 *
 * @example
 * ```ts
 * import { connectDatabase, inTransaction, sql } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 *
 * const rows = await inTransaction({
 *   database,
 *   work: async (transaction) => {
 *     await transaction.query(sql`create temporary table notes (note text) on commit drop`);
 *     return transaction.query(sql`insert into notes values ('kept until the commit') returning note`);
 *   },
 * });
 * console.log(rows);
 * // [ { note: 'kept until the commit' } ]
 * ```
 */
export async function inTransaction<Result>(options: TransactionOptions<Result>): Promise<Result> {
  const { database, signal, maxRetries, retryDelayMs, maxRetryDelayMs, random } = resolveOptions(options);
  const { work } = options;
  const attempt = (signal?: AbortSignal): Promise<Result> =>
    database.pool.tx(async (transaction) => {
      // The signal may have fired while the attempt queued for a connection.
      signal?.throwIfAborted();
      return untilAborted(work(transaction), signal);
    });
  return withRetry(database, attempt, { signal, maxRetries, retryDelayMs, maxRetryDelayMs, random });
}

/**
 * Runs `attempt` again as `inTransaction` does, for work that needs no transaction of its own, such as one statement.
 *
 * Rejects as `inTransaction` does; an attempt under way when the signal fires runs on, and its result is ignored.
 *
 * @example
 * ```ts
 * import { connectDatabase, sql, withRetry } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 *
 * console.log(await withRetry(database, () => database.pool.query(sql`select 1 as one`)));
 * // [ { one: 1 } ]
 * ```
 */
export async function withRetry<Result>(
  database: Database,
  attempt: (signal?: AbortSignal) => Promise<Result>,
  options: RetryOptions = {},
): Promise<Result> {
  checkArguments({ database, attempt });
  const { signal, maxRetries, retryDelayMs, maxRetryDelayMs, random } = resolveRetryOptions(options);
  const strikes = new Strikes();
  for (let retry = 0; ; retry += 1) {
    signal?.throwIfAborted();
    try {
      return await untilAborted(attempt(signal), signal);
    } catch (error) {
      signal?.throwIfAborted();
      const told = databaseError(error, database);
      if (maxRetries === 0) throw told;
      const outage = await untilAborted(outageIn(error, told, database), signal);
      if (outage !== undefined && retry >= maxRetries) throw outage;
      if (outage === undefined && (!mayPass(error, told) || strikes.isOwn(stateOf(error)))) throw told;
    }
    const delayMs = Math.min(maxRetryDelayMs, retryDelayMs * 2 ** retry);
    await pause(delayMs * (0.5 + random() / 2), signal);
  }
}

/** The error as that of an outage, where it is one: all that may pass are while the database fails a probe. */
async function outageIn(error: unknown, told: PipelineError, database: Database): Promise<PipelineError | undefined> {
  if (isTransient(error)) return told;
  return mayPass(error, told) ? outageBehind(told, database) : undefined;
}

/** Whether the server may answer something else another time: not to these values, nor to a wrong statement. */
function mayPass(error: unknown, { code }: PipelineError): boolean {
  const state = stateOf(error);
  return code === 'database_error' && state !== '' && !state.startsWith('42') && !isRowError(error);
}

/** Waits so long, or until the signal aborts; then it rejects with its reason. */
export function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  return untilAborted(elapsed, signal).finally(() => {
    clearTimeout(timer);
  });
}
