import { chmod, chown, cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from '../../../src/postgres/embedded/findBinaries.ts';
import { prepareBinaries } from '../../../src/postgres/embedded/prepareBinaries.ts';
import { run } from '../../../src/postgres/embedded/run.ts';
import { serverAccount } from '../../../src/postgres/embedded/serverAccount.ts';
import { installedBinFolder } from '../../support/globalSetup.ts';

const isRoot = process.getuid?.() === 0;

/** Without the package there is nothing to prepare. */
describe.skipIf(installedBinFolder() !== undefined)('prepareBinaries', () => {
  let folder: string;
  let packageFolder: string;
  let binFolder: string;

  /** The package as an installation with --ignore-scripts leaves it. */
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'binaries-'));
    packageFolder = join(folder, 'package');
    await cp(findBinaries().packageFolder!, packageFolder, { recursive: true, verbatimSymlinks: true });
    binFolder = join(packageFolder, 'native', 'bin');
    await chmod(folder, 0o755);
    await removeLinks();
  });

  afterAll(() => rm(folder, { recursive: true }));

  async function removeLinks(): Promise<void> {
    for (const entry of await readdir(packageFolder, { recursive: true, withFileTypes: true })) {
      if (entry.isSymbolicLink()) await rm(join(entry.parentPath, entry.name));
    }
  }

  const version = (bin: string): Promise<unknown> => run(join(bin, 'initdb'), ['--version'], { cwd: '/' });
  const works = { exitCode: 0, output: expect.stringContaining('initdb (PostgreSQL)') as string };

  it('makes the links and the mode bits that an installation without scripts leaves out', async () => {
    await chmod(join(binFolder, 'initdb'), 0o644);
    expect(await version(binFolder)).not.toEqual(works);
    expect(await prepareBinaries({ binFolder, packageFolder }, await serverAccount(), folder)).toBe(binFolder);
    expect(await version(binFolder)).toEqual(works);
  });

  it.runIf(isRoot)("copies the programs where the server's user cannot reach them", async () => {
    const account = await serverAccount();
    const own = join(folder, 'own');
    await mkdir(own);
    await chown(own, account.uid!, account.gid!);
    await removeLinks();
    await chmod(packageFolder, 0o700);
    const copied = await prepareBinaries({ binFolder, packageFolder }, account, own);
    expect(copied).toBe(join(own, 'package', 'native', 'bin'));
    expect(await run(join(copied, 'initdb'), ['--version'], { ...account, cwd: '/' })).toEqual(works);
    expect(await run(join(binFolder, 'initdb'), ['--version'], { ...account, cwd: '/' })).toMatchObject({
      startError: { code: 'EACCES' },
    });
  });

  it('says why the programs of a given folder cannot be run', async () => {
    const broken = join(folder, 'broken');
    await mkdir(broken);
    await expect(prepareBinaries({ binFolder: broken }, {}, folder)).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringMatching(
        /^startEmbeddedPostgres: cannot run initdb in .*broken: spawn .* ENOENT$/,
      ) as string,
    });
  });
});
