import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { defineOptions } from '../../model/defineOptions.ts';
import type { KeyRefusal, KeyRefusals } from '../../model/quotaPorts.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { databaseError } from '../errors.ts';
import { runStatement, statementOf, type Statement } from '../ledger/statement.ts';
import { apiKeySchema, providerSchema, quotaKey } from './quotaKey.ts';

export interface PostgresKeyRefusalsOptions {
  /** The database, see `connectDatabase`. */
  database: Database;
  /** The provider's name; with the API key it tells the refusals of a database apart. */
  provider: string;
  /** The API key. It is not stored: the table knows the beginning of its SHA-256 digest. */
  apiKey: string;
}

const resolveOptions = defineOptions<PostgresKeyRefusalsOptions>('postgresKeyRefusals')({
  database: databaseSchema,
  provider: providerSchema,
  apiKey: apiKeySchema,
});

/**
 * What all processes that work with an API key know of its refusal, as a row of PostgreSQL: for the `refusals` option of
 * `limited`. While the provider refuses the key, one call of all these processes tries now and then whether it still does.
 *
 * Each act is one statement, by the clock of the database; a process that dies during its try holds up the next one for one
 * pause. Another key is another row. Needs the table that `migrate` makes. Rejects with a `SinkError`; `limited` then goes by
 * what its own process knows.
 *
 * @example
 * ```ts
 * import { connectDatabase, postgresKeyRefusals } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const options = { database, provider: 'twelve-data', apiKey: 'a-refused-key' };
 * const [here, elsewhere] = [postgresKeyRefusals(options), postgresKeyRefusals(options)];
 *
 * await here.refuse({ message: 'twelve-data: HTTP 401: invalid key', pauseMs: 300_000, isAgain: false });
 * console.log((await elsewhere.standing())?.message, (await elsewhere.claim(15_000)).isGranted);
 * // twelve-data: HTTP 401: invalid key false
 * await here.lift();
 * console.log(await elsewhere.standing());
 * // undefined
 * ```
 */
export function postgresKeyRefusals(options: PostgresKeyRefusalsOptions): KeyRefusals {
  const { database, provider, apiKey } = resolveOptions(options);
  const key = quotaKey(provider, apiKey);
  const statements = statementsOf(sql.ident(database.ownSchema, 'refused_keys'));

  async function run(statement: Statement, ...values: readonly unknown[]): Promise<KeyRefusal | undefined> {
    try {
      const [row] = await runStatement<RefusalRow>(database.pool, statement, [key, ...values]);
      return row && refusalOf(row);
    } catch (error) {
      throw databaseError(error, database);
    }
  }

  return {
    standing: () => run(statements.read),
    async refuse({ message, pauseMs, isAgain }) {
      await run(statements.refuse, message.replaceAll('\0', ''), pauseMs, isAgain);
    },
    async claim(holdMs) {
      const claimed = await run(statements.claim, holdMs);
      return { isGranted: claimed !== undefined, refusal: claimed ?? (await run(statements.read)) };
    },
    async lift() {
      await run(statements.lift);
    },
  };
}

/** As the driver reads it: a bigint is text. */
interface RefusalRow {
  readonly message: string;
  readonly pause_ms: string;
  readonly try_in_ms: string;
  readonly is_tried: boolean;
}

function refusalOf(row: RefusalRow): KeyRefusal {
  return {
    message: row.message,
    pauseMs: Number(row.pause_ms),
    tryInMs: Number(row.try_in_ms),
    isTried: row.is_tried,
  };
}

function statementsOf(keys: SQLQuery): Readonly<Record<'read' | 'refuse' | 'claim' | 'lift', Statement>> {
  const columns = sql`
    message, pause_ms, greatest(0, ceil(extract(epoch from try_at - clock_timestamp()) * 1000))::bigint as try_in_ms,
    coalesce(tried_until > clock_timestamp(), false) as is_tried`;
  return {
    read: statementOf(sql`select ${columns} from ${keys} where key = $1`),
    // A call that was on its way when the key was refused to another is no try.
    refuse: statementOf(sql`
      insert into ${keys} as refused (key, message, pause_ms, try_at)
      values ($1, $2, $3::bigint, clock_timestamp() + $3::bigint * interval '1 millisecond')
      on conflict (key) do update set
        message = excluded.message,
        pause_ms = case when $4::boolean then excluded.pause_ms else refused.pause_ms end,
        try_at = case when $4::boolean then excluded.try_at
          else clock_timestamp() + refused.pause_ms * interval '1 millisecond' end,
        tried_until = null
      where $4::boolean or refused.try_at <= clock_timestamp()`),
    claim: statementOf(sql`
      update ${keys} set
        try_at = clock_timestamp() + pause_ms * interval '1 millisecond',
        tried_until = clock_timestamp() + $2::bigint * interval '1 millisecond'
      where key = $1 and try_at <= clock_timestamp()
      returning ${columns}`),
    lift: statementOf(sql`delete from ${keys} where key = $1`),
  };
}
