import { z } from 'zod';
import { callback, defineOptions } from '../../model/defineOptions.ts';
import type { SharedWindow } from '../../model/quotaPorts.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { apiKeySchema, providerSchema, quotaKey } from './quotaKey.ts';
import { TickWindow } from './TickWindow.ts';

export interface PostgresWindowOptions {
  /** The database, see `connectDatabase`. A grant waits for a connection of its pool: better one that nothing else uses. */
  database: Database;
  /** The provider's name; with the API key it tells the windows of a database apart. */
  provider: string;
  /** The API key. It is not stored: the tables know the beginning of its SHA-256 digest. */
  apiKey: string;
  /** The credits that the plan allows in a window: a whole number from 1 to 2,147,483,647. */
  credits: number;
  /** The length of the provider's window, in milliseconds. Windows of different lengths do not know of each other. Default: 60000. */
  windowMs?: number | undefined;
  /** How long to wait for the database, in milliseconds; what it grants later is given back. Default: 5000. */
  timeoutMs?: number | undefined;
  /** The time in milliseconds instead of the database's clock, for tests in virtual time. Default: the database's clock. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<PostgresWindowOptions>('postgresWindow')({
  database: databaseSchema,
  provider: providerSchema,
  apiKey: apiKeySchema,
  credits: z
    .int()
    .min(1)
    .max(2 ** 31 - 1),
  windowMs: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .default(60_000),
  timeoutMs: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .default(5_000),
  now: callback<() => number>().optional(),
});

/**
 * One API key's window of credits as a table, shared by all processes that work with the key: never more than `credits`
 * are held at the same time by all of them together. For the `window` option of `creditLimiter`.
 *
 * - Credits are counted by the time at which they become free, in ticks of a 600th of the window (10 ms at least): a grant
 *   costs the same for a plan of 8 credits and of a million, and a credit is held for at most one tick too long. The grants
 *   of a key follow one another, each in one statement. Needs the tables that `migrate` makes.
 * - A process that dies keeps its credits for `holdMs`, and no longer: nothing has to be cleaned up.
 * - Processes that say different `credits` for one key get along on the smaller number, for as long as the one that said it
 *   has asked within the last 5 minutes (or a window, if that is longer).
 * - What `report` tells of others on the key is held back from all processes.
 * - The clock is the database's, so the clocks of the machines may differ. One that jumps ahead frees credits too early; one
 *   that is set back holds them for up to the longest hold in force longer.
 *
 * Without the database there is no grant: `take` rejects with a `SinkError` that is retryable (`database_unavailable`)
 * when the server cannot be had or does not answer within `timeoutMs`, and not retryable (`database_not_ready`) when the
 * tables or rights are missing. A grant that comes too late for that, after the signal has aborted, or after a twentieth of
 * `holdMs`, is given back. `release` and `settle` try three times more; where they fail, the credits are free when their
 * hold is over. `report` is not tried twice: the next answer tells again. Rejects with an `OptionsError` when `min` is more than the window holds.
 *
 * @example
 * ```ts
 * import { connectDatabase, postgresWindow } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const options = { database, provider: 'twelve-data', apiKey: 'my-api-key', credits: 8 };
 * const [here, elsewhere] = [postgresWindow(options), postgresWindow(options)];
 *
 * const { signal } = new AbortController();
 * const want = { min: 1, reserve: 0, holdMs: 75_000, signal };
 * const six = await here.take({ credits: 6, ...want });
 * const rest = await elsewhere.take({ credits: 6, ...want });
 * const nothing = await here.take({ credits: 1, ...want });
 *
 * console.log('credits' in six && six.credits, 'credits' in rest && rest.credits);
 * // 6 2
 * console.log('retryInMs' in nothing && nothing.retryInMs > 59_000);
 * // true
 * ```
 */
export function postgresWindow(options: PostgresWindowOptions): SharedWindow {
  const { provider, apiKey, ...settings } = resolveOptions(options);
  return new TickWindow({ ...settings, key: `${quotaKey(provider, apiKey)}:${String(settings.windowMs)}` });
}
