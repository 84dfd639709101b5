import { sql } from '@databases/pg';
import type { Queryable, SQLQuery } from '@databases/pg';
import { isUnrecorded, recordEntry } from '../ledger/batchRows.ts';
import type { LedgerEntry } from '../ledger/batchRows.ts';
import { runForRow, statementOf } from '../ledger/statement.ts';

/** The clock of the price tables: timestamps without time zone, in UTC. */
export const utcNow = sql`(statement_timestamp() at time zone 'UTC')`;

interface CountsRow {
  readonly recorded: boolean;
  readonly written: number;
  readonly inserted: number;
  readonly unchanged: number;
}

/** How many rows a statement has written, and whether the ledger took the entry. */
export interface RowsWritten {
  readonly recorded: boolean;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
}

/** Runs a write: `rows` is how many rows the values hold. */
export type RowsWriter = (
  queryable: Queryable,
  values: readonly unknown[],
  rows: number,
  entry: LedgerEntry | undefined,
) => Promise<RowsWritten>;

/**
 * Makes the statement that writes rows, alone and with their entry in the ledger: one round trip for both.
 *
 * `ctes` writes the common table expressions up to one named `written` that returns `inserted`, and writes nothing unless
 * its argument is true. The values are `$1` to `$<parameters>`. Nothing is written when the ledger has the entry's key
 * already. When another transaction inserts it in this very moment, the entry meets it, and the statement fails with a
 * unique violation: the rows are rolled back with it.
 */
export function rowsWriter(ownSchema: string, parameters: number, ctes: (allowed: SQLQuery) => SQLQuery): RowsWriter {
  const rowCount = sql.__dangerous__rawValue(`$${parameters + 1}::integer`);
  const first = parameters + 2;
  const withCounts = (allowed: SQLQuery): SQLQuery => sql`
    with ${ctes(allowed)}, counts as (
      select count(*)::integer as written, count(*) filter (where inserted)::integer as inserted,
        greatest(0, ${rowCount} - count(*))::integer as unchanged
      from written
    )`;
  const plain = statementOf(sql`${withCounts(sql`true`)} select true as recorded, counts.* from counts`);
  const unrecorded = isUnrecorded(ownSchema, first);
  const recording = statementOf(sql`
    ${withCounts(unrecorded)}, recorded as (${recordEntry(ownSchema, first, unrecorded)})
    select exists (select from recorded) as recorded, counts.* from counts`);
  return async (queryable, values, rows, entry) => {
    const { recorded, written, inserted, unchanged } =
      entry === undefined
        ? await runForRow<CountsRow>(queryable, plain, [...values, rows])
        : await runForRow<CountsRow>(queryable, recording, [...values, rows, ...entry]);
    return { recorded, inserted, updated: written - inserted, unchanged };
  };
}

/**
 * The parts of a statement for `id`, each with its comma. What is inserted is that of the known row, else a new one. An upsert that leaves it to the column burns an identity
 * for each update, and the integers of `serial` would be used up.
 */
export function identity(
  sequence: string | undefined,
): Record<'column' | 'ofStored' | 'ofKnown' | 'value' | 'overriding', SQLQuery> {
  if (sequence === undefined)
    return { column: sql``, ofStored: sql``, ofKnown: sql``, value: sql``, overriding: sql`` };
  // pg_get_serial_sequence has quoted it as an identifier; as a literal it needs its own quotes.
  const literal = sql.__dangerous__rawValue(`'${sequence.replaceAll("'", "''")}'::regclass`);
  return {
    column: sql`id,`,
    ofStored: sql`stored.id,`,
    ofKnown: sql`known.id,`,
    value: sql`coalesce(known.id, nextval(${literal})),`,
    // For `generated always`; other columns do not mind.
    overriding: sql`overriding system value`,
  };
}
