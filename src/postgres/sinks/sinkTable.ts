import type { Queryable } from '@databases/pg';
import type { PipelineError } from '../../model/errors.ts';
import type { OkOutcome } from '../../model/outcome.ts';
import type { LedgerEntry } from '../ledger/batchRows.ts';
import type { LedgerCodec } from '../ledger/outcomeCodec.ts';
import type { OpenShape } from './openShape.ts';

/** What to write for one key of a table. */
export interface Unit<I, T> {
  readonly outcome: OkOutcome<I, T>;
  /** Where it stands in its batch, and where else the same key stands: the last one is written. */
  readonly indexes: readonly number[];
}

/** What became of a unit: its outcome with the value that the table holds now, or why the table does not hold it. */
export type UnitResult<I, T> = OkOutcome<I, T> | PipelineError;

/** What became of the rows of some units. */
export interface Written<I, T> {
  /** Whether the ledger took the entry; true when none was given. */
  readonly recorded: boolean;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** One for each unit, in their order. */
  readonly results: readonly UnitResult<I, T>[];
}

/** A price table, as far as the writing of batches cares. */
export interface SinkTable<I, T> {
  readonly name: string;
  readonly columns: readonly string[];
  readonly codec: LedgerCodec<I, T>;
  /** The same for two outcomes of the same row or rows. */
  keyOf(input: I): string;
  /** For messages: `market_data: AAPL STOCK`. */
  describe(input: I): string;
  /** The statements for the table as it is. */
  open(shape: OpenShape): OpenTable<I, T>;
}

export interface OpenTable<I, T> {
  /** Whether it holds what it was given; else each write needs a transaction, in which it is asked what it holds. */
  readonly storesAsGiven: boolean;
  /** Why the table cannot hold a value, found before asking the database. */
  check(outcome: OkOutcome<I, T>): PipelineError | undefined;
  /** The outcome with the value that the table will hold, as it is told and kept in the ledger. */
  asStored(outcome: OkOutcome<I, T>): OkOutcome<I, T>;
  /** Whether the units have too many rows for one statement; then they are written without an entry. Default: never. */
  isTooLarge?(units: readonly Unit<I, T>[]): boolean;
  /**
   * Writes units in the order of their keys, and their ledger entry when there is one, in one statement. Nothing is
   * written, and `recorded` is false, when the ledger has the entry's key. Without an entry a second statement asks what
   * the table holds, where the first one does not tell; with one, all fails there, as if a row had been refused. Units that are
   * too large take several of both.
   */
  write(queryable: Queryable, units: readonly Unit<I, T>[], entry?: LedgerEntry): Promise<Written<I, T>>;
  /** What is to be remembered besides the rows, in the same transaction. Default: nothing, one statement does it all. */
  remember?(transaction: Queryable, units: readonly Unit<I, T>[]): Promise<void>;
}

/** What became of several groups of units, as one. */
export function allWritten<I, T>(parts: readonly Written<I, T>[]): Written<I, T> {
  const sum = (count: (part: Written<I, T>) => number): number => parts.reduce((total, part) => total + count(part), 0);
  return {
    recorded: true,
    inserted: sum(({ inserted }) => inserted),
    updated: sum(({ updated }) => updated),
    unchanged: sum(({ unchanged }) => unchanged),
    results: parts.flatMap(({ results }) => results),
  };
}

/** How long ago the responses arrived, in milliseconds, to the microsecond: the rows are as old. */
export function agesMs(outcomes: readonly { readonly receivedAtMs?: number | undefined }[]): number[] {
  const now = performance.now();
  return outcomes.map(({ receivedAtMs = now }) => Math.round(Math.max(0, now - receivedAtMs) * 1000) / 1000);
}
