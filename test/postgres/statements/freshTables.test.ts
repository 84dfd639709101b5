import { readdirSync, readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { track } from '../../support/track.ts';
import { openFullTables } from './fullTables.ts';
import type { FullTables } from './fullTables.ts';
import { useEverything, usePrices } from './useEverything.ts';
import { measuring } from './watchStatements.ts';
import type { Measured } from './watchStatements.ts';

vi.mock('../../../src/postgres/ledger/statement.ts', async (load) => {
  const { watching } = await import('./watchStatements.ts');
  return watching(await load());
});

// issue 10, item 22: on a table of 20,000 rows that was never analyzed, a batch compared each row with each of its hundred
// keys. That reads few pages, so the rows looked at count as well; tables of 100,000 rows get another plan.

/** How much more it may be without statistics. */
const most = 1.2;
/** A page of an index that splits or not, by what was written before; the catalog is read before it counts. */
const fewPages = 5;

/** How much more on a table five times as large: an index gets one level higher, or is used only then. */
const mostGrowth = 3;
/** What looks after all requests, now and then, and for rows without a key in a whole table (before PostgreSQL 17, once a reading). */
const ofNoBatch = ['ledger/removeExpired.ts', 'ledger/requestStates.ts', 'fromTable.ts'];

/** Where no statement on price tables, ledger or quota is made: the catalog, migrations, sessions and the probe's own row. */
const others = [
  'checkTables.ts',
  'createReferenceTables.ts',
  'inTransaction.ts',
  'migrate.ts',
  'probe.ts',
  'ledger/statement.ts',
  'pool/transactionPooling.ts',
  'pool/writableHost.ts',
  'sinks/BatchTrials.ts',
  'sinks/batchWriter.ts',
  'sinks/writeUnits.ts',
];

const timeout = 600_000;

it.each([20_000, 100_000])(
  'each statement reads as little before tables of %i rows were analyzed as after',
  { timeout },
  async (rows) => {
    const before = await measured({ shape: 'S1', rows, analyzed: false });
    expect(worse(before, await measured({ shape: 'S1', rows, analyzed: true }), most)).toEqual([]);
    expect(unmeasured([...before.values()])).toEqual([]);
  },
);

it('so do those on price tables that the backend has altered', { timeout }, async () => {
  const altered = { shape: 'S2', rows: 100_000 } as const;
  const before = await measured({ ...altered, analyzed: false });
  expect(worse(before, await measured({ ...altered, analyzed: true }), most)).toEqual([]);
});

it('each statement of a batch reads as little on a large table as on a small one', { timeout }, async () => {
  const small = await measured({ shape: 'S1', rows: 20_000, analyzed: false });
  const large = await measured({ shape: 'S1', rows: 100_000, analyzed: false });
  const ofBatches = [...large].filter(([, { site }]) => !ofNoBatch.some((file) => site.startsWith(file)));
  expect(worse(new Map(ofBatches), small, mostGrowth)).toEqual([]);
});

type Statements = ReadonlyMap<string, Measured>;

function worse(statements: Statements, allowed: Statements, factor: number): string[] {
  return [...statements].flatMap(([text, { site, buffers, rows }]) => {
    const { buffers: pages, rows: looked } = allowed.get(text) ?? { buffers: 0, rows: 0 };
    const isWorse = buffers > factor * pages + fewPages || rows > factor * looked;
    return isWorse ? [`${site}: ${buffers} pages and ${rows} rows, in place of ${pages} and ${looked}`] : [];
  });
}

const known = new Map<string, Promise<Statements>>();

function measured(tables: FullTables): Promise<Statements> {
  const key = JSON.stringify(tables);
  const found = known.get(key) ?? measure(tables);
  known.set(key, found);
  return found;
}

/** Each statement, by its text, with the least of its uses. */
async function measure(tables: FullTables): Promise<Statements> {
  await using database = track(await openFullTables(tables));
  const use = tables.shape === 'S1' ? useEverything : usePrices;
  const least = new Map<string, Measured>();
  for (const each of await measuring(database, () => use(database))) {
    const known = least.get(each.text) ?? each;
    const [buffers, rows] = [Math.min(known.buffers, each.buffers), Math.min(known.rows, each.rows)];
    least.set(each.text, { ...each, buffers, rows });
  }
  return least;
}

/** The lines of our source that make statements which `useEverything` does not run. */
function unmeasured(statements: readonly Measured[]): string[] {
  const files = readdirSync('src/postgres', { recursive: true, encoding: 'utf8' });
  return files.flatMap((file) => {
    if (!file.endsWith('.ts') || others.includes(file)) return [];
    const lines = readFileSync(`src/postgres/${file}`, 'utf8').split('\n');
    return lines.flatMap((line, at) => {
      if (/^\s*(?:\*|\/\/|import|export function)/.test(line)) return [];
      const made = line.match(/\bstatementOf\(|\.query\(/g)?.length ?? 0;
      const site = `${file}:${at + 1}`;
      const ran = statements.filter((each) => each.site === site).length;
      return made > ran ? [site] : [];
    });
  });
}
