// Issue 10, 11: what docs/operations.md says of the bounds on input is shown, row by row, under a heap of 512 MB.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { serverUrl } from '../support/postgres.ts';
import { inputBounds } from './bounds/inputBounds.ts';

const section = /^## Bounds on input\n(?<text>[\s\S]*?)^## /m;
const operations = await readFile('docs/operations.md', 'utf8');
/** Name, bound, option and what happens beyond it; of a group its name. */
const rows = (section.exec(operations)?.groups?.['text'] ?? '')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(1)
  .map((line) => line.split('|').map((cell) => cell.trim()));

const names = Object.values(inputBounds).flatMap((group) => Object.keys(group));

/** What became of each bound; undefined: nothing, the process ended before. */
let shown: ReadonlyMap<string, string | undefined>;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bounds-'));
  try {
    const outfile = join(folder, 'showAll.mjs');
    await build({
      entryPoints: [resolve('test/docs/bounds/showAll.ts')],
      outfile,
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'node20',
      supported: { using: false },
    });
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    const env = { ...process.env, BOUNDS_DATABASE_URL: serverUrl() };
    const shows = promisify(execFile)(process.execPath, ['--max-old-space-size=512', outfile], { env });
    // Where it ends too early, the bounds that it did not come to are missing.
    const { stdout } = await shows.catch((error: unknown) => error as { readonly stdout: string });
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly name: string; readonly problem?: string });
    shown = new Map(results.map(({ name, problem }) => [name, problem]));
  } finally {
    await rm(folder, { recursive: true });
  }
}, 120_000);

describe('the bounds on input in docs/operations.md', () => {
  it('are those that are shown here, no more and no fewer', () => {
    const documented = rows.map(([, name, bound]) => [name, bound]);
    const tested = Object.entries(inputBounds).flatMap(([group, bounds]) => [
      [`**${group}**`, ''],
      ...Object.entries(bounds).map(([name, { bound }]) => [name, `${bound[0].toLocaleString('en-US')} ${bound[1]}`]),
    ]);
    expect(documented).toEqual(tested);
    for (const [, , bound, , beyond] of rows) expect(bound === '' || /\w{3,}/.test(beyond ?? '')).toBe(true);
  });

  it.each(names)('hold, and what lies beyond does no harm: %s', (name) => {
    expect(shown.has(name)).toBe(true);
    expect(shown.get(name)).toBeUndefined();
  });
});
