import { sql } from '@databases/pg';
import type { Queryable, Transaction } from '@databases/pg';
import { isUnfinished, type Batch, type WriteCounts } from '../../model/batch.ts';
import { PipelineError, SinkError } from '../../model/errors.ts';
import type { Outcome } from '../../model/outcome.ts';
import type { WriteResult } from '../../model/ports.ts';
import type { Database } from '../connectDatabase.ts';
import { inTransaction, withRetry } from '../inTransaction.ts';
import { isResumable } from '../ledger/batchRows.ts';
import type { BatchKey, BatchRows, StoredBatch } from '../ledger/batchRows.ts';
import { BatchTrials } from './BatchTrials.ts';
import type { OpenTable, SinkTable, Unit, UnitResult, Written } from './sinkTable.ts';
import { settleOutcomes, sortOut } from './sortOut.ts';
import type { SortedOut } from './sortOut.ts';
import { writeByHalves } from './writeUnits.ts';

export interface BatchWriterOptions<I, T> {
  readonly database: Database;
  readonly table: SinkTable<I, T>;
  readonly rows: BatchRows<I, T>;
  /** The table as it is; `again` reads it anew, since a refused row may mean that it has changed. */
  readonly open: (signal: AbortSignal, again?: boolean) => Promise<OpenTable<I, T>>;
  readonly refuse: (input: I) => PipelineError | undefined;
}

interface Work<I, T> extends SortedOut<I, T> {
  readonly batch: Batch<I, T>;
  readonly open: OpenTable<I, T>;
  /** Says whether a row was refused before, so that those at fault have to be found. */
  readonly trials: BatchTrials;
}

/**
 * Makes `Sink.write`: the rows of a batch and its entry in the ledger, in one transaction.
 *
 * First everything in one statement, which is a transaction by itself where nothing else belongs to it. Where the server
 * refuses a row of it, fails again and again while the database is well, or the table does not hold all of them as they were
 * given, all is rolled back and another transaction writes by halves, which finds the refused rows, asks the table what it
 * holds, and costs more; the key of the ledger entry may be the refused row, too, and is claimed first by then. A table with
 * triggers is written like that from the start. Rows that are too many for one statement are written in pages, in one transaction,
 * after the key.
 */
export function batchWriter<I, T>(options: BatchWriterOptions<I, T>) {
  const { database, table, rows, refuse } = options;

  return async (batch: Batch<I, T>, { signal }: { readonly signal: AbortSignal }): Promise<WriteResult<I, T>> => {
    const isRecorded = batch.request !== undefined;
    const trials = new BatchTrials({ database, table: table.name, isRecorded, signal });
    const attempt = async (): Promise<WriteResult<I, T>> => {
      const open = await options.open(signal, trials.isCareful);
      const work: Work<I, T> = { batch, open, trials, ...sortOut(batch, table, open, refuse) };
      if (batch.request === undefined && work.units.length === 0) {
        return resultOf(settleOutcomes(batch, work.failures), nothingWritten);
      }
      const stored = isOneStatement(work)
        ? await withRetry(database, () => storeAtOnce(database.pool, work), once)
        : undefined;
      return stored ?? inTransaction({ database, work: (transaction) => store(transaction, work), ...once });
    };
    const once = { signal, maxRetries: 0 };
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        await trials.after(error);
      }
    }
  };

  async function store(transaction: Transaction, work: Work<I, T>): Promise<WriteResult<I, T>> {
    // What a deferred trigger does, or refuses, belongs to the rows that follow.
    if (looksAtRows(work)) await transaction.query(sql`set constraints all immediate`);
    const key = keyOf(work.batch);
    if (key === undefined) return storeRows(transaction, work);
    if (isUnfinished(work.batch)) return storeUnfinished(transaction, work, key);
    if (looksAtRows(work) || work.open.isTooLarge?.(work.units) === true) return storeKeyFirst(transaction, work, key);
    return (await storeAtOnce(transaction, work)) ?? takeUp(transaction, work, key);
  }

  /** Undefined when the ledger has the batch, and nothing was written. */
  async function storeAtOnce(queryable: Queryable, work: Work<I, T>): Promise<WriteResult<I, T> | undefined> {
    const { open, units } = work;
    const key = keyOf(work.batch);
    const expected = () =>
      settle(
        work,
        units,
        units.map(({ outcome }) => open.asStored(outcome)),
      );
    const written = await open.write(queryable, units, key && rows.entry(key, expected()));
    if (!written.recorded) return undefined;
    await open.remember?.(queryable, keptUnits(units, written));
    return resultOf(settle(work, units, written.results), countsOf(written));
  }

  async function storeRows(transaction: Transaction, work: Work<I, T>): Promise<WriteResult<I, T>> {
    const written = await writeUnits(transaction, work, work.units);
    return resultOf(settle(work, work.units, written.results), countsOf(written));
  }

  /** A shutdown: its rows are worth keeping, unless another process has done the batch meanwhile. */
  async function storeUnfinished(
    transaction: Transaction,
    work: Work<I, T>,
    key: BatchKey,
  ): Promise<WriteResult<I, T>> {
    const stored = await rows.read(transaction, key);
    if (stored !== undefined && !stored.resumable) return resultOf(stored.outcomes, stored.written);
    return storeRows(transaction, work);
  }

  /** The key first, what it holds once it is known what became of the rows. */
  async function storeKeyFirst(transaction: Transaction, work: Work<I, T>, key: BatchKey): Promise<WriteResult<I, T>> {
    if (!(await rows.claim(transaction, key))) return takeUp(transaction, work, key);
    const written = await writeUnits(transaction, work, work.units);
    const outcomes = settle(work, work.units, written.results);
    return resultOf(outcomes, await rows.complete(transaction, key, outcomes, countsOf(written)));
  }

  /** The ledger has the batch: what it has is the truth, except for what the quota left over. */
  async function takeUp(transaction: Transaction, work: Work<I, T>, key: BatchKey): Promise<WriteResult<I, T>> {
    const stored = await rows.readLocked(transaction, key);
    if (stored === undefined) throw vanished(key);
    if (!stored.resumable || stored.outcomes.length !== work.batch.outcomes.length) {
      return resultOf(stored.outcomes, stored.written);
    }
    const units = work.units.filter(({ indexes }) => indexes.some((index) => isLeftOver(stored, index)));
    const written = await writeUnits(transaction, work, units);
    const settled = settle(work, units, written.results);
    const outcomes = stored.outcomes.map((outcome, index) =>
      isLeftOver(stored, index) ? (settled[index] ?? outcome) : outcome,
    );
    return resultOf(outcomes, await rows.complete(transaction, key, outcomes, countsOf(written)));
  }

  /** The rows alone, and what is to be remembered besides. */
  async function writeUnits(
    transaction: Transaction,
    { open, trials }: Work<I, T>,
    units: readonly Unit<I, T>[],
  ): Promise<Written<I, T>> {
    if (units.length === 0) return { ...nothingWritten, recorded: true, results: [] };
    const isOfRow = (error: unknown): boolean => trials.isOfRow(error);
    const written = trials.isCareful
      ? await writeByHalves(transaction, { table, open, ownSchema: database.ownSchema, isOfRow }, units)
      : await open.write(transaction, units);
    await open.remember?.(transaction, keptUnits(units, written));
    return written;
  }
}

function keyOf({ request, index }: Batch<unknown, unknown>): BatchKey | undefined {
  return request === undefined ? undefined : { request, index };
}

/** Whether it is known only after the writing of the rows what the ledger has to say of them. */
function looksAtRows<I, T>({ open, trials }: Work<I, T>): boolean {
  return trials.isCareful || !open.storesAsGiven;
}

function isOneStatement<I, T>(work: Work<I, T>): boolean {
  const { batch, open } = work;
  return !looksAtRows(work) && open.remember === undefined && (batch.request === undefined || !isUnfinished(batch));
}

const nothingWritten: WriteCounts = { inserted: 0, updated: 0, unchanged: 0, transactions: 0 };

/** The outcomes of a batch, some units of which have been written. */
function settle<I, T>(
  { batch, failures }: Work<I, T>,
  units: readonly Unit<I, T>[],
  results: readonly UnitResult<I, T>[],
): Outcome<I, T>[] {
  const all = new Map<number, UnitResult<I, T>>(failures);
  units.forEach(({ indexes }, at) => {
    const result = results[at];
    if (result !== undefined) for (const index of indexes) all.set(index, result);
  });
  return settleOutcomes(batch, all);
}

function countsOf({ inserted, updated, unchanged }: Written<unknown, unknown>): WriteCounts {
  return { inserted, updated, unchanged, transactions: 1 };
}

function isLeftOver<I, T>({ outcomes }: StoredBatch<I, T>, index: number): boolean {
  const outcome = outcomes[index];
  return outcome !== undefined && isResumable(outcome);
}

function keptUnits<I, T>(units: readonly Unit<I, T>[], { results }: Written<I, T>): readonly Unit<I, T>[] {
  return units.filter((_, at) => !PipelineError.isInstance(results[at]));
}

function resultOf<I, T>(outcomes: readonly Outcome<I, T>[], counts: WriteCounts): WriteResult<I, T> {
  const failed = outcomes.flatMap((outcome, index) =>
    outcome.status === 'failed' && outcome.stage === 'write' ? [{ index, error: outcome.error }] : [],
  );
  const { inserted, updated, unchanged, transactions } = counts;
  return { inserted, updated, unchanged, transactions, failed, stored: outcomes };
}

/** Its entry was there a statement ago: expired requests are being removed. */
function vanished({ request, index }: BatchKey): SinkError {
  const message = `batch ${index} of request ${request} was removed from the ledger while it was written`;
  return new SinkError('database_unavailable', message, { retryable: true });
}
