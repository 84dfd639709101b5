import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { defineOptions } from '../../model/defineOptions.ts';
import { OptionsError } from '../../model/errors.ts';
import type { QuotaStore } from '../../model/quotaPorts.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseError } from '../errors.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { runForRow, runStatement, statementOf } from '../ledger/statement.ts';
import { apiKeySchema, providerSchema, quotaKey } from './quotaKey.ts';

export interface PostgresQuotaStoreOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** The provider's name; with the API key it tells the counts of a database apart. */
  provider: string;
  /** The API key. It is not stored: the table knows the beginning of its SHA-256 digest. */
  apiKey: string;
}

const resolveOptions = defineOptions<PostgresQuotaStoreOptions>('postgresQuotaStore')({
  database: databaseSchema,
  provider: providerSchema,
  apiKey: apiKeySchema,
});

/**
 * Counts the credits of days and months in a row of PostgreSQL each, for all processes that work with the API key. Needs
 * the tables that `migrate` makes; `removeExpired` removes a row 62 days after its last booking.
 *
 * A booking is one statement and counts as soon as that is committed: many processes may book at once, and one that dies
 * has used at most what it had booked. Nothing is tried twice, because nobody knows what became of a statement whose
 * connection broke: such a booking may count although it was not answered, and what could not be given back stays used.
 *
 * Rejects with a `SinkError`, retryable (`database_unavailable`) when the server cannot be had, and with an `OptionsError`
 * for a number of credits that is none.
 *
 * @example
 * ```ts
 * import { connectDatabase, postgresQuotaStore } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const store = postgresQuotaStore({ database, provider: 'twelve-data', apiKey: 'my-api-key' });
 *
 * console.log(await store.book('2026-11-24', 20, 30), await store.book('2026-11-24', 20, 30));
 * // 20 10
 * await store.giveBack('2026-11-24', 5);
 * console.log(await store.book('2026-11-24', 20, 30));
 * // 5
 * ```
 */
export function postgresQuotaStore(options: PostgresQuotaStoreOptions): QuotaStore {
  const { database, provider, apiKey } = resolveOptions(options);
  const key = quotaKey(provider, apiKey);
  const days = sql.ident(database.ownSchema, 'quota_days');
  const [book, giveBack] = [statementOf(booking(days)), statementOf(givingBack(days))];
  const read = statementOf(reading(days));

  return {
    async book(period, credits, limit) {
      checkCredits('book', credits);
      checkCredits('book', limit);
      try {
        const row = await runForRow<{ booked: string }>(database.pool, book, [key, period, credits, limit]);
        return Number(row.booked);
      } catch (error) {
        throw databaseError(error, database);
      }
    },

    async giveBack(period, credits) {
      checkCredits('giveBack', credits);
      try {
        await runStatement(database.pool, giveBack, [key, period, credits]);
      } catch (error) {
        throw databaseError(error, database);
      }
    },

    async used(period) {
      try {
        return Number((await runForRow<{ used: string }>(database.pool, read, [key, period])).used);
      } catch (error) {
        throw databaseError(error, database);
      }
    },
  };
}

/** The row is locked while it is counted up, and `last_booked` is what this very statement got. */
function booking(days: SQLQuery): SQLQuery {
  return sql`
    insert into ${days} as day (key, period, used, last_booked)
    values ($1, $2, least($3::bigint, $4::bigint), least($3::bigint, $4::bigint))
    on conflict (key, period) do update set
      used = day.used + greatest(0, least($3::bigint, $4::bigint - day.used)),
      last_booked = greatest(0, least($3::bigint, $4::bigint - day.used)),
      booked_at = clock_timestamp()
    returning last_booked as booked`;
}

function givingBack(days: SQLQuery): SQLQuery {
  return sql`update ${days} set used = greatest(0, used - $3::bigint) where key = $1 and period = $2`;
}

/** One row, also of a period that nobody has booked of yet. */
function reading(days: SQLQuery): SQLQuery {
  return sql`select coalesce(max(used), 0) as used from ${days} where key = $1 and period = $2`;
}

function checkCredits(method: string, credits: number): void {
  if (Number.isSafeInteger(credits) && credits >= 0) return;
  throw new OptionsError(`QuotaStore.${method}: expected a whole number of credits from 0 on, got ${String(credits)}`);
}
