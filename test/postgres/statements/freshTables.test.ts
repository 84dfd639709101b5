import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { track } from '../../support/track.ts';
import { openFullTables } from './fullTables.ts';
import { useEverything } from './useEverything.ts';
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
/** What is read of the catalog, or of the top of an index, does not tell of a plan. */
const fewPages = 30;
const fewRows = 100;

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

describe.each([20_000, 100_000])('on tables of %i rows', (rows) => {
  it('each statement reads as little before they were analyzed as after', { timeout: 300_000 }, async () => {
    const before = await measured(rows, false);
    const after = await measured(rows, true);
    const worse = [...before].flatMap(([text, { site, buffers, rows }]) => {
      const { buffers: allowed, rows: looked } = after.get(text) ?? { buffers: 0, rows: 0 };
      const isWorse = buffers > most * allowed + fewPages || rows > most * looked + fewRows;
      return isWorse ? [`${site}: ${buffers} pages and ${rows} rows; analyzed: ${allowed} and ${looked}`] : [];
    });
    expect(worse).toEqual([]);
    expect(unmeasured([...before.values()])).toEqual([]);
  });
});

/** Each statement, by its text, with the least of its uses: the first of a session reads the catalog, too. */
async function measured(rows: number, analyzed: boolean): Promise<ReadonlyMap<string, Measured>> {
  await using database = track(await openFullTables(rows, { analyzed }));
  const least = new Map<string, Measured>();
  for (const each of await measuring(database, () => useEverything(database))) {
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
