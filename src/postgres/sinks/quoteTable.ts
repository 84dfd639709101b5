import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import type { Decimal } from '../../model/records.ts';
import { SinkError } from '../../model/errors.ts';
import type { Database } from '../connectDatabase.ts';
import type { LedgerCodec } from '../ledger/outcomeCodec.ts';
import { plainArray, statementOf, textArray } from '../ledger/statement.ts';
import type { Statement } from '../ledger/statement.ts';
import { checkDecimal, checkPrice } from './checks.ts';
import { identity, rowsWriter, utcNow } from './rowsWriter.ts';
import { agesMs } from './sinkTable.ts';
import type { OpenTable, SinkTable } from './sinkTable.ts';

/** One column of prices and the field of the quote it holds. */
export interface QuoteColumn<T> {
  readonly name: string;
  readonly of: (value: T) => Decimal;
  /** A change may be negative, a price may not. */
  readonly signed?: boolean | undefined;
}

/** A table of current quotes: one row per key, with its age in `updated_at`. */
export interface QuoteTableOptions<I, T> {
  readonly name: string;
  /** The columns of the key and their values. */
  readonly key: readonly { readonly name: string; readonly of: (input: I) => string }[];
  readonly columns: readonly QuoteColumn<T>[];
  readonly codec: LedgerCodec<I, T>;
}

/** A stored time so far ahead of the database's clock is a mistake, and counts as old. */
const futureTolerance = sql`interval '60 seconds'`;

/** The table for the writing of batches. */
export function quoteTable<I, T>(database: Database, options: QuoteTableOptions<I, T>): SinkTable<I, T> {
  const { name, key, columns, codec } = options;
  const describe = (input: I): string => `${name}: ${key.map(({ of }) => of(input)).join(' ')}`;
  return {
    name,
    codec,
    columns: [...key, ...columns].map((column) => column.name).concat('updated_at'),
    keyOf: (input) => key.reduce((text, { of }) => `${text}\0${of(input)}`, ''),
    describe,
    open: (shape): OpenTable<I, T> => {
      const write = rowsWriter(database.ownSchema, key.length + columns.length + 1, (allowed) =>
        upsert(database, options, identity(shape.sequence), allowed),
      );
      const checks = columns.map(({ name: column, of, signed = false }) => ({
        column,
        of,
        check: signed ? checkDecimal : checkPrice,
        shape: shape.column(column),
      }));
      return {
        check: ({ input, value }) => {
          for (const { column, of, check, shape } of checks) {
            const problem = check(of(value), shape);
            if (problem !== undefined) {
              return new SinkError(problem.code, `${describe(input)}: ${column}: ${problem.message}`);
            }
          }
          return undefined;
        },
        asStored: (outcome) => outcome,
        write: async (queryable, units, entry) => {
          const outcomes = units.map(({ outcome }) => outcome);
          const values = [
            ...key.map(({ of }) => textArray(outcomes.map(({ input }) => of(input)))),
            ...columns.map(({ of }) => plainArray(outcomes.map(({ value }) => of(value)))),
            plainArray(agesMs(outcomes)),
          ];
          return { ...(await write(queryable, values, units.length, entry)), results: outcomes };
        },
      };
    },
  };
}

/** Rows that are newer than ours stay: a response that comes late must not undo a later one. */
function upsert<I, T>(
  { schema }: Database,
  { name, key, columns }: QuoteTableOptions<I, T>,
  id: ReturnType<typeof identity>,
  allowed: SQLQuery,
): SQLQuery {
  const table = sql.ident(schema, name);
  const keys = identifiers(key);
  const prices = identifiers(columns);
  const list = (parts: SQLQuery[]): SQLQuery => sql.join(parts, ', ');
  return sql`
    given as (
      select * from unnest(${parameters(key.length, columns.length)}, ${placeholder(key.length + columns.length + 1)}::float8[])
        as given (${list(keys)}, ${list(prices)}, age_ms)
    ), written as (
      insert into ${table} as stored (${id.column} ${list(keys)}, ${list(prices)}, updated_at) ${id.overriding}
      select ${id.value} ${list([...keys, ...prices].map((column) => sql`given.${column}`))},
        ${utcNow} - given.age_ms * interval '1 millisecond'
      from given left join ${table} as known on ${matching(keys)}
      where ${allowed}
      order by ${list(keys.map((column) => sql`given.${column} collate "C"`))}
      on conflict (${list(keys)}) do update set ${list(prices.map((column) => sql`${column} = excluded.${column}`))},
        updated_at = excluded.updated_at
      where stored.updated_at is null or stored.updated_at <= excluded.updated_at
        or stored.updated_at > ${utcNow} + ${futureTolerance}
      returning (xmax = 0) as inserted
    )`;
}

/**
 * What is fresh: the position of the key in the arrays given, and the prices with the table's digits, as an array. A row
 * that lacks one of its prices is not fresh.
 */
export function selectFresh<I, T>({ schema }: Database, { name, key, columns }: QuoteTableOptions<I, T>): Statement {
  const keys = identifiers(key);
  const prices = sql.join(
    identifiers(columns).map((column) => sql`known.${column}::text`),
    ', ',
  );
  const age = sql`${placeholder(key.length + 1)}::float8 * interval '1 millisecond'`;
  return statementOf(sql`
    select given.position::integer as position, array[${prices}] as prices
    from unnest(${parameters(key.length, 0)}) with ordinality as given (${sql.join(keys, ', ')}, position)
    join ${sql.ident(schema, name)} as known on ${matching(keys)}
    where known.updated_at > ${utcNow} - ${age} and known.updated_at <= ${utcNow} + ${futureTolerance}
      and array_position(array[${prices}], null) is null`);
}

function identifiers(columns: readonly { readonly name: string }[]): SQLQuery[] {
  return columns.map(({ name }) => sql.ident(name));
}

function matching(keys: SQLQuery[]): SQLQuery {
  return sql.join(
    keys.map((column) => sql`known.${column} = given.${column}`),
    sql` and `,
  );
}

function placeholder(number: number): SQLQuery {
  return sql.__dangerous__rawValue(`$${number}`);
}

function parameters(texts: number, numerics: number): SQLQuery {
  const types = [...Array<string>(texts).fill('text[]'), ...Array<string>(numerics).fill('numeric[]')];
  return sql.__dangerous__rawValue(types.map((type, index) => `$${index + 1}::${type}`).join(', '));
}
