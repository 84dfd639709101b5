import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { compileSource } from '../../cli/support/compile.ts';

export interface CompiledWorkers extends AsyncDisposable {
  /** `fintrack-pipelines`. */
  readonly main: string;
  /** See programs/smallBatches.ts. */
  readonly smallBatches: string;
}

/** The programs that workers are, from the source as it is now. */
export async function compileWorkers(): Promise<CompiledWorkers> {
  const compiled = await compileSource();
  const { main } = compiled;
  // Beside the package's own manifest, so that it finds the package by its name.
  const smallBatches = join(dirname(main), '..', '..', 'programs', 'smallBatches.js');
  const source = await readFile('test/support/workers/programs/smallBatches.ts', 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
  });
  await mkdir(dirname(smallBatches), { recursive: true });
  await writeFile(smallBatches, outputText);
  return { main, smallBatches, [Symbol.asyncDispose]: () => compiled[Symbol.asyncDispose]() };
}
