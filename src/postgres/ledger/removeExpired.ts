import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { z } from 'zod';
import { defineOptions } from '../../model/defineOptions.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { withRetry } from '../inTransaction.ts';
import type { RetryOptions } from '../inTransaction.ts';
import { runForRow, runStatement, statementOf } from './statement.ts';

export interface RemoveExpiredOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** How many days after its last activity a request is removed with its batches. Default: 7. */
  retentionDays?: number | undefined;
}

/** The check of a `retentionDays` option. */
export const retentionDaysSchema = z.number().min(0).max(36_500).default(7);

const resolveOptions = defineOptions<RemoveExpiredOptions>('removeExpired')({
  database: databaseSchema,
  retentionDays: retentionDaysSchema,
});

/** Bounds the length of one transaction. */
const requestsAtOnce = 1000;

/** After so many days even an unusually patient sink asks again for a month that was not there. */
const absentMonthDays = 90;

/** After so many days without a booking a day or a month of a quota is over, wherever it began. */
const quotaDays = 62;

/**
 * Removes from the ledger the requests whose last activity is more than `retentionDays` days old, whatever their state:
 * accepting a request and storing one of its batches are activities. With them go the windows of credits that nobody has
 * used for as long, and the quotas of days and months that have been over for a month. Resolves with the number of requests
 * removed.
 *
 * The ledgers of sinks do this themselves, when they accept a request, at most once an hour. Rejects with a `SinkError`.
 *
 * @example
 * ```ts
 * import { connectDatabase, removeExpired } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * console.log(await removeExpired({ database, retentionDays: 30 }));
 * // 0
 * ```
 */
export async function removeExpired(options: RemoveExpiredOptions): Promise<number> {
  const { database, retentionDays } = resolveOptions(options);
  let total = 0;
  for (;;) {
    const removed = await removeSome(database, retentionDays);
    total += removed;
    if (removed < requestsAtOnce) return total;
  }
}

/** Removes at most 1,000 requests. */
export async function removeSome(
  database: Database,
  retentionDays: number,
  retries: RetryOptions = {},
): Promise<number> {
  const statement = removal(database.ownSchema);
  const run = () =>
    runForRow<{ removed: number }>(database.pool, statement, [
      retentionDays,
      requestsAtOnce,
      absentMonthDays,
      quotaDays,
    ]);
  const { removed } = await withRetry(database, run, retries);
  const forget = windowRemoval(database.ownSchema);
  await withRetry(database, () => runStatement(database.pool, forget, [retentionDays]), retries);
  return removed;
}

/** The windows that nobody has used for so many days. Whoever comes back makes them again. */
function windowRemoval(ownSchema: string): ReturnType<typeof statementOf> {
  return statementOf(
    sql`select from ${sql.ident(ownSchema, 'quota_forget')}(clock_timestamp() - $1::float8 * interval '1 day')`,
  );
}

function removal(ownSchema: string): ReturnType<typeof statementOf> {
  const table = (name: string): SQLQuery => sql.ident(ownSchema, name);
  const [requests, batches, months] = [table('requests'), table('batches'), table('fetched_months')];
  const [starts, days, refusedKeys] = [table('starts'), table('quota_days'), table('refused_keys')];
  return statementOf(sql`
    with expired as (
      select key from ${requests}
      where last_accepted_at < now() - $1::float8 * interval '1 day' and not exists (
        select from ${batches} where request = key and stored_at >= now() - $1::float8 * interval '1 day')
      order by last_accepted_at limit $2 for update skip locked
    ), removed as (
      delete from ${requests} using expired where requests.key = expired.key returning requests.key
    ), removed_batches as (
      delete from ${batches} where request in (select key from removed) or (
        stored_at < now() - $1::float8 * interval '1 day' and not exists (select from ${requests} where key = request))
    ), removed_starts as (
      delete from ${starts} where started_at < now() - $1::float8 * interval '1 day'
    ), removed_months as (
      delete from ${months} where not present and fetched_at < now() - $3::float8 * interval '1 day'
    ), removed_refusals as (
      -- Of keys that nobody uses any more.
      delete from ${refusedKeys} where try_at < now() - $4::float8 * interval '1 day'
    ), removed_days as (
      delete from ${days} where booked_at < now() - $4::float8 * interval '1 day'
    )
    select count(*)::integer as removed from removed`);
}
