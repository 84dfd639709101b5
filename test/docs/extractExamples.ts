import { existsSync, readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';

/** A block of code in the documentation. */
export interface Example {
  readonly path: string;
  /** The line its code begins on, from 1. */
  readonly line: number;
  readonly code: string;
  /** The console output it promises, line by line; empty when it promises none. */
  readonly output: readonly string[];
  /** Not run: its fence says `no-run`, or it promises no output. */
  readonly runs: boolean;
}

/** A fenced block as it stands in a text. */
export interface Block {
  readonly line: number;
  readonly language: string;
  readonly flags: readonly string[];
  readonly code: string;
}

/** Every TypeScript example in the doc comments of src, the README and the documents. */
export function extractExamples(): Example[] {
  const sources = filesOf('src', '.ts').flatMap((path) => examplesOf(path, docBlocks(readFileSync(path, 'utf8'))));
  const documents = markdownFiles().flatMap((path) => examplesOf(path, fencedBlocks(readFileSync(path, 'utf8'))));
  return [...sources, ...documents];
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

/** What the code says it prints: the comment lines right below a statement that prints, and a comment beside it. */
export function promisedOutput(code: string): string[] {
  const file = ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true);
  const lines = code.split('\n');
  const promised = new Map<number, string>();
  const lineOf = (position: number): number => file.getLineAndCharacterOfPosition(position).line;
  const visit = (node: ts.Node): void => {
    if (isConsoleMethod(node)) {
      for (const { end } of statementsAround(node)) {
        const beside = /^[ \t]*\/\/ (.*)/.exec(code.slice(end));
        if (beside) promised.set(lineOf(end), beside[1] ?? '');
        for (let next = lineOf(end) + 1; /^\s*\/\//.test(lines[next] ?? ''); next += 1) {
          promised.set(next, (lines[next] ?? '').replace(/^\s*\/\/ ?/, ''));
        }
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return [...promised].sort(([a], [b]) => a - b).map(([, text]) => text);
}

function isConsoleMethod(node: ts.Node): boolean {
  if (!ts.isPropertyAccessExpression(node)) return false;
  return ts.isIdentifier(node.expression) && node.expression.text === 'console';
}

function statementsAround(node: ts.Node): ts.Node[] {
  const around: ts.Node[] = [];
  for (let current = node; !ts.isSourceFile(current); current = current.parent) {
    if (ts.isStatement(current) && !ts.isBlock(current)) around.push(current);
  }
  return around;
}

function examplesOf(path: string, blocks: readonly Block[]): Example[] {
  return blocks
    .filter(({ language }) => language === 'ts' || language === 'typescript')
    .map(({ line, flags, code }) => {
      const output = promisedOutput(code);
      return { path, line, code, output, runs: output.length > 0 && !flags.includes('no-run') };
    });
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
