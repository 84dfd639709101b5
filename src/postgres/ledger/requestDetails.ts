import { sql } from '@databases/pg';
import { z } from 'zod';
import type { WriteCounts } from '../../model/batch.ts';
import { defineOptions } from '../../model/defineOptions.ts';
import type { ErrorCode } from '../../model/errors.ts';
import type { OutcomeCounts, SkipReason, Stage } from '../../model/outcome.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseError } from '../errors.ts';
import { fromStoredJson } from './jsonText.ts';
import type { OutcomeRecord } from './outcomeCodec.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { readStates } from './requestStates.ts';
import type { RequestState } from './requestStates.ts';

/** A batch in the ledger, for people. */
export interface BatchState {
  /** From 0. */
  readonly number: number;
  /** `left`: the quota or a deadline ended it, and what was skipped is tried again when the request is. */
  readonly state: 'done' | 'left';
  readonly counts: OutcomeCounts;
  readonly written: WriteCounts;
  readonly storedAt: Date;
}

/** An input that failed or was skipped, and why. */
export type Shortfall = {
  readonly batch: number;
  /** As the ledger writes it, such as `['AAPL', 'STOCK']`. */
  readonly input: unknown;
} & (
  | { readonly status: 'failed'; readonly stage: Stage; readonly reason: ErrorCode; readonly message: string }
  | { readonly status: 'skipped'; readonly reason: SkipReason; readonly until?: Date | undefined }
);

/** A request with all that its ledger knows of its batches. */
export interface RequestDetails extends RequestState {
  /** By number; a batch that is not stored yet is missing. */
  readonly batches: readonly BatchState[];
  /** The first of the inputs that failed or were skipped, in their order; `counts` tells how many there are. */
  readonly shortfalls: readonly Shortfall[];
}

export interface RequestDetailsOptions {
  /** The database, see `connectDatabase`; its own schema needs the tables of `migrate`. */
  database: Database;
  /** The ledger key of the request; a client's own `requestId` is no key. */
  key: string;
  /** Most shortfalls read. Default: 1000. */
  maxShortfalls?: number | undefined;
}

const resolveOptions = defineOptions<RequestDetailsOptions>('requestDetails')({
  database: databaseSchema,
  key: z.string(),
  maxShortfalls: z.int().min(0).max(1_000_000).default(1000),
});

/**
 * What the ledger knows of a request: its batches, and what failed or was skipped, and why. Undefined when it knows no
 * such key, because it never did, or because the request's last activity is too long ago.
 *
 * Reads only, and tries once. Rejects with a `SinkError`: `database_not_ready` where `migrate` has not been run.
 *
 * @example
 * ```ts
 * import { connectDatabase, marketIndexSink, requestDetails } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const sink = marketIndexSink({ database });
 * const inputs = [{ symbol: '^GSPC' }];
 * await sink.ledger.accept({ key: 'details-example', pipeline: 'market-index-data', inputs, batchSize: 100 });
 * const outcomes = inputs.map((input) => ({ status: 'skipped', input, reason: 'quota' }) as const);
 * await sink.write({ index: 0, request: 'details-example', outcomes }, { signal: new AbortController().signal });
 *
 * const details = await requestDetails({ database, key: 'details-example' });
 * console.log(details?.state, details?.shortfalls);
 * // open [ { batch: 0, input: '^GSPC', status: 'skipped', reason: 'quota' } ]
 * ```
 */
export async function requestDetails(options: RequestDetailsOptions): Promise<RequestDetails | undefined> {
  const { database, key, maxShortfalls } = resolveOptions(options);
  // What no text of PostgreSQL can be is no key.
  if (key.includes('\0')) return undefined;
  const [state] = await readStates(database, sql`key = ${key}`, 1);
  if (state === undefined) return undefined;
  try {
    const batches = await readBatches(database, key);
    const shortfalls = await readShortfalls(database, key, maxShortfalls);
    return { ...state, batches, shortfalls };
  } catch (error) {
    throw databaseError(error, database);
  }
}

interface BatchRow extends OutcomeCounts, WriteCounts {
  readonly number: number;
  readonly resumable: boolean;
  readonly stored_ms: number;
}

async function readBatches({ pool, ownSchema }: Database, key: string): Promise<readonly BatchState[]> {
  const rows = (await pool.query(sql`
    select number, resumable, ok, fresh, failed, skipped, inserted, updated, unchanged, transactions,
      (extract(epoch from stored_at) * 1000)::float8 as stored_ms
    from ${sql.ident(ownSchema, 'batches')} where request = ${key} order by number`)) as BatchRow[];
  return rows.map((row) => {
    const { number, ok, fresh, failed, skipped, inserted, updated, unchanged, transactions } = row;
    return {
      number,
      state: row.resumable ? 'left' : 'done',
      counts: { ok, fresh, failed, skipped },
      written: { inserted, updated, unchanged, transactions },
      storedAt: new Date(row.stored_ms),
    };
  });
}

async function readShortfalls(
  { pool, ownSchema }: Database,
  key: string,
  limit: number,
): Promise<readonly Shortfall[]> {
  const rows = (await pool.query(sql`
    select number, outcome::text as outcome
    from ${sql.ident(ownSchema, 'batches')}
    cross join lateral jsonb_array_elements(outcomes) with ordinality as each (outcome, position)
    where request = ${key} and failed + skipped > 0 and outcome ?| array['failed', 'skipped']
    order by number, position limit ${limit}`)) as { number: number; outcome: string }[];
  return rows.flatMap(({ number, outcome }) => toShortfall(number, fromStoredJson(outcome) as OutcomeRecord) ?? []);
}

function toShortfall(batch: number, record: OutcomeRecord): Shortfall | undefined {
  if ('failed' in record) {
    const { failed, stage, error } = record;
    return { batch, input: failed, status: 'failed', stage, reason: error.code, message: error.message };
  }
  if (!('skipped' in record)) return undefined;
  const { skipped, reason, until } = record;
  const ends = until === undefined ? {} : { until: new Date(until) };
  return { batch, input: skipped, status: 'skipped', reason, ...ends };
}
