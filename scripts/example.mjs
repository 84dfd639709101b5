/** Runs one of the examples against the built package: `npm run example 01`. Node 20 reads no TypeScript by itself. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import ts from 'typescript';

const names = (await readdir('examples')).filter((name) => name.endsWith('.ts'));
const wanted = process.argv[2];
const name = names.find((candidate) => wanted !== undefined && candidate.startsWith(wanted));

if (name === undefined) {
  console.error(
    `example: ${wanted === undefined ? 'say which' : `there is no ${wanted}`}, one of: ${names.join(', ')}`,
  );
  process.exitCode = 1;
} else {
  const { outputText } = ts.transpileModule(await readFile(`examples/${name}`, 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  // Inside the project, so that the package is found by its own name.
  const file = resolve('temp', name.replace(/\.ts$/, '.mjs'));
  await mkdir('temp', { recursive: true });
  await writeFile(file, outputText);
  try {
    await import(file);
  } finally {
    await rm(file);
  }
}
