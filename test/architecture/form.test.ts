import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const sources = filesOf('src');
const examples = filesOf('examples');

describe('the form of src', () => {
  it('holds at most 400 lines a file', () => {
    const long = [...sources, ...examples].filter(({ text }) => text.trimEnd().split('\n').length > 400);
    expect(sources.length).toBeGreaterThan(0);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('holds at most 40 lines a pipeline', () => {
    // A pipeline hands its stages to answerDeliveries; what else is in the folder serves them.
    const pipelines = sources.filter(
      ({ path, text }) => path.startsWith('src/pipelines/') && text.includes('return answerDeliveries('),
    );
    const long = pipelines.filter(({ text }) => text.trimEnd().split('\n').length > 40);
    expect(pipelines).toHaveLength(3);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('names a public file after what it exports', () => {
    const entries = sources.filter(({ path }) => path.endsWith('/index.ts'));
    const exporting = new Set(entries.flatMap(reexportedFiles));
    const misnamed = sources
      .filter(({ path }) => exporting.has(path) && /^src\/[^/]+\/[^/]+\.ts$/.test(path))
      // Words that belong together stand together: the model, and errors.
      .filter(({ path }) => !path.startsWith('src/model/') && !/\/(errors|index)\.ts$/.test(path))
      .map(({ path, text }) => ({ path, exported: exportedNames(text) }))
      .filter(
        ({ path, exported }) => !exported.some((name) => uncapitalized(name) === uncapitalized(basename(path, '.ts'))),
      );
    expect(exporting.size).toBeGreaterThan(0);
    expect(misnamed).toEqual([]);
  });

  it('has named exports only', () => {
    expect(sources.filter(({ text }) => exportedNames(text).includes('default')).map(({ path }) => path)).toEqual([]);
  });
});

interface SourceText {
  readonly path: string;
  readonly text: string;
}

function filesOf(folder: string): SourceText[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`)
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

/** The files whose exports a file passes on. */
function reexportedFiles({ path, text }: SourceText): string[] {
  const { statements } = ts.createSourceFile('code.ts', text, ts.ScriptTarget.Latest);
  return statements.flatMap((statement) =>
    ts.isExportDeclaration(statement) && statement.moduleSpecifier && ts.isStringLiteral(statement.moduleSpecifier)
      ? [join(dirname(path), statement.moduleSpecifier.text)]
      : [],
  );
}

function uncapitalized(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** The names a file exports by declaring them; `default` for a default export. */
function exportedNames(text: string): string[] {
  const { statements } = ts.createSourceFile('code.ts', text, ts.ScriptTarget.Latest);
  return statements.flatMap((statement) => {
    if (ts.isExportAssignment(statement)) return ['default'];
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    const kinds = modifiers.map(({ kind }) => kind);
    if (kinds.includes(ts.SyntaxKind.DefaultKeyword)) return ['default'];
    if (!kinds.includes(ts.SyntaxKind.ExportKeyword)) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
    }
    const named = statement as ts.FunctionDeclaration | ts.ClassDeclaration | ts.InterfaceDeclaration;
    return named.name === undefined ? [] : [named.name.text];
  });
}
