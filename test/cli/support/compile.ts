import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { track } from '../../support/track.ts';

/** Compiles src without a look at its types, into a folder below the package's own, where its dependencies are found. */
export async function compileSource() {
  await mkdir('temp', { recursive: true });
  const folder = await mkdtemp(join('temp', 'cli-'));
  await copyFile('package.json', join(folder, 'package.json'));
  const files = await readdir('src', { recursive: true });
  await Promise.all(files.filter((file) => file.endsWith('.ts')).map((file) => compile(file, join(folder, 'dist'))));
  const main = join(process.cwd(), folder, 'dist', 'cli', 'main.js');
  return track({ main }, () => rm(folder, { recursive: true, force: true }));
}

async function compile(file: string, outFolder: string): Promise<void> {
  const { outputText } = ts.transpileModule(await readFile(join('src', file), 'utf8'), {
    fileName: file,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      rewriteRelativeImportExtensions: true,
      verbatimModuleSyntax: true,
    },
  });
  const path = join(outFolder, file.replace(/\.ts$/, '.js'));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, outputText);
}
