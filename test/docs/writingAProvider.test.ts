import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { classifyAnswer } from '../../src/providers/http/refusal.ts';
import { fencedBlocks, promisedOutput } from './extractExamples.ts';
import { typeCheck } from './typeCheck.ts';

// Does what the page says: saves each block that has a file name, in one folder, and runs them.
const folder = resolve('temp', `recipe-${String(process.pid)}`);
const page = readFileSync('docs/writing-a-provider.md', 'utf8');
const files = fencedBlocks(page).flatMap(({ flags, code }) => {
  const name = flags.find((flag) => flag.startsWith('file='))?.slice('file='.length);
  return name === undefined ? [] : [{ path: resolve(folder, name), code }];
});

mkdirSync(folder, { recursive: true });
for (const { path, code } of files) writeFileSync(path, code);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

// Step 4 is a test file: its cases run as ours.
await import(/* @vite-ignore */ resolve(folder, 'acmeQuotes.test.ts'));

describe('the recipe', () => {
  let typeErrors: ReadonlyMap<string, string[]> = new Map();

  // A hook has the time that a compiler takes.
  beforeAll(() => {
    typeErrors = typeCheck(files.map(({ path }) => path));
  });

  it('has the files it speaks of, well typed', () => {
    expect(files.map(({ path }) => path.slice(folder.length + 1))).toEqual([
      'classifyAcme.ts',
      'acmeQuotes.ts',
      'acmeContract.ts',
      'acmeQuotes.test.ts',
      'main.ts',
    ]);
    expect(typeErrors.size).toBe(files.length);
    expect([...typeErrors].filter(([, errors]) => errors.length > 0)).toEqual([]);
  });

  it('runs all cases of the contract', async () => {
    const { cases } = (await import(/* @vite-ignore */ resolve(folder, 'acmeContract.ts'))) as { cases: unknown[] };
    expect(cases.length).toBeGreaterThanOrEqual(14);
  });

  it.each([
    [200, '{"error":{"code":"slow_down","message":"60 calls a minute"}}', 'rate_limited', 60_000],
    [200, '{"error":{"code":"quota","message":"-","resetsInSeconds":86400}}', 'quota_exhausted', 86_400_000],
    [200, '{"error":{"code":"other","message":"-"}}', 'provider_rejected', undefined],
    [200, 'null', 'response_malformed', undefined],
    [200, '{"prices":[', 'response_malformed', undefined],
    [401, 'bad key: abc123', 'unauthorized', undefined],
    [503, '<html></html>', 'provider_unavailable', undefined],
    [200, '{"prices":[]}', undefined, undefined],
  ])('knows what %i %s means', async (status, body, code, retryAfterMs) => {
    const { classifyAcme } = (await import(/* @vite-ignore */ resolve(folder, 'classifyAcme.ts'))) as {
      classifyAcme: typeof classifyAnswer;
    };
    const refusal = classifyAcme(status, new Headers(), body, 0);
    expect([refusal?.code, refusal?.retryAfterMs]).toEqual([code, retryAfterMs]);
  });

  it('prints what it says', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const { code, path } = files.at(-1)!;
    await import(/* @vite-ignore */ path);
    await vi.waitUntil(() => log.mock.calls.length > 0);
    expect(log.mock.calls.map((values) => values.map((value) => inspect(value)).join(' '))).toEqual(
      promisedOutput(code).flatMap(({ lines }) => lines),
    );
  });
});
