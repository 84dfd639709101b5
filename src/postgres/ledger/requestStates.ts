import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { z } from 'zod';
import { defineOptions } from '../../model/defineOptions.ts';
import type { OutcomeCounts } from '../../model/outcome.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseError } from '../errors.ts';
import { databaseSchema } from '../databaseSchema.ts';

/** A request as its ledger knows it, for people. */
export interface RequestState {
  /** The ledger key: `topic-partition-offset-timestamp` of its record, or `run:<pipeline>:<id>`. */
  readonly key: string;
  readonly pipeline: string;
  /** `done`: each of its batches is stored, with nothing left to try. Whether that was announced is not the ledger's to know. */
  readonly state: 'open' | 'done';
  readonly inputs: number;
  readonly batchSize: number;
  readonly totalBatches: number;
  readonly storedBatches: number;
  /** What became of the inputs of stored batches. */
  readonly counts: OutcomeCounts;
  readonly acceptedAt: Date;
  readonly lastActiveAt: Date;
}

export interface RequestStatesOptions {
  /** The database, see `connectDatabase`; its own schema needs the tables of `migrate`. */
  database: Database;
  /** Only requests in this state. Default: all. */
  state?: 'open' | 'done' | undefined;
  /** Most requests answered, the latest first. Default: 20. */
  limit?: number | undefined;
}

const resolveOptions = defineOptions<RequestStatesOptions>('requestStates')({
  database: databaseSchema,
  state: z.enum(['open', 'done']).optional(),
  limit: z.int().min(1).max(100_000).default(20),
});

/**
 * The requests in the ledger of a database, the latest first, and how far they are.
 *
 * Reads only, and tries once. Rejects with a `SinkError`: `database_not_ready` where `migrate` has not been run.
 *
 * @example
 * ```ts
 * import { connectDatabase, postgresLedger, requestStates } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const ledger = postgresLedger<string, number>({ database });
 * await ledger.accept({ key: 'states-example', pipeline: 'squares', inputs: ['2', '3'], batchSize: 100 });
 *
 * const [latest] = await requestStates({ database, state: 'open' });
 * console.log(latest?.key, latest?.state, latest?.storedBatches, 'of', latest?.totalBatches);
 * // states-example open 0 of 1
 * ```
 */
export async function requestStates(options: RequestStatesOptions): Promise<readonly RequestState[]> {
  const { database, state, limit } = resolveOptions(options);
  return readStates(database, latest(database, state, limit), limit);
}

/**
 * The latest requests, as a condition. Which these are is found before the batches of each are counted; their state takes a look
 * at all batches, in one go.
 */
function latest({ ownSchema }: Database, state: RequestState['state'] | undefined, limit: number): SQLQuery {
  const table = (name: string): SQLQuery => sql.ident(ownSchema, name);
  const stored = sql`coalesce(stored_batches, 0)`;
  const inState =
    state === undefined
      ? sql``
      : sql`
        left join (
          select request, count(*) as stored_batches from ${table('batches')} where not resumable group by request
        ) as progress on request = key
        where ${state === 'open' ? sql`${stored} < total_batches` : sql`${stored} >= total_batches`}`;
  return sql`key = any(array(
    select key from ${table('requests')} ${inState} order by accepted_at desc, key limit ${limit}))`;
}

interface StateRow extends OutcomeCounts, Pick<RequestState, 'key' | 'pipeline' | 'state' | 'inputs'> {
  readonly batch_size: number;
  readonly total_batches: number;
  readonly stored_batches: number;
  readonly accepted_ms: number;
  readonly active_ms: number;
}

/** The states of the requests that a condition on `request_states` picks. */
export async function readStates(
  database: Database,
  condition: SQLQuery,
  limit: number,
): Promise<readonly RequestState[]> {
  const table = (name: string): SQLQuery => sql.ident(database.ownSchema, name);
  try {
    const rows = (await database.pool.query(sql`
      select picked.*, (
          select jsonb_array_length(inputs) from ${table('requests')} as accepted where accepted.key = picked.key
        ) as inputs, totals.*
      from (
        select key, pipeline, state, batch_size, total_batches, stored_batches,
          (extract(epoch from accepted_at) * 1000)::float8 as accepted_ms,
          (extract(epoch from last_active_at) * 1000)::float8 as active_ms
        from ${table('request_states')} where ${condition} order by accepted_at desc, key limit ${limit}
      ) as picked
      cross join lateral (
        select coalesce(sum(ok), 0)::integer as ok, coalesce(sum(fresh), 0)::integer as fresh,
          coalesce(sum(failed), 0)::integer as failed, coalesce(sum(skipped), 0)::integer as skipped
        from ${table('batches')} where request = picked.key
      ) as totals
      order by accepted_ms desc, key`)) as StateRow[];
    return rows.map(toState);
  } catch (error) {
    throw databaseError(error, database);
  }
}

function toState(row: StateRow): RequestState {
  const { key, pipeline, state, inputs, ok, fresh, failed, skipped } = row;
  return {
    key,
    pipeline,
    state,
    inputs,
    batchSize: row.batch_size,
    totalBatches: row.total_batches,
    storedBatches: row.stored_batches,
    counts: { ok, fresh, failed, skipped },
    acceptedAt: new Date(row.accepted_ms),
    lastActiveAt: new Date(row.active_ms),
  };
}
