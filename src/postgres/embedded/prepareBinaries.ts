import { chmod, chown, constants, cp, lchown, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SinkError } from '../../model/errors.ts';
import type { Binaries } from './findBinaries.ts';
import { explain, run } from './run.ts';
import type { Account, RunResult } from './run.ts';

/**
 * Makes sure that `account` can run the programs, and answers the folder they are in.
 *
 * What is tried, in this order, until `initdb --version` works: the programs where they are; with the mode bits and the
 * links that an installation with --ignore-scripts leaves out; a copy in `folder` that `account` owns, for a package below
 * a folder that it cannot enter (about 60 MB, removed together with `folder`).
 */
export async function prepareBinaries(binaries: Binaries, account: Account, folder: string): Promise<string> {
  const { binFolder, packageFolder } = binaries;
  const found = await probe(binFolder, account);
  if (found.exitCode === 0) return binFolder;
  if (packageFolder === undefined) throw cannotRun(binFolder, found);

  await complete(packageFolder);
  if ((await probe(binFolder, account)).exitCode === 0) return binFolder;

  const copy = join(folder, 'package');
  await cp(packageFolder, copy, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
  await complete(copy);
  await giveTo(account, copy);
  const copied = join(copy, 'native', 'bin');
  const result = await probe(copied, account);
  if (result.exitCode !== 0) throw cannotRun(binFolder, result);
  return copied;
}

/** The working directory may be one that `account` cannot enter. */
async function probe(binFolder: string, account: Account): Promise<RunResult> {
  const initdb = await run(join(binFolder, 'initdb'), ['--version'], { ...account, cwd: '/' });
  // initdb finds its shared libraries elsewhere than postgres, and looks for postgres beside itself.
  return initdb.exitCode === 0 ? run(join(binFolder, 'postgres'), ['--version'], { ...account, cwd: '/' }) : initdb;
}

/** What the package's install script does, and the mode bits that some package managers lose. */
async function complete(packageFolder: string): Promise<void> {
  await run(process.execPath, [join('scripts', 'hydrate-symlinks.js')], { cwd: packageFolder });
  const binFolder = join(packageFolder, 'native', 'bin');
  for (const program of await readdir(binFolder)) {
    const path = join(binFolder, program);
    const { mode } = await stat(path);
    // Not ours to change when somebody else installed it: then a copy is made.
    if ((mode & 0o555) !== 0o555) await chmod(path, mode | 0o555).catch(() => undefined);
  }
}

async function giveTo({ uid, gid }: Account, folder: string): Promise<void> {
  if (uid === undefined || gid === undefined) return;
  await chown(folder, uid, gid);
  for (const entry of await readdir(folder, { recursive: true })) await lchown(join(folder, entry), uid, gid);
}

function cannotRun(binFolder: string, result: RunResult): SinkError {
  return new SinkError(
    'database_not_ready',
    `startEmbeddedPostgres: cannot run initdb in ${binFolder}: ${explain(result)}`,
  );
}
