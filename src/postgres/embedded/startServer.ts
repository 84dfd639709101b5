import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SinkError } from '../../model/errors.ts';
import { freePort } from './freePort.ts';
import { appendOutput, explain, run } from './run.ts';
import type { Account } from './run.ts';
import { unref } from './watchFolder.ts';

export interface ServerPlan {
  readonly binFolder: string;
  /** Holds everything of this server. */
  readonly folder: string;
  readonly account: Account;
  readonly user: string;
  readonly password: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly startTimeoutMs: number;
}

export interface Server {
  readonly port: number;
  stop(): Promise<void>;
}

/** Messages are searched for, and sorting must not depend on the machine. */
const environment = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };

/** Makes the data folder. */
export async function initialize({ binFolder, folder, account, user, password }: ServerPlan): Promise<void> {
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (account.uid !== undefined && account.gid !== undefined) await chown(passwordFile, account.uid, account.gid);
  const result = await run(
    join(binFolder, 'initdb'),
    [
      `--pgdata=${join(folder, 'data')}`,
      `--username=${user}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--no-locale',
      '--no-sync',
    ],
    { ...account, cwd: folder, env: environment },
  );
  if (result.exitCode !== 0) throw cannotStart(explain(result));
}

const portTries = 5;

/** Starts a server on the data folder, on a free port of the loopback interface; `findPort` is for its test. */
export async function startServer(plan: ServerPlan, findPort = freePort): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await findPort();
    try {
      const child = await startOn(port, plan);
      return { port, stop: () => stop(child) };
    } catch (error) {
      // Somebody else may have taken the port between our look and the server's.
      if (attempt === portTries || !/could not (bind|create any TCP)|Address already in use/i.test(String(error)))
        throw error;
    }
  }
}

function startOn(port: number, plan: ServerPlan): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    // The data is removed at the end: nothing has to survive a crash of the machine.
    fsync: 'off',
    full_page_writes: 'off',
    shared_buffers: '32MB',
    ...plan.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(join(plan.binFolder, 'postgres'), ['-D', join(plan.folder, 'data'), ...flags], {
    ...plan.account,
    cwd: plan.folder,
    env: environment,
    // A process group of its own: Ctrl-C reaches our process, which decides when the server is to stop.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return untilReady(child, plan.startTimeoutMs);
}

function untilReady(child: ChildProcess, timeoutMs: number): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (reason: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(cannotStart(reason));
    };
    const timer = setTimeout(() => {
      fail(`not ready within ${timeoutMs} ms: ${output.trim()}`);
    }, timeoutMs);
    child.once('error', (error) => {
      fail(error.message);
    });
    child.once('exit', (exitCode) => {
      fail(explain({ exitCode: exitCode ?? undefined, output }));
    });
    // The stream is read to the end of the server's life: a full pipe would block it.
    child.stderr?.on('data', (chunk) => {
      output = appendOutput(output, chunk);
      if (!output.includes('database system is ready to accept connections')) return;
      clearTimeout(timer);
      unref(child);
      resolve(child);
    });
  });
}

const stopTimeoutMs = 10_000;

/** A fast shutdown, which ends the connections; a server that does not heed it is killed. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.ref();
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  child.kill('SIGINT');
  await exited;
  clearTimeout(timer);
}

function cannotStart(reason: string): SinkError {
  return new SinkError('database_unavailable', `startEmbeddedPostgres: the server does not start: ${reason}`);
}
