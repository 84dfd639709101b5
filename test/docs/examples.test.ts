import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { formatWithOptions } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { track } from '../support/track.ts';
import { expectedOutput, extractExamples } from './extractExamples.ts';
import { typeCheck } from './typeCheck.ts';

// Inside the project, so that TypeScript and Vite find its packages; a folder per process, removed at the end.
const folder = resolve('temp', `examples-${String(process.pid)}`);

const examples = extractExamples().map((example, index) => ({
  ...example,
  name: `${example.path}:${String(example.line)}`,
  file: resolve(folder, `example${String(index)}.ts`),
}));

describe('the examples in the documentation', () => {
  let typeErrors: ReadonlyMap<string, string[]> = new Map();

  beforeAll(() => {
    mkdirSync(folder, { recursive: true });
    for (const { file, code } of examples) writeFileSync(file, code);
    typeErrors = typeCheck(examples.map(({ file }) => file));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('are there', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  for (const { name, file, line, code, output, runs } of examples) {
    it(`${name} ${runs ? 'prints what it says' : 'is well typed'}`, async () => {
      const errors = (typeErrors.get(file) ?? []).map((error) => inDocument(error, line));
      expect(errors, `type errors of ${name}, by line`).toEqual([]);
      if (!runs) return;
      await using _database = code.includes('DATABASE_URL') ? await offerDatabase() : undefined;
      const certainLines = output.flatMap(({ lines, certain }) => (certain ? lines : []));
      const printed = await runExample(file, certainLines.length);
      expect(printed, `output of ${name}`).toEqual(expectedOutput(output, printed));
    });
  }
});

/** The lines an example prints until it has come to its end. */
async function runExample(file: string, expectedLines: number): Promise<string[]> {
  const lines: string[] = [];
  for (const method of ['log', 'info', 'warn', 'error'] as const) {
    vi.spyOn(console, method).mockImplementation((...values: unknown[]) => {
      lines.push(...formatWithOptions({ colors: false }, ...values).split('\n'));
    });
  }
  const handlesBefore = countHandles();
  await import(/* @vite-ignore */ file);
  await until(() => lines.length >= expectedLines);
  await setImmediate();
  await until(() => countHandles() <= handlesBefore);
  expect(countHandles(), 'timers, sockets and servers left behind').toBeLessThanOrEqual(handlesBefore);
  return lines;
}

/** What keeps a process alive. */
function countHandles(): number {
  const kinds = new Set(['Timeout', 'Immediate', 'TCPSocketWrap', 'TCPServerWrap', 'FSReqCallback', 'ProcessWrap']);
  return process.getActiveResourcesInfo().filter((kind) => kinds.has(kind)).length;
}

/** Waits for it, but not for ever: what did not come is told by the assertion that follows. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 5_000;
  while (!condition() && performance.now() < deadlineMs) await setTimeout(5);
}

/** A migrated database with the reference tables, as DATABASE_URL. */
async function offerDatabase(): Promise<AsyncDisposable> {
  const { openTestDatabase } = await import('../support/postgres.ts');
  const database = track(await openTestDatabase({ ownDatabase: true, shape: 'S1', migrated: true }));
  vi.stubEnv('DATABASE_URL', database.url);
  return database;
}

/** A compiler's line as the line of the document. */
function inDocument(error: string, line: number): string {
  const [, within = '1', message = ''] = /^(\d+): ([\s\S]*)$/.exec(error) ?? [];
  return `${String(Number(within) + line - 1)}: ${message}`;
}
