import { isDeepStrictEqual } from 'node:util';
import { sql } from '@databases/pg';
import type { Batch } from '../../model/batch.ts';
import { callback, defineOptions, port } from '../../model/defineOptions.ts';
import { RequestError } from '../../model/errors.ts';
import type { Acceptance, Ledger } from '../../model/ports.ts';
import type { Database } from '../connectDatabase.ts';
import { withRetry } from '../inTransaction.ts';
import { batchRows, isResumable } from './batchRows.ts';
import type { BatchRows, StoredBatch } from './batchRows.ts';
import { fromStoredJson, toStoredJson } from './jsonText.ts';
import { plainCodec } from './outcomeCodec.ts';
import type { LedgerCodec } from './outcomeCodec.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { removeSome, retentionDaysSchema } from './removeExpired.ts';
import { startRows } from './startRows.ts';
import { runForRow, statementOf } from './statement.ts';

export interface PostgresLedgerOptions<I, T> {
  /** The database, see `connectDatabase`; its own schema needs the tables of `migrate`. */
  database: Database;
  /** How inputs and values are written as JSON; the ledgers of sinks have shorter forms. Default: as they are. */
  codec?: LedgerCodec<I, T> | undefined;
  /** How many days after its last activity a request is removed, whatever its state. Default: 7. */
  retentionDays?: number | undefined;
  /** The clock that paces the removal, in epoch milliseconds. Default: Date.now. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<PostgresLedgerOptions<unknown, unknown>>('postgresLedger')({
  database: databaseSchema,
  codec: port<LedgerCodec<unknown, unknown>>(
    'a codec',
    'encodeInput',
    'decodeInput',
    'encodeValue',
    'decodeValue',
  ).default(() => plainCodec<unknown, unknown>()),
  retentionDays: retentionDaysSchema,
  now: callback<() => number>().default(() => Date.now),
});

const batchesAtOnce = 50;
const removalIntervalMs = 3_600_000;
/** What an index entry of PostgreSQL holds, with room to spare. */
const maxKeyLength = 512;

/**
 * The ledger in PostgreSQL: which requests were accepted, and what became of each of their batches.
 *
 * The sinks of this entry point carry one, which shares the transactions of their writes; made by itself it reads what
 * they stored, for example to build a completion event anew. The first acceptance of a key counts, by the database's
 * clock; the same key with another list or pipeline is refused with a `RequestError`, `request_conflict`. Where a batch
 * was ended by the quota, `stored` answers what was skipped as pending, and `batches` as skipped.
 *
 * Accepting a request also removes expired ones, at most once an hour. Rejects with a `SinkError`.
 *
 * @example
 * ```ts
 * import { connectDatabase, postgresLedger } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const ledger = postgresLedger<string, number>({ database });
 *
 * const request = { key: 'ledger-example', pipeline: 'squares', inputs: ['2', '3'], batchSize: 100 };
 * console.log((await ledger.accept(request)).inputs, await ledger.stored('ledger-example', 0));
 * // [ '2', '3' ] undefined
 * ```
 */
export function postgresLedger<I, T>(options: PostgresLedgerOptions<I, T>): Ledger<I, T> {
  const { database, retentionDays, now } = resolveOptions(options);
  const codec = options.codec ?? plainCodec<I, T>();
  const rows = batchRows(database.ownSchema, codec);
  const starts = startRows(database.ownSchema);
  const accept = acceptance(database.ownSchema);
  let removedAt = Number.NEGATIVE_INFINITY;

  const removeNowAndThen = async (): Promise<void> => {
    if (now() - removedAt < removalIntervalMs) return;
    removedAt = now();
    // No request fails, or waits for long, for the sake of tidiness: the next hour tries again.
    await removeSome(database, retentionDays, { maxRetries: 0 }).catch(() => undefined);
  };

  return {
    accept: async ({ key, pipeline, inputs, batchSize }) => {
      checkKey(key);
      const list = inputs.map((input) => codec.encodeInput(input));
      const values = [key, pipeline, toStoredJson(list), batchSize, Math.ceil(inputs.length / batchSize)];
      const row = await withRetry(database, () => runForRow<AcceptedRow>(database.pool, accept, values));
      await removeNowAndThen();
      return answer(row, { key, pipeline, inputs, list }, codec);
    },
    stored: async (key, index) => {
      const stored = await withRetry(database, () => rows.read(database.pool, { request: key, index }));
      return stored === undefined ? undefined : toBatch(key, stored, 'pending');
    },
    storedNumbers: (key, numbers) => withRetry(database, () => rows.numbers(database.pool, key, numbers)),
    batches: (key, numbers) => readBatches(database, rows, key, numbers),
    storeFailed: async (key, { index, inputs, error }) => {
      const outcomes = inputs.map((input) => ({ status: 'failed', stage: 'fetch', input, error }) as const);
      await withRetry(database, () => rows.insert(database.pool, { request: key, index }, outcomes));
    },
    begin: (start, below) => withRetry(database, () => starts.begin(database.pool, start, below)),
    handBack: (start) => withRetry(database, () => starts.handBack(database.pool, start)),
  };
}

interface AcceptedRow {
  readonly pipeline: string;
  /** Null when it is the list just given. */
  readonly inputs: string | null;
  readonly batchSize: number;
  readonly acceptedAtMs: number;
  readonly ageMs: number;
}

/** `xmax` is 0 in a row just inserted: only a list accepted before is worth sending back. */
function acceptance(ownSchema: string): ReturnType<typeof statementOf> {
  return statementOf(sql`
    insert into ${sql.ident(ownSchema, 'requests')} as known (key, pipeline, inputs, batch_size, total_batches)
    values ($1, $2, $3::jsonb, $4, $5)
    on conflict (key) do update set last_accepted_at = now()
    returning pipeline, case when xmax = 0 then null else inputs::text end as inputs, batch_size as "batchSize",
      (extract(epoch from accepted_at) * 1000)::float8 as "acceptedAtMs",
      (extract(epoch from clock_timestamp() - accepted_at) * 1000)::float8 as "ageMs"`);
}

interface Given<I> {
  readonly key: string;
  readonly pipeline: string;
  readonly inputs: readonly I[];
  readonly list: readonly unknown[];
}

function answer<I, T>(row: AcceptedRow, given: Given<I>, codec: LedgerCodec<I, T>): Acceptance<I> {
  const acceptedAt = new Date(row.acceptedAtMs);
  const { batchSize, ageMs } = row;
  if (row.inputs === null) return { inputs: given.inputs, batchSize, acceptedAt, ageMs };
  if (row.pipeline !== given.pipeline) {
    throw conflict(given.key, `for the pipeline ${row.pipeline}, and now comes for ${given.pipeline}`);
  }
  const known = fromStoredJson(row.inputs) as unknown[];
  // Through JSON, as the stored list went: fields that are undefined are gone.
  if (!isDeepStrictEqual(known, JSON.parse(JSON.stringify(given.list)))) {
    throw conflict(given.key, `with another list (${known.length} inputs, now ${given.list.length})`);
  }
  return { inputs: known.map((input) => codec.decodeInput(input)), batchSize, acceptedAt, ageMs };
}

function conflict(key: string, how: string): RequestError {
  return new RequestError(
    'request_conflict',
    `request ${key} was accepted before ${how}: a new request needs a new key`,
  );
}

function checkKey(key: string): void {
  if (key.length > 0 && key.length <= maxKeyLength && !key.includes('\0')) return;
  const seen = JSON.stringify(key.slice(0, 100));
  throw new RequestError(
    'request_refused',
    `request key: expected 1 to ${maxKeyLength} characters, none of them NUL, got ${seen}`,
  );
}

function toBatch<I, T>(request: string, stored: StoredBatch<I, T>, resumableAs: 'pending' | 'skipped'): Batch<I, T> {
  const { index, outcomes, written } = stored;
  return {
    index,
    request,
    outcomes:
      resumableAs === 'skipped'
        ? outcomes
        : outcomes.map((outcome) => (isResumable(outcome) ? { status: 'pending', input: outcome.input } : outcome)),
    written,
  };
}

/** In pages, so that a request of any size is read in constant memory. */
async function* readBatches<I, T>(
  database: Database,
  rows: Pick<BatchRows<I, T>, 'page' | 'some'>,
  request: string,
  numbers?: readonly number[],
): AsyncGenerator<Batch<I, T>, void, undefined> {
  const { pool } = database;
  if (numbers !== undefined) {
    const wanted = [...new Set(numbers)].sort((one, other) => one - other);
    for (let at = 0; at < wanted.length; at += batchesAtOnce) {
      const some = wanted.slice(at, at + batchesAtOnce);
      const page = await withRetry(database, () => rows.some(pool, request, some));
      for (const stored of page) yield toBatch(request, stored, 'skipped');
    }
    return;
  }
  let after = -1;
  for (;;) {
    const from = after;
    const page = await withRetry(database, () => rows.page(pool, request, from, batchesAtOnce));
    for (const stored of page) yield toBatch(request, stored, 'skipped');
    const last = page.at(-1);
    if (last === undefined || page.length < batchesAtOnce) return;
    after = last.index;
  }
}
