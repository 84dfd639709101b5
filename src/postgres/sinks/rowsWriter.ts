import { sql } from '@databases/pg';
import type { Queryable, SQLQuery } from '@databases/pg';
import { claimKey } from '../ledger/batchRows.ts';
import type { BatchKey } from '../ledger/batchRows.ts';
import { runForRow, statementOf } from '../ledger/statement.ts';
import type { Written } from './sinkTable.ts';

/** The clock of the price tables: timestamps without time zone, in UTC. */
export const utcNow = sql`(statement_timestamp() at time zone 'UTC')`;

interface CountsRow {
  readonly claimed: boolean;
  readonly written: number;
  readonly inserted: number;
}

/** Runs a write: `rows` is how many rows the values hold. */
export type RowsWriter = (
  queryable: Queryable,
  values: readonly unknown[],
  rows: number,
  claim: BatchKey | undefined,
) => Promise<Written>;

/**
 * Makes the statement that writes rows, alone and with the ledger's key: one round trip for both.
 *
 * `ctes` writes the common table expressions up to one named `written` that returns `inserted`, and writes nothing unless
 * its argument is true. That the key is inserted first is sure: `written` cannot start without knowing it. The values
 * are `$1` to `$<parameters>`.
 */
export function rowsWriter(ownSchema: string, parameters: number, ctes: (allowed: SQLQuery) => SQLQuery): RowsWriter {
  const counts = sql`count(*)::integer as written, count(*) filter (where inserted)::integer as inserted from written`;
  const allowed = sql`exists (select from claimed)`;
  const plain = statementOf(sql`with ${ctes(sql`true`)} select true as claimed, ${counts}`);
  const claiming = statementOf(
    sql`with claimed as (${claimKey(ownSchema, parameters + 1)}), ${ctes(allowed)} select ${allowed} as claimed, ${counts}`,
  );
  return async (queryable, values, rows, claim) => {
    const { claimed, written, inserted } =
      claim === undefined
        ? await runForRow<CountsRow>(queryable, plain, values)
        : await runForRow<CountsRow>(queryable, claiming, [...values, claim.request, claim.index]);
    return { claimed, inserted, updated: written - inserted, unchanged: claimed ? Math.max(0, rows - written) : 0 };
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
