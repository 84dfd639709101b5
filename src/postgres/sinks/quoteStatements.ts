import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { parseDecimal } from '../../model/decimal.ts';
import type { Decimal } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import type { LedgerCodec } from '../ledger/outcomeCodec.ts';
import { statementOf } from '../ledger/statement.ts';
import type { Statement } from '../ledger/statement.ts';
import type { OpenShape } from './openShape.ts';
import { identity, utcNow } from './rowsWriter.ts';
import type { RowsStatement } from './rowsWriter.ts';

/** One column of prices and the field of the quote it holds. */
export interface QuoteColumn<T> {
  readonly name: string;
  readonly of: (value: T) => Decimal;
  /** A change may be negative, a price may not. */
  readonly signed?: boolean | undefined;
}

/** The prices of a row, in the order of the table's columns. */
export type Prices = readonly [Decimal, Decimal, Decimal, Decimal, Decimal];

/** A table of current quotes: one row per key, with its age in `updated_at`. */
export interface QuoteTableOptions<I, T> {
  readonly name: string;
  /** The columns of the key and their values. */
  readonly key: readonly { readonly name: string; readonly of: (input: I) => string }[];
  readonly columns: readonly QuoteColumn<T>[];
  readonly valueOf: (input: I, prices: Prices) => T;
  readonly codec: LedgerCodec<I, T>;
}

/** A stored time so far ahead of the database's clock is a mistake, and counts as old. */
const futureTolerance = sql`interval '60 seconds'`;

/**
 * Rows that are newer than ours stay: a response that comes late must not undo a later one.
 *
 * `offset 0`, here too, has each key looked up by the index: the planner would rather read the whole table for a hundred keys.
 */
export function upsertQuotes<I, T>(
  { schema }: Database,
  { name, key, columns }: QuoteTableOptions<I, T>,
  shape: OpenShape,
): RowsStatement {
  const table = sql.ident(schema, name);
  const keys = identifiers(key);
  const prices = identifiers(columns);
  const id = identity(shape, keys);
  const [firstKey = sql`symbol`] = keys;
  const parameters = key.length + columns.length + 1;
  return {
    parameters,
    key: keys,
    ctes: (allowed) => sql`
      given as (
        select * from unnest(${arrays(key.length, columns.length)}, ${placeholder(parameters)}::float8[])
          as given (${list(keys)}, ${list(prices)}, age_ms)
      ), proposed as (
        select ${id.value} ${list([...keys, ...prices].map((column) => sql`given.${column}`))},
          ${utcNow} - given.age_ms * interval '1 millisecond' as updated_at, known.${firstKey} is null as is_new
        from given left join lateral (
          select ${id.ofKnown} known.${firstKey} from ${table} as known where ${matching(keys)} offset 0
        ) as known on true
        where ${allowed}
      ), written as (
        insert into ${table} as stored (${id.column} ${list(keys)}, ${list(prices)}, updated_at) ${id.overriding}
        select ${id.column} ${list(keys)}, ${list(prices)}, updated_at from proposed
        order by ${list(keys.map((column) => sql`${column} collate "C"`))}
        on conflict (${list(keys)}) do update set ${list(prices.map((column) => sql`${column} = excluded.${column}`))},
          updated_at = excluded.updated_at
        where stored.updated_at is null or stored.updated_at <= excluded.updated_at
          or stored.updated_at > ${utcNow} + ${futureTolerance}
        returning ${list(keys.map((column) => sql`stored.${column}`))}, ${id.inserted} as inserted
      )`,
  };
}

/**
 * What is fresh: the position of the key in the arrays given, and the prices with the table's digits, as an array. A row
 * that lacks one of its prices is not fresh.
 *
 * Of a table that was never analyzed the planner expects hardly a row that is so new, and would compare each row with each
 * input in a nested loop. `offset 0` keeps the time out of its estimate: each input is looked up by the index of the key.
 */
export function selectFresh<I, T>({ schema }: Database, { name, key, columns }: QuoteTableOptions<I, T>): Statement {
  const keys = identifiers(key);
  const age = sql`${placeholder(key.length + 1)}::float8 * interval '1 millisecond'`;
  return statementOf(sql`
    select given.position::integer as position, found.prices
    from unnest(${arrays(key.length, 0)}) with ordinality as given (${list(keys)}, position)
    cross join lateral (
      select array[${texts(columns)}] as prices, known.updated_at from ${sql.ident(schema, name)} as known
      where ${matching(keys)} offset 0
    ) as found
    where found.updated_at > ${utcNow} - ${age} and found.updated_at <= ${utcNow} + ${futureTolerance}
      and array_position(found.prices, null) is null`);
}

/**
 * What the table holds of the keys given, whatever its age, and whether it is as new as what was to be written. After the
 * arrays of the key come the ages in milliseconds, and the time they are counted from.
 */
export function selectHeld<I, T>({ schema }: Database, { name, key, columns }: QuoteTableOptions<I, T>): Statement {
  const keys = identifiers(key);
  const [ages, at] = [placeholder(key.length + 1), placeholder(key.length + 2)];
  return statementOf(sql`
    select given.position::integer as position, held.prices,
      held.updated_at >= ${at}::timestamp - given.age_ms * interval '1 millisecond'
        and held.updated_at <= ${utcNow} + ${futureTolerance} as "isNew"
    from unnest(${arrays(key.length, 0)}, ${ages}::float8[]) with ordinality as given (${list(keys)}, age_ms, position)
    cross join lateral (
      select array[${texts(columns)}] as prices, known.updated_at from ${sql.ident(schema, name)} as known
      where ${matching(keys)} offset 0
    ) as held`);
}

/** A column may be text or a float: then it may hold anything, or write an exponent. */
export function parsePrices(prices: readonly (string | null)[]): Prices | undefined {
  const parsed = prices.map(parseDecimal);
  return parsed.includes(undefined) ? undefined : (parsed as unknown as Prices);
}

function identifiers(columns: readonly { readonly name: string }[]): SQLQuery[] {
  return columns.map(({ name }) => sql.ident(name));
}

function texts(columns: readonly { readonly name: string }[]): SQLQuery {
  return list(identifiers(columns).map((column) => sql`known.${column}::text`));
}

function list(parts: SQLQuery[]): SQLQuery {
  return sql.join(parts, ', ');
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

function arrays(texts: number, numerics: number): SQLQuery {
  const types = [...Array<string>(texts).fill('text[]'), ...Array<string>(numerics).fill('numeric[]')];
  return sql.__dangerous__rawValue(types.map((type, index) => `$${index + 1}::${type}`).join(', '));
}
