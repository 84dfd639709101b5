import type { Transaction } from '@databases/pg';
import type { Batch, WriteCounts } from '../../model/batch.ts';
import { SinkError } from '../../model/errors.ts';
import type { PipelineError } from '../../model/errors.ts';
import type { Outcome } from '../../model/outcome.ts';
import type { WriteResult } from '../../model/ports.ts';
import type { Database } from '../connectDatabase.ts';
import { inTransaction } from '../inTransaction.ts';
import { isResumable } from '../ledger/batchRows.ts';
import type { BatchKey, BatchRows, StoredBatch } from '../ledger/batchRows.ts';
import { isRowError } from './rowErrors.ts';
import type { OpenTable, SinkTable, Unit } from './sinkTable.ts';
import { isUnfinished, settleOutcomes, sortOut } from './sortOut.ts';
import type { Failures, SortedOut } from './sortOut.ts';
import { writeByHalves } from './writeUnits.ts';
import type { UnitsWritten } from './writeUnits.ts';

export interface BatchWriterOptions<I, T> {
  readonly database: Database;
  readonly table: SinkTable<I, T>;
  readonly rows: BatchRows<I, T>;
  /** The table as it is; `again` reads it anew, since a refused row may mean that it has changed. */
  readonly open: (signal: AbortSignal, again?: boolean) => Promise<OpenTable<I, T>>;
  readonly refuse: (input: I) => PipelineError | undefined;
}

/** Writes the rows of units, after the ledger's key when there is one. */
type WriteUnits<I, T> = (
  transaction: Transaction,
  units: readonly Unit<I, T>[],
  claim?: BatchKey,
) => Promise<UnitsWritten>;

interface Work<I, T> extends SortedOut<I, T> {
  readonly batch: Batch<I, T>;
  readonly writeUnits: WriteUnits<I, T>;
  readonly remember: (transaction: Transaction, units: readonly Unit<I, T>[]) => Promise<void>;
}

const noneRefused: UnitsWritten['refused'] = new Map();

/**
 * Makes `Sink.write`: the rows of a batch and its row in the ledger, in one transaction.
 *
 * First everything in one statement. Where the server refuses a row of it, the transaction is rolled back and another one
 * writes by halves, which finds the refused rows and costs more.
 */
export function batchWriter<I, T>(options: BatchWriterOptions<I, T>) {
  const { database, table, rows, refuse } = options;

  return async (batch: Batch<I, T>, { signal }: { readonly signal: AbortSignal }): Promise<WriteResult<I, T>> => {
    const attempt = async (again: boolean): Promise<WriteResult<I, T>> => {
      const open = await options.open(signal, again);
      const writeUnits = again ? byHalves(open) : atOnce(open);
      const remember: Work<I, T>['remember'] = async (transaction, units) => open.remember?.(transaction, units);
      const work: Work<I, T> = { batch, ...sortOut(batch, table, open, refuse), writeUnits, remember };
      if (batch.request === undefined && work.units.length === 0)
        return resultOf(settle(work, work.failures), nothingWritten);
      return inTransaction(database, (transaction) => store(transaction, work), { signal });
    };
    try {
      return await attempt(false);
    } catch (error) {
      if (!isRowError(error)) throw error;
      return attempt(true);
    }
  };

  function store(transaction: Transaction, work: Work<I, T>): Promise<WriteResult<I, T>> {
    const { request, index } = work.batch;
    if (request === undefined) return storeRows(transaction, work);
    const key = { request, index };
    return isUnfinished(work.batch) ? storeUnfinished(transaction, work, key) : storeBatch(transaction, work, key);
  }

  async function storeRows(transaction: Transaction, work: Work<I, T>): Promise<WriteResult<I, T>> {
    const written = await work.writeUnits(transaction, work.units);
    await work.remember(transaction, keptUnits(work.units, written));
    return resultOf(settle(work, failuresAfter(work.failures, written)), countsOf(written));
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

  async function storeBatch(transaction: Transaction, work: Work<I, T>, key: BatchKey): Promise<WriteResult<I, T>> {
    const written = await work.writeUnits(transaction, work.units, key);
    if (!written.claimed) return takeUp(transaction, work, key);
    await work.remember(transaction, keptUnits(work.units, written));
    const outcomes = settle(work, failuresAfter(work.failures, written));
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
    const written = await work.writeUnits(transaction, units);
    await work.remember(transaction, keptUnits(units, written));
    const settled = settle(work, failuresAfter(work.failures, written));
    const outcomes = stored.outcomes.map((outcome, index) =>
      isLeftOver(stored, index) ? (settled[index] ?? outcome) : outcome,
    );
    return resultOf(outcomes, await rows.complete(transaction, key, outcomes, countsOf(written)));
  }

  function settle({ batch }: Work<I, T>, failures: Failures): Outcome<I, T>[] {
    return settleOutcomes(batch, table, failures);
  }

  function atOnce(open: OpenTable<I, T>): WriteUnits<I, T> {
    return async (transaction, units, claim) => {
      if (units.length === 0 && claim === undefined) return { ...nothingWritten, claimed: true, refused: noneRefused };
      return { ...(await open.write(transaction, units, claim)), refused: noneRefused };
    };
  }

  function byHalves(open: OpenTable<I, T>): WriteUnits<I, T> {
    return async (transaction, units, claim) => {
      if (claim !== undefined && !(await rows.claim(transaction, claim))) {
        return { ...nothingWritten, claimed: false, refused: noneRefused };
      }
      return writeByHalves(transaction, table, open, units);
    };
  }
}

const nothingWritten: WriteCounts = { inserted: 0, updated: 0, unchanged: 0, transactions: 0 };

function countsOf({ inserted, updated, unchanged }: UnitsWritten): WriteCounts {
  return { inserted, updated, unchanged, transactions: 1 };
}

function isLeftOver<I, T>({ outcomes }: StoredBatch<I, T>, index: number): boolean {
  const outcome = outcomes[index];
  return outcome !== undefined && isResumable(outcome);
}

function keptUnits<I, T>(units: readonly Unit<I, T>[], { refused }: UnitsWritten): readonly Unit<I, T>[] {
  return refused.size === 0 ? units : units.filter((unit) => !refused.has(unit));
}

function failuresAfter(failures: Failures, { refused }: UnitsWritten): Failures {
  if (refused.size === 0) return failures;
  const all = new Map(failures);
  for (const [{ indexes }, error] of refused) for (const index of indexes) all.set(index, error);
  return all;
}

function resultOf<I, T>(outcomes: readonly Outcome<I, T>[], counts: WriteCounts): WriteResult<I, T> {
  const failed = outcomes.flatMap((outcome, index) =>
    outcome.status === 'failed' && outcome.stage === 'write' ? [{ index, error: outcome.error }] : [],
  );
  const { inserted, updated, unchanged, transactions } = counts;
  return { inserted, updated, unchanged, transactions, failed, stored: outcomes };
}

/** Its row was there a statement ago: expired rows are being removed. */
function vanished({ request, index }: BatchKey): SinkError {
  const message = `batch ${index} of request ${request} was removed from the ledger while it was written`;
  return new SinkError('database_unavailable', message, { retryable: true });
}
