import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findBinaries } from '../../../src/postgres/embedded/findBinaries.ts';
import { freePort } from '../../../src/postgres/embedded/freePort.ts';
import { prepareBinaries } from '../../../src/postgres/embedded/prepareBinaries.ts';
import { serverAccount } from '../../../src/postgres/embedded/serverAccount.ts';
import { initialize, startServer } from '../../../src/postgres/embedded/startServer.ts';
import { installedBinFolder } from '../../support/globalSetup.ts';
import { track } from '../../support/track.ts';

it('takes another port when somebody was faster, and reports what keeps it from starting otherwise', async () => {
  await using rival = track(createServer().listen(0, '127.0.0.1'), async (server) => {
    server.close();
    await once(server, 'close');
  });
  await once(rival, 'listening');
  const taken = (rival.address() as AddressInfo).port;
  const account = await serverAccount();
  await using folder = track({ path: await mkdtemp(join(tmpdir(), 'server-')) }, ({ path }) =>
    rm(path, { recursive: true }),
  );
  if (account.uid !== undefined) await chown(folder.path, account.uid, account.gid!);
  const plan = {
    binFolder: await prepareBinaries(findBinaries(installedBinFolder()), account, folder.path),
    folder: folder.path,
    account,
    user: 'test',
    password: 'secret',
    settings: {},
    startTimeoutMs: 30_000,
  };
  await initialize(plan);
  const ports = [taken, taken, await freePort()];
  await using server = track(await startServer(plan, () => Promise.resolve(ports.shift()!)), ({ stop }) => stop());
  expect(ports).toEqual([]);
  expect(server.port).not.toBe(taken);
  await expect(startServer(plan)).rejects.toMatchObject({
    code: 'database_unavailable',
    message: expect.stringContaining('lock file "postmaster.pid" already exists') as string,
  });
});
