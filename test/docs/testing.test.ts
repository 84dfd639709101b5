// Issue 11, item 5: what docs/testing.md names is there.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { describe, expect, it } from 'vitest';

const text = await readFile('docs/testing.md', 'utf8');
const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { readonly scripts: object };
const found = (form: RegExp): string[] => [...new Set([...text.matchAll(form)].map(([, name = '']) => name))];
const tests = (await readdir('test', { recursive: true })).filter((path) => path.endsWith('.ts'));
const sources = (
  await Promise.all(tests.filter((path) => path.endsWith('.test.ts')).map((path) => readFile(`test/${path}`, 'utf8')))
).join('\n');

describe('docs/testing.md', () => {
  it.each(found(/(test\/[\w./-]*\w)/g))('names a folder or file that is there: %s', (path) => {
    expect(existsSync(path)).toBe(true);
  });

  it.each(found(/`(\w[\w.]*\.test\.ts)`/g))('names a test that is there: %s', (name) => {
    expect(tests.filter((path) => basename(path) === name).map(dirname)).not.toEqual([]);
  });

  it.each(found(/npm run ([\w:]+)/g))('names a script of the package: %s', (script) => {
    expect(Object.keys(scripts)).toContain(script);
  });

  it.each(found(/`?([A-Z][A-Z_]{3,})=/g))('names a variable that a test reads: %s', (variable) => {
    expect(sources).toContain(`process.env['${variable}']`);
  });
});
