import { existsSync, readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';

/** A block of code in the documentation. */
export interface Example {
  readonly path: string;
  /** The line its code begins on, from 1. */
  readonly line: number;
  readonly code: string;
  /** The console output it promises. */
  readonly output: readonly OutputGroup[];
  /** It promises output, and its fence does not say `no-run`. */
  readonly runs: boolean;
}

/** Comment lines that stand together. */
export interface OutputGroup {
  readonly lines: readonly string[];
  /** Whether they are output, or may be a remark. */
  readonly certain: boolean;
}

/** A fenced block as it stands in a text. */
export interface Block {
  readonly line: number;
  readonly language: string;
  readonly flags: readonly string[];
  readonly code: string;
}

/** Every TypeScript example in the doc comments of src, the README and the documents, and every file of `examples`. */
export function extractExamples(): Example[] {
  const sources = filesOf('src', '.ts').flatMap((path) => examplesOf(path, docBlocks(readFileSync(path, 'utf8'))));
  const documents = markdownFiles().flatMap((path) => examplesOf(path, fencedBlocks(readFileSync(path, 'utf8'))));
  const programs = filesOf('examples', '.ts').flatMap((path) =>
    examplesOf(path, [{ line: 1, language: 'ts', flags: [], code: readFileSync(path, 'utf8') }]),
  );
  return [...sources, ...documents, ...programs];
}

/** The documents of the project whose code is tested. */
export function markdownFiles(): string[] {
  return [
    ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].filter((path) => existsSync(path)),
    ...filesOf('docs', '.md'),
  ];
}

/** The fenced blocks of a Markdown text. */
export function fencedBlocks(text: string): Block[] {
  return blocksIn(text.split('\n'));
}

/** The fenced blocks of the `@example` tags of a source text. */
export function docBlocks(text: string): Block[] {
  let inComment = false;
  let inExample = false;
  const lines = text.split('\n').map((line) => {
    if (/^\s*\/\*\*/.test(line)) inComment = true;
    if (!inComment) return '';
    if (line.includes('*/')) {
      inComment = false;
      inExample = false;
      return '';
    }
    const content = line.replace(/^\s*\* ?/, '');
    const tag = /^@(\w+)/.exec(content);
    if (tag) inExample = tag[1] === 'example';
    return inExample ? content : '';
  });
  return blocksIn(lines);
}

/**
 * What the code says it prints: the comment lines right below a statement, or beside it.
 *
 * Below a statement that prints they are output for certain. Below another, they are output when that statement makes an
 * earlier one print (`subject.next(1)`), and otherwise a remark.
 */
export function promisedOutput(code: string): OutputGroup[] {
  const file = ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true);
  const lines = code.split('\n');
  const groups = new Map<number, OutputGroup>();
  const visit = (node: ts.Node): void => {
    if (ts.isStatement(node) && !ts.isBlock(node)) {
      const end = file.getLineAndCharacterOfPosition(node.end).line;
      const certain = prints(node);
      const beside = /^[ \t]*\/\/ (.*)/.exec(code.slice(node.end))?.[1];
      if (beside !== undefined && certain) groups.set(end, { lines: [beside], certain });
      const below = commentLines(lines.slice(end + 1));
      if (below.length > 0)
        groups.set(end + 1, { lines: below, certain: certain || groups.get(end + 1)?.certain === true });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** The output the groups stand for, given what was printed: remarks are left out, and what is certain never. */
export function expectedOutput(groups: readonly OutputGroup[], printed: readonly string[]): string[] {
  const expected: string[] = [];
  for (const { lines, certain } of groups) {
    const isNext = lines.every((line, index) => printed[expected.length + index] === line);
    if (certain || isNext) expected.push(...lines);
  }
  return expected;
}

function commentLines(lines: readonly string[]): string[] {
  const end = lines.findIndex((line) => !/^\s*\/\//.test(line));
  return lines.slice(0, end === -1 ? undefined : end).map((line) => line.replace(/^\s*\/\/ ?/, ''));
}

function prints(node: ts.Node): boolean {
  return isConsoleMethod(node) || ts.forEachChild(node, prints) === true;
}

function isConsoleMethod(node: ts.Node): boolean {
  if (!ts.isPropertyAccessExpression(node)) return false;
  return ts.isIdentifier(node.expression) && node.expression.text === 'console';
}

function examplesOf(path: string, blocks: readonly Block[]): Example[] {
  return (
    blocks
      .filter(({ language }) => language === 'ts' || language === 'typescript')
      // Files of one program: they are tested together.
      .filter(({ flags }) => !flags.some((flag) => flag.startsWith('file=')))
      .map(({ line, flags, code }) => {
        const output = promisedOutput(code);
        return { path, line, code, output, runs: output.some(({ certain }) => certain) && !flags.includes('no-run') };
      })
  );
}

function blocksIn(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  let open: { line: number; indent: string; info: string; code: string[] } | undefined;
  for (const [index, line] of lines.entries()) {
    const fence = /^(\s*)```(.*)$/.exec(line);
    if (open && fence && fence[2]?.trim() === '') {
      const [language = '', ...flags] = open.info.split(/\s+/);
      blocks.push({ line: open.line, language, flags, code: `${open.code.join('\n')}\n` });
      open = undefined;
    } else if (open) {
      open.code.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    } else if (fence) {
      open = { line: index + 2, indent: fence[1] ?? '', info: (fence[2] ?? '').trim(), code: [] };
    }
  }
  return blocks;
}

function filesOf(folder: string, extension: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(extension))
    .map((file) => `${folder}/${file}`)
    .sort();
}
