import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { track } from './track.ts';

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

/** Runs the fixture of that name as a suite of its own. */
async function runFixture(
  name: string,
): Promise<{ exitCode: number; statuses: Record<string, string>; output: string }> {
  await using folder = track({ path: await mkdtemp(join(tmpdir(), 'guard-')) }, ({ path }) =>
    rm(path, { recursive: true }),
  );
  const report = join(folder.path, 'report.json');
  const { TEST_REPORT: _, ...environment } = process.env;
  const vitest = spawn(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/support/fixtures/guard/vitest.config.ts', name],
    { env: { ...environment, TEST_REPORT: report }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  vitest.stdout.on('data', (chunk) => (output += String(chunk)));
  vitest.stderr.on('data', (chunk) => (output += String(chunk)));
  const [exitCode] = (await once(vitest, 'close')) as [number];
  const { testResults } = JSON.parse(await readFile(report, 'utf8')) as Report;
  const results = testResults.flatMap((file) => file.assertionResults);
  return { exitCode, output, statuses: Object.fromEntries(results.map(({ title, status }) => [title, status])) };
}

it('fails a test that leaves something open, and no other', async () => {
  const { exitCode, statuses } = await runFixture('leaks');
  expect(exitCode).toBe(1);
  expect(statuses).toEqual({
    'closes what it opens': 'passed',
    'leaves a resource open': 'failed',
    'is not blamed for the leak before': 'passed',
  });
});

it('fails a run with an unhandled rejection', async () => {
  const { exitCode, output } = await runFixture('rejections');
  expect(exitCode).toBe(1);
  expect(output).toContain('nobody listens');
});
