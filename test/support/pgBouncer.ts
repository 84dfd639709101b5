import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { freePort } from '../../src/postgres/embedded/freePort.ts';
import { serverAccount } from '../../src/postgres/embedded/serverAccount.ts';
import { serverUrl } from './postgres.ts';

/** PgBouncer as it was started. */
export interface PgBouncer extends AsyncDisposable {
  /** The URL of the server of this run, by way of PgBouncer. */
  readonly url: string;
}

/**
 * The program, for tests that need one; undefined where there is none, which the run says. In CI that is a failure: the package
 * `pgbouncer` of Debian has it.
 */
export function pgBouncerProgram(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const program = folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path));
  if (program !== undefined) return program;
  const reason = 'there is no program pgbouncer on this machine (in Debian: apt-get install pgbouncer)';
  if (process.env['CI'] === 'true') throw new Error(`No PgBouncer for the tests, and CI=true: ${reason}`);
  console.log(`The tests of PgBouncer were left out, because ${reason}.`);
  return undefined;
}

/** Starts PgBouncer in transaction mode before the server of this run, with at most two connections to it. */
export async function startPgBouncer(program: string, settings: Record<string, string> = {}): Promise<PgBouncer> {
  const account = await serverAccount();
  const folder = await mkdtemp('/tmp/fintrack-pgbouncer-');
  const port = await freePort();
  const target = new URL(serverUrl());
  const file = join(folder, 'pgbouncer.ini');
  await writeFile(file, iniText(target, port, settings), { mode: 0o600 });
  if (account.uid !== undefined && account.gid !== undefined) {
    for (const path of [folder, file]) await chown(path, account.uid, account.gid);
  }
  await chmod(folder, 0o700);
  const child = spawn(program, [file], { ...account, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('process up')) resolve();
    });
    void ended.then(() => {
      reject(new Error(`pgbouncer did not start: ${said}`));
    }, reject);
  });
  const url = new URL(target);
  url.host = `127.0.0.1:${String(port)}`;
  return {
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function iniText(target: URL, port: number, settings: Record<string, string>): string {
  const server = [
    `host=${target.hostname} port=${target.port === '' ? '5432' : target.port}`,
    `user=${decodeURIComponent(target.username)} password=${decodeURIComponent(target.password)}`,
  ].join(' ');
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: '2',
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  return ['[databases]', `* = ${server}`, '[pgbouncer]', ...lines, ''].join('\n');
}
