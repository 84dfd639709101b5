import { isSqlQuery, sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import type { Observable } from 'rxjs';
import { z } from 'zod';
import { fromPages } from '../flow/fromPages.ts';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { OptionsError, SinkError } from '../model/errors.ts';
import type { Asset, AssetType } from '../model/records.ts';
import type { Database } from './connectDatabase.ts';
import { databaseSchema } from './databaseSchema.ts';
import { identifierName } from './identifierName.ts';
import { withRetry } from './inTransaction.ts';

/** A row as the driver reads it: see `connectDatabase` for the types. */
export type TableRow = Readonly<Record<string, unknown>>;

export interface FromTableOptions {
  database: Database;
  /** The table or view to read; give either this or `query`. Default: none. */
  table?: string | undefined;
  /** Where `table` is. Default: the schema of the price tables, `database.schema`. */
  schema?: string | undefined;
  /** A statement to read instead of a table, made with `sql`; no `order by` is needed. Default: none. */
  query?: SQLQuery | undefined;
  /** How many rows are read, and held, at a time. Default: 1000. */
  pageSize?: number | undefined;
}

export interface FromTableItemOptions<Item> extends FromTableOptions {
  /** The columns that tell the rows apart: the order they come in, and one row is read for each key. */
  key: readonly string[];
  /** Makes an item of a row. */
  toItem: (row: TableRow) => Item;
}

interface AllOptions extends FromTableOptions {
  key?: readonly string[] | undefined;
  toItem?: ((row: TableRow) => unknown) | undefined;
}

const resolveOptions = defineOptions<AllOptions>('fromTable')({
  database: databaseSchema,
  table: identifierName.optional(),
  schema: identifierName.optional(),
  query: z
    .custom<SQLQuery>(isSqlQuery, { error: 'expected a statement made with sql of fintrack-pipelines/postgres' })
    .optional(),
  pageSize: z.int().min(1).max(100_000).default(1000),
  key: z.array(identifierName).min(1).default(['symbol', 'asset_type']),
  toItem: callback<(row: TableRow) => unknown>().default(() => toAsset),
});

type Resolved = ReturnType<typeof resolveOptions>;

/**
 * Reads a table, or what a query finds, as a stream, page by page in the order of its key.
 *
 * Without `key` and `toItem`, the columns `symbol` and `asset_type` make `Asset`s, each pair once. A value that no provider
 * knows passes: it fails downstream as the one item it is. An empty key fails the stream before its first item, since such
 * rows have no place in the order.
 *
 * Pages are separate statements (`where key > the last one`): memory holds one page, no connection or snapshot is kept
 * between two of them, and rows that are added behind the place where the stream is are not seen. An index on the key makes
 * each page cheap. The first page is read on subscribing, each further one when the pipeline has room. One statement before it
 * looks for rows without a key, and the one after the last page finds nothing: that is how the end is known.
 *
 * On error, a `SinkError`, after retries where they may help; an error of `toItem` as it is. On unsubscribe, nothing more is
 * read.
 *
 * @example
 * ```ts
 * import { connectDatabase, fromTable, sql } from 'fintrack-pipelines/postgres';
 * import { lastValueFrom, toArray } from 'rxjs';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const query = sql`select * from (values ('MSFT', 'STOCK'), ('BTC', 'CRYPTO')) as watchlist (symbol, asset_type)`;
 *
 * console.log(await lastValueFrom(fromTable({ database, query }).pipe(toArray())));
 * // [
 * //   { symbol: 'BTC', assetType: 'CRYPTO' },
 * //   { symbol: 'MSFT', assetType: 'STOCK' }
 * // ]
 * ```
 */
export function fromTable<Item>(options: FromTableItemOptions<Item>): Observable<Item>;
export function fromTable(options: FromTableOptions): Observable<Asset>;
export function fromTable(options: AllOptions): Observable<unknown> {
  const resolved = resolveOptions(options);
  const relation = relationOf(resolved);
  return fromPages((signal) => readPages(resolved, relation, signal));
}

/** What follows `from`, and how messages call it. */
interface Relation {
  readonly source: SQLQuery;
  readonly name: string;
}

function relationOf({ database, table, schema, query }: Resolved): Relation {
  if (table !== undefined && query === undefined) {
    return { source: sql.ident(schema ?? database.schema, table), name: `table "${table}"` };
  }
  if (query !== undefined && table === undefined && schema === undefined) {
    return { source: sql`(${query}) as query`, name: 'the query' };
  }
  throw new OptionsError('fromTable: expected either table, with or without schema, or query');
}

async function* readPages(options: Resolved, relation: Relation, signal: AbortSignal): AsyncGenerator<unknown[]> {
  const { key, toItem } = options;
  await refuseEmptyKeys(options, relation, signal);
  let last: readonly unknown[] | undefined;
  for (;;) {
    const rows = await readPage(options, relation, last, signal);
    if (rows.length > 0) yield rows.map((row) => toItem(row));
    const end = rows.at(-1);
    if (end === undefined) return;
    last = key.map((column) => end[column]);
  }
}

function readPage(
  { database, key, pageSize }: Resolved,
  { source }: Relation,
  last: readonly unknown[] | undefined,
  signal: AbortSignal,
): Promise<readonly TableRow[]> {
  const columns = list(key.map((column) => sql.ident(column)));
  const after = last === undefined ? sql`` : sql`where (${columns}) > (${list(last.map((value) => sql`${value}`))})`;
  // A page may end between two rows of the same key: one row a key makes the result independent of where. The limit comes
  // first: on a table that was never analyzed the planner expects few keys, and would sort all of it for each page.
  const statement = sql`
    select distinct on (${columns}) * from (select * from ${source} ${after} order by ${columns} limit ${pageSize}) as page
    order by ${columns}`;
  return withRetry(database, () => database.pool.query(statement) as Promise<readonly TableRow[]>, { signal });
}

async function refuseEmptyKeys(
  { database, key }: Resolved,
  { source, name }: Relation,
  signal: AbortSignal,
): Promise<void> {
  const empty = sql.join(
    key.map((column) => sql`${sql.ident(column)} is null`),
    ' OR ',
  );
  const statement = sql`select 1 from ${source} where ${empty} limit 1`;
  const rows = await withRetry(database, () => database.pool.query(statement) as Promise<readonly unknown[]>, {
    signal,
  });
  if (rows.length === 0) return;
  throw new SinkError(
    'value_invalid',
    `fromTable: ${name} has rows without ${key.join(' or ')}: fill them in, or leave them out with a query`,
  );
}

function list(parts: SQLQuery[]): SQLQuery {
  return sql.join(parts, ', ');
}

/** Whether the type is one we know is asked downstream, where one wrong value fails one item. */
function toAsset(row: TableRow): Asset {
  return { symbol: String(row['symbol']), assetType: String(row['asset_type']) as AssetType };
}
