import createConnectionPool, { sql } from '@databases/pg';
import type { Queryable, SQLQuery } from '@databases/pg';
import { vi } from 'vitest';
import type * as statements from '../../../src/postgres/ledger/statement.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';

/** What PostgreSQL did for one statement. */
export interface Measured {
  /** Where our source makes the statement, as `file:line` below src/postgres. */
  readonly site: string;
  /** Without what differs from database to database. */
  readonly text: string;
  /** Pages, found in memory or read. */
  readonly buffers: number;
  /** Rows of tables and arrays that were looked at, again for each comparison in a nested loop; those inside functions are not seen. */
  readonly rows: number;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Join Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

interface Prepared {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Where statements of a text are made; several, where one line makes several. */
const sites = new Map<string, string>();
const undone = new Error('undone');
/** The first time in a session, and whenever others have changed the catalog, that is read, too, also by the functions called. */
const times = 3;
let measured: Measured[] | undefined;

/** In the place of the module that all statements go through: each is explained, and undone, before it runs. */
export function watching(real: typeof statements): typeof statements {
  const runStatement: typeof statements.runStatement = async (queryable, statement, values) => {
    await measure(queryable, { text: statement.text, values }, sites.get(statement.text) ?? 'unknown');
    return real.runStatement(queryable, statement, values);
  };
  return {
    ...real,
    runStatement,
    runForRow: async <Row>(...given: Parameters<typeof real.runForRow>): Promise<Row> => {
      const [row] = await runStatement<Row>(...given);
      return row!;
    },
    statementOf: (query) => {
      const statement = real.statementOf(query);
      sites.set(statement.text, callerOf());
      return statement;
    },
  };
}

/** Runs `use`, and answers what each statement did that came from our source meanwhile. */
export async function measuring({ pool }: Database, use: () => Promise<void>): Promise<readonly Measured[]> {
  const run = pool.query.bind(pool) as (query: unknown) => Promise<unknown>;
  const spy = vi.spyOn(pool, 'query').mockImplementation((async (query: SQLQuery | readonly SQLQuery[]) => {
    // Arrays are those of `runStatement`.
    if ('format' in query) {
      const site = callerOf();
      await measure(pool, query.format(createConnectionPool.pgFormat), site);
    }
    return run(query);
  }) as never);
  measured = [];
  try {
    await use();
    return measured;
  } finally {
    measured = undefined;
    spy.mockRestore();
  }
}

async function measure(queryable: Queryable, { text, values }: Prepared, site: string): Promise<void> {
  const list = measured;
  if (list === undefined || !/^\s*(?:with|select|insert|update|delete)\b/i.test(text)) return;
  const explained = Object.assign(sql``, {
    format: () => ({ text: `explain (analyze, buffers, format json) ${text}`, values }),
  });
  const explain = async (nested: Queryable): Promise<void> => {
    const [[row]] = (await nested.query([explained])) as [[{ 'QUERY PLAN': [{ Plan: PlanNode }] }]];
    const plan = row['QUERY PLAN'][0].Plan;
    list.push({
      site,
      text: text.replace(/tgrelid = \d+/, 'tgrelid = oid'),
      buffers: buffersOf(plan),
      rows: rowsOf(plan),
    });
    throw undone;
  };
  await queryable.tx(async (session) => {
    for (let time = 0; time < times; time += 1) {
      await session.tx(explain).catch((error: unknown) => {
        // What the statement refuses, it refuses again when it really runs.
        if (error !== undone && (error as { code?: string }).code === undefined) throw error;
      });
    }
  });
}

/** What a statement changes at its end is not among the pages of its uppermost node. */
function buffersOf({ 'Shared Hit Blocks': hit, 'Shared Read Blocks': read, Plans: below = [] }: PlanNode): number {
  return Math.max(
    hit + read,
    below.reduce((sum, each) => sum + buffersOf(each), 0),
  );
}

function rowsOf(node: PlanNode): number {
  const { 'Node Type': type, 'Actual Loops': loops, 'Actual Rows': kept, Plans: below = [] } = node;
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Join Filter'] ?? 0);
  // The rows of a bitmap are looked at by the node above it.
  const looked = type === 'Bitmap Heap Scan' || (below.length === 0 && type !== 'Bitmap Index Scan') ? kept : 0;
  return below.reduce((sum, each) => sum + rowsOf(each), loops * (looked + removed));
}

/** The line of src/postgres that has called. */
function callerOf(): string {
  const [, site = 'unknown'] = /src\/postgres\/(\S+?:\d+):\d+/.exec(new Error().stack ?? '') ?? [];
  return site;
}
