// Issue 10, item 18: what the documentation imports is found in a strict layout, such as pnpm's, where a package finds only
// what its own package.json names. A dependency of ours is none of the user's.
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { extractExamples, fencedBlocks, markdownFiles } from './extractExamples.ts';

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
const entries = Object.keys(manifest.exports).map((entry) => entry.replace('.', manifest.name));
/** An optional one is told by the page that needs it. */
const peers = Object.keys(manifest.peerDependencies).filter((name) => !manifest.peerDependenciesMeta[name]?.optional);

/** The programs of several files, which `extractExamples` leaves out, are among the blocks. */
const blocks = markdownFiles().flatMap((path) =>
  fencedBlocks(readFileSync(path, 'utf8'))
    .filter(({ language }) => language === 'ts')
    .map(({ line, code }) => ({ path, line, code })),
);

it('the examples import only from our entries, or from what they tell the user to install', () => {
  const examples = [...extractExamples().filter(({ path }) => path.endsWith('.ts')), ...blocks];
  const foreign = examples.flatMap(({ path, line, code }) => {
    const told = installed(readFileSync(path, 'utf8'));
    return importsOf(code)
      .filter((name) => !/^(node:|\.)/.test(name) && ![...entries, ...peers, ...told].includes(name))
      .map((name) => `${path}:${String(line)}: ${name}`);
  });
  expect(examples.flatMap(({ code }) => importsOf(code))).toContain('fintrack-pipelines/postgres');
  expect(foreign).toEqual([]);
});

it('the README tells to install each peer that is not optional', () => {
  expect(installed(readFileSync('README.md', 'utf8'))).toEqual(expect.arrayContaining([manifest.name, ...peers]));
});

/** The packages after each `npm install` of a text. */
function installed(text: string): string[] {
  const lines = [...text.matchAll(/npm install((?: [\w@/.-]+)+)/g)];
  return lines.flatMap(([, names = '']) => names.trim().split(' '));
}

function importsOf(code: string): string[] {
  return ts.preProcessFile(code, true, true).importedFiles.map(({ fileName }) => fileName);
}
