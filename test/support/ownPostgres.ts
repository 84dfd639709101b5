import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findBinaries } from '../../src/postgres/embedded/findBinaries.ts';
import { freePort } from '../../src/postgres/embedded/freePort.ts';
import { prepareBinaries } from '../../src/postgres/embedded/prepareBinaries.ts';
import { serverAccount } from '../../src/postgres/embedded/serverAccount.ts';
import { initialize, startServer, type Server } from '../../src/postgres/embedded/startServer.ts';
import { watchFolder } from '../../src/postgres/embedded/watchFolder.ts';
import { installedBinFolder, settings } from './globalSetup.ts';

/** A PostgreSQL server of a test's own, which can be stopped and started again. */
export interface OwnPostgres extends AsyncDisposable {
  readonly url: string;
  /** Ends it as its operators do: at once, whatever is under way, with all that was committed. */
  pause(): Promise<void>;
  /** Starts it again, on the same port; resolves once it answers. */
  unpause(): Promise<void>;
}

/** A server with the settings of that of the run. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const account = await serverAccount();
  // Where whoever the server runs as can get to.
  const folder = await mkdtemp(join('/tmp', 'fintrack-own-postgres-'));
  const callOffWatch = watchFolder(folder, account);
  const remove = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    callOffWatch();
  };
  try {
    if (account.uid !== undefined && account.gid !== undefined) await chown(folder, account.uid, account.gid);
    const plan = {
      settings,
      startTimeoutMs: 30_000,
      binFolder: await prepareBinaries(findBinaries(installedBinFolder()), account, folder),
      folder,
      account,
      user: 'fintrack',
      password: randomBytes(12).toString('hex'),
    };
    await initialize(plan);
    const port = await freePort();
    let server: Server | undefined = await startServer(plan, () => Promise.resolve(port));
    const pause = async (): Promise<void> => {
      await server?.stop();
      server = undefined;
    };
    return {
      url: `postgres://${plan.user}:${plan.password}@127.0.0.1:${port}/postgres`,
      pause,
      unpause: async () => {
        server ??= await startServer(plan, () => Promise.resolve(port));
      },
      [Symbol.asyncDispose]: async () => {
        await pause();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
