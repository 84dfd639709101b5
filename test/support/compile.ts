import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

/** JavaScript of a module and all it imports of ours, for a process of its own. */
export interface Compiled extends AsyncDisposable {
  /** The folder that stands for `src`. */
  readonly folder: string;
}

/** Compiles `src/<entry>` and what it imports into a temporary folder where all installed packages can be imported. */
export async function compile(entry: string): Promise<Compiled> {
  const compiled = await makeFolder();
  const { config } = ts.readConfigFile('tsconfig.build.json', (path) => ts.sys.readFile(path)) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
  const quick = { declaration: false, declarationMap: false, sourceMap: false, noCheck: true };
  // Everything below rootDir: a file outside of it would be written beside its source.
  const outDir = compiled.folder;
  ts.createProgram([resolve('src', entry)], { ...options, ...quick, rootDir: resolve('src'), outDir }).emit();
  await symlink(resolve('node_modules'), join(compiled.folder, '..', 'node_modules'));
  return compiled;
}

/** The same where nothing but these packages is installed. */
export async function relink({ folder }: Compiled, packages: readonly string[]): Promise<Compiled> {
  const copy = await makeFolder();
  await cp(folder, copy.folder, { recursive: true });
  for (const name of packages) {
    const link = join(copy.folder, '..', 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(resolve('node_modules', name), link);
  }
  return copy;
}

async function makeFolder(): Promise<Compiled> {
  const root = await mkdtemp(join(tmpdir(), 'compiled-'));
  // Any user may be asked to run it.
  await chmod(root, 0o755);
  await writeFile(join(root, 'package.json'), '{ "type": "module" }');
  return { folder: join(root, 'src'), [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
}
