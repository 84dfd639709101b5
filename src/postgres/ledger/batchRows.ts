import { sql } from '@databases/pg';
import type { Queryable, SQLQuery } from '@databases/pg';
import type { WriteCounts } from '../../model/batch.ts';
import { countOutcomes } from '../../model/outcome.ts';
import type { Outcome } from '../../model/outcome.ts';
import { fromStoredJson, toStoredJson } from './jsonText.ts';
import { decodeOutcome, encodeOutcome } from './outcomeCodec.ts';
import type { LedgerCodec, OutcomeRecord } from './outcomeCodec.ts';
import { plainArray, runForRow, runStatement, statementOf } from './statement.ts';

/** The key of a batch in the ledger. */
export interface BatchKey {
  readonly request: string;
  readonly index: number;
}

/** A batch as the ledger has it. */
export interface StoredBatch<I, T> {
  readonly index: number;
  readonly outcomes: readonly Outcome<I, T>[];
  readonly written: WriteCounts;
  /** It was ended by the quota or a deadline: what was skipped is still to be tried. */
  readonly resumable: boolean;
}

interface BatchRow extends WriteCounts {
  readonly number: number;
  readonly outcomes: string;
  readonly resumable: boolean;
}

/** Whether an outcome of a stored batch is tried again when its request is: what was never tried, not what failed. */
export function isResumable(outcome: Outcome<unknown, unknown>): boolean {
  return outcome.status === 'skipped';
}

/** A whole row of the ledger but for its counts: the parameters of `recordEntry`, in their order. */
export type LedgerEntry = readonly [
  request: string,
  index: number,
  outcomes: string,
  ok: number,
  fresh: number,
  failed: number,
  skipped: number,
  resumable: boolean,
];

const entryTypes = ['text', 'integer', 'jsonb', 'integer', 'integer', 'integer', 'integer', 'boolean'];

/**
 * The end of a statement that writes rows: inserts an entry with the counts of the common table expression `sure`
 * (`written`, `inserted`, `unchanged`), when `allowed`. Waits for a transaction that has just inserted the same key, and
 * then fails, with the whole statement. The entry's parameters are numbered from `first`.
 */
export function recordEntry(ownSchema: string, first: number, allowed: SQLQuery): SQLQuery {
  const entry = sql.__dangerous__rawValue(entryTypes.map((type, index) => `$${first + index}::${type}`).join(', '));
  return sql`
    insert into ${sql.ident(ownSchema, 'batches')}
      (request, number, outcomes, ok, fresh, failed, skipped, resumable, inserted, updated, unchanged, transactions)
    select ${entry}, inserted, written - inserted, unchanged, 1 from sure where ${allowed} returning true`;
}

/** Whether the key of an entry whose parameters are numbered from `first` is not there, as far as can be seen. */
export function isUnrecorded(ownSchema: string, first: number): SQLQuery {
  const key = sql.__dangerous__rawValue(`request = $${first}::text and number = $${first + 1}::integer`);
  return sql`not exists (select from ${sql.ident(ownSchema, 'batches')} where ${key})`;
}

/** The statements on the rows of batches; `codec` is the sink's. */
export interface BatchRows<I, T> {
  entry(key: BatchKey, outcomes: readonly Outcome<I, T>[]): LedgerEntry;
  /** Inserts the key alone and answers whether it was new. Waits for a transaction that has just inserted it. */
  claim(queryable: Queryable, key: BatchKey): Promise<boolean>;
  read(queryable: Queryable, key: BatchKey): Promise<StoredBatch<I, T> | undefined>;
  /** As `read`; nobody else changes the row before the transaction ends. */
  readLocked(queryable: Queryable, key: BatchKey): Promise<StoredBatch<I, T> | undefined>;
  /** At most `limit` batches after the number `after`. */
  page(queryable: Queryable, request: string, after: number, limit: number): Promise<readonly StoredBatch<I, T>[]>;
  /** Those of the batches that are there, by number. */
  some(queryable: Queryable, request: string, numbers: readonly number[]): Promise<readonly StoredBatch<I, T>[]>;
  /** The numbers of the batches that are there, in ascending order; of those among `numbers`, if it is given. */
  numbers(queryable: Queryable, request: string, numbers?: readonly number[]): Promise<readonly number[]>;
  /** Inserts a batch without rows, unless its key is there. */
  insert(queryable: Queryable, key: BatchKey, outcomes: readonly Outcome<I, T>[]): Promise<void>;
  /** Fills the row of a key that this transaction has claimed or locked; the counts are added to those it has. */
  complete(
    queryable: Queryable,
    key: BatchKey,
    outcomes: readonly Outcome<I, T>[],
    counts: WriteCounts,
  ): Promise<WriteCounts>;
}

export function batchRows<I, T>(ownSchema: string, codec: LedgerCodec<I, T>): BatchRows<I, T> {
  const batches = sql.ident(ownSchema, 'batches');
  const select = sql`
    select number, outcomes::text as outcomes, resumable, inserted, updated, unchanged, transactions from ${batches}`;
  const claim = statementOf(
    sql`insert into ${batches} (request, number) values ($1, $2) on conflict do nothing returning true`,
  );
  const read = statementOf(sql`${select} where request = $1 and number = $2`);
  const lock = statementOf(sql`${select} where request = $1 and number = $2 for update`);
  const page = statementOf(sql`${select} where request = $1 and number > $2 order by number limit $3`);
  const some = statementOf(sql`${select} where request = $1 and number = any($2::integer[]) order by number`);
  const numbers = statementOf(sql`
    select number from ${batches}
    where request = $1 and ($2::integer[] is null or number = any($2::integer[])) order by number`);
  const insert = statementOf(sql`
    insert into ${batches} (request, number, outcomes, ok, fresh, failed, skipped, resumable, transactions)
    values ($1, $2, $3::jsonb, $4, $5, $6, $7, $8, 1) on conflict do nothing`);
  const complete = statementOf(sql`
    update ${batches} set outcomes = $3::jsonb, ok = $4, fresh = $5, failed = $6, skipped = $7, resumable = $8,
      inserted = inserted + $9, updated = updated + $10, unchanged = unchanged + $11, transactions = transactions + $12,
      stored_at = now()
    where request = $1 and number = $2
    returning inserted, updated, unchanged, transactions`);

  const decode = ({ number, outcomes, resumable, ...written }: BatchRow): StoredBatch<I, T> => ({
    index: number,
    outcomes: (fromStoredJson(outcomes) as OutcomeRecord[]).map((record) => decodeOutcome(record, codec)),
    written,
    resumable,
  });
  const readWith = async (statement: typeof read, queryable: Queryable, { request, index }: BatchKey) => {
    const [row] = await runStatement<BatchRow>(queryable, statement, [request, index]);
    return row === undefined ? undefined : decode(row);
  };

  const entry = ({ request, index }: BatchKey, outcomes: readonly Outcome<I, T>[]): LedgerEntry => {
    const { ok, fresh, failed, skipped } = countOutcomes(outcomes);
    const text = toStoredJson(outcomes.map((outcome) => encodeOutcome(outcome, codec)));
    return [request, index, text, ok, fresh, failed, skipped, outcomes.some(isResumable)];
  };

  return {
    entry,
    claim: async (queryable, { request, index }) => (await runStatement(queryable, claim, [request, index])).length > 0,
    read: (queryable, key) => readWith(read, queryable, key),
    readLocked: (queryable, key) => readWith(lock, queryable, key),
    page: async (queryable, request, after, limit) =>
      (await runStatement<BatchRow>(queryable, page, [request, after, limit])).map(decode),
    some: async (queryable, request, wanted) =>
      (await runStatement<BatchRow>(queryable, some, [request, plainArray(wanted)])).map(decode),
    numbers: async (queryable, request, wanted) => {
      const values = [request, wanted === undefined ? null : plainArray(wanted)];
      return (await runStatement<{ number: number }>(queryable, numbers, values)).map(({ number }) => number);
    },
    insert: async (queryable, key, outcomes) => {
      await runStatement(queryable, insert, entry(key, outcomes));
    },
    complete: (queryable, key, outcomes, { inserted, updated, unchanged, transactions }) => {
      const values = [...entry(key, outcomes), inserted, updated, unchanged, transactions];
      return runForRow<WriteCounts>(queryable, complete, values);
    },
  };
}
