import { sql } from '@databases/pg';
import type { Queryable, SQLQuery } from '@databases/pg';
import { isUnrecorded, recordEntry } from '../ledger/batchRows.ts';
import type { LedgerEntry } from '../ledger/batchRows.ts';
import { runForRow, statementOf } from '../ledger/statement.ts';
import type { OpenShape } from './openShape.ts';

/** The clock of the price tables: timestamps without time zone, in UTC. */
export const utcNow = sql`(statement_timestamp() at time zone 'UTC')`;

/** A row that a statement has written: the text of its key columns, and whether it was inserted or updated. */
export type WrittenRow = readonly [...key: string[], effect: 'inserted' | 'updated'];

/** What a statement has written, by its own account. */
export interface RowsWritten {
  /** Whether the ledger took the entry; true when none was given. */
  readonly recorded: boolean;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** The time of the table's clock that ages were counted from. */
  readonly at: string;
  /** The rows written, where the table has to be asked what it holds; undefined when it holds all of them as they were given. */
  readonly rows: readonly WrittenRow[] | undefined;
}

interface CountsRow extends Omit<RowsWritten, 'rows' | 'updated'> {
  readonly written: number;
  readonly rows: readonly WrittenRow[] | null;
}

/** Runs a write: `rows` is how many rows the values hold. */
export type RowsWriter = (
  queryable: Queryable,
  values: readonly unknown[],
  rows: number,
  entry: LedgerEntry | undefined,
) => Promise<RowsWritten>;

/** The parts of a statement that writes rows; see `rowsWriter`. */
export interface RowsStatement {
  /** How many values there are: `$1` to `$<parameters>`. */
  readonly parameters: number;
  readonly key: readonly SQLQuery[];
  /**
   * Common table expressions up to `proposed`, the rows to be written, none unless `allowed`, and `written`, the rows that
   * were, with the columns of the key and `inserted`.
   */
  readonly ctes: (allowed: SQLQuery) => SQLQuery;
}

/**
 * Makes the statement that writes rows, alone and with their entry in the ledger: one round trip for both.
 *
 * Nothing is written when the ledger has the entry's key already. When another transaction inserts it in this very moment,
 * the entry meets it, and the statement fails with a unique violation: the rows are rolled back with it. The entry says
 * that the table holds every row as it was given; where that is not sure, because a row was not written or the table has
 * got a trigger, the statement fails as well (22P02), and the batch has to be written with a look at what the table holds.
 */
export function rowsWriter(ownSchema: string, shape: OpenShape, statement: RowsStatement): RowsWriter {
  const { parameters, key, ctes } = statement;
  const rowCount = sql.__dangerous__rawValue(`$${parameters + 1}::integer`);
  const look = sql.__dangerous__rawValue(`$${parameters + 2}::boolean`);
  const first = parameters + 2;
  const withCounts = (allowed: SQLQuery): SQLQuery => sql`
    with ${ctes(allowed)}, counts as (
      select written, inserted, greatest(0, ${rowCount} - written)::integer as unchanged, proposed, ${utcNow}::text as at
      from (select count(*)::integer as written, count(*) filter (where inserted)::integer as inserted from written) as counted,
        (select count(*)::integer as proposed from proposed) as asked
    )`;
  const rows = sql`(
    select coalesce(array_agg(array[${sql.join(
      key.map((column) => sql`${column}::text`),
      ', ',
    )}, case when inserted then 'inserted' else 'updated' end]), '{}') from written)`;
  const plain = statementOf(sql`
    ${withCounts(sql`true`)}
    select true as recorded, written, inserted, unchanged, at,
      case when written < proposed or ${look} then ${rows} end as rows
    from counts`);
  const unrecorded = isUnrecorded(ownSchema, first);
  const recording = statementOf(sql`
    ${withCounts(unrecorded)}, sure as (
      select inserted, unchanged, at, case when written < proposed or proposed > 0 and ${hasTriggers(shape.oid)}
        then (written || ' rows of ' || proposed || ' were written, the batch is tried again with a look at each')::integer
        else written end as written
      from counts
    ), recorded as (${recordEntry(ownSchema, first, unrecorded)})
    select exists (select from recorded) as recorded, sure.*, null as rows from sure`);
  return async (queryable, values, count, entry) => {
    const { written, rows, ...counts } =
      entry === undefined
        ? await runForRow<CountsRow>(queryable, plain, [...values, count, !shape.storesAsGiven])
        : await runForRow<CountsRow>(queryable, recording, [...values, count, ...entry]);
    return { ...counts, updated: written - counts.inserted, rows: rows ?? undefined };
  };
}

function hasTriggers(oid: number): SQLQuery {
  const table = sql.__dangerous__rawValue(String(oid));
  return sql`exists (select from pg_trigger where tgrelid = ${table} and not tgisinternal and tgenabled <> 'D')`;
}

/**
 * The parts of a statement for `id`, each with its comma. What is inserted is that of the known row, else a new one. An upsert that leaves it to the column burns an identity
 * for each update, and the integers of `serial` would be used up.
 *
 * `inserted` tells the rows written apart, in a way that partitioned tables have, too: one that was new when the statement
 * began has the identity it was given, unless another transaction has inserted it meanwhile (which nobody can tell where
 * rows have no identities: there it counts as inserted).
 */
export function identity(
  { sequence }: OpenShape,
  key: readonly SQLQuery[],
): Record<'column' | 'ofStored' | 'ofKnown' | 'value' | 'overriding' | 'inserted', SQLQuery> {
  if (sequence === undefined) {
    const columns = sql.join([...key], ', ');
    const stored = sql.join(
      key.map((column) => sql`stored.${column}`),
      ', ',
    );
    const inserted = sql`(${stored}) in (select ${columns} from proposed where is_new)`;
    return { column: sql``, ofStored: sql``, ofKnown: sql``, value: sql``, overriding: sql``, inserted };
  }
  // pg_get_serial_sequence has quoted it as an identifier; as a literal it needs its own quotes.
  const literal = sql.__dangerous__rawValue(`'${sequence.replaceAll("'", "''")}'::regclass`);
  return {
    column: sql`id,`,
    ofStored: sql`stored.id,`,
    ofKnown: sql`known.id,`,
    value: sql`coalesce(known.id, nextval(${literal})) as id,`,
    // For `generated always`; other columns do not mind.
    overriding: sql`overriding system value`,
    inserted: sql`stored.id::bigint in (select id::bigint from proposed where is_new)`,
  };
}
