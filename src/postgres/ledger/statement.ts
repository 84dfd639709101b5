import { createHash } from 'node:crypto';
import createConnectionPool, { sql } from '@databases/pg';
import type { Queryable, SQLQuery } from '@databases/pg';

const { pgFormat } = createConnectionPool;

/** A statement whose text never changes; its values are `$1`, `$2` and so on. */
export interface Statement {
  /** Under this name each connection prepares it once: planning costs as much as writing a hundred rows. */
  readonly name: string;
  readonly text: string;
}

/** The statement of a query without values. The name comes from the text, so that no two texts share one. */
export function statementOf(query: SQLQuery): Statement {
  const { text } = query.format(pgFormat);
  return { name: `fintrack_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`, text };
}

/** Runs a statement and answers its rows. `Row` is what the statement selects: nothing checks it. */
export async function runStatement<Row>(
  queryable: Queryable,
  { name, text }: Statement,
  values: readonly unknown[],
): Promise<Row[]> {
  // @databases/pg 6.1 has no word for prepared statements, but hands what `format` returns to the driver as it is
  // (Driver.js, _executeQuery), and the driver prepares what has a name. An array of queries is not searched for `;`.
  const query: SQLQuery = Object.assign(sql``, { format: () => ({ name, text, values }) });
  const [rows = []] = (await queryable.query([query])) as Row[][];
  return rows;
}

/** The first row of a statement that always answers one. */
export async function runForRow<Row>(
  queryable: Queryable,
  statement: Statement,
  values: readonly unknown[],
): Promise<Row> {
  const [row] = await runStatement<Row>(queryable, statement, values);
  if (row === undefined) throw new TypeError(`expected a row from: ${statement.text.slice(0, 100)}`);
  return row;
}

const needsEscape = /["\\]/;

/** A `text[]` parameter. Quoted throughout, because an unquoted NULL is none. */
export function textArray(values: readonly string[]): string {
  return `{${values.map((value) => `"${needsEscape.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`).join(',')}}`;
}

/** An array parameter of numbers, dates or booleans, already checked to need no quotes. */
export function plainArray(values: readonly (string | number | boolean)[]): string {
  return `{${values.join(',')}}`;
}
