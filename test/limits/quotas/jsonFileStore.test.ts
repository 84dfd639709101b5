import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { jsonFileStore } from '../../../src/limits/quotas/jsonFileStore.ts';
import { memoryQuotaStore } from '../../../src/limits/quotas/memoryQuotaStore.ts';
import { OptionsError } from '../../../src/model/errors.ts';
import { quotaStoreContract } from '../../../src/testing/quotaStoreContract.ts';
import { never } from '../traffic.ts';

let folder = '';
let path = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fintrack-quota-'));
  path = join(folder, 'quota.json');
});

afterEach(async () => {
  await chmod(folder, 0o700);
  await rm(folder, { recursive: true, force: true });
});

describe('jsonFileStore keeps the contract of stores:', () => {
  let opened = 0;
  const cases = quotaStoreContract(async () => {
    opened += 1;
    const own = join(folder, `quota-${String(opened)}.json`);
    return Promise.resolve({
      store: jsonFileStore({ path: own }),
      reopen: () => Promise.resolve(jsonFileStore({ path: own })),
      [Symbol.asyncDispose]: () => rm(own, { force: true }),
    });
  });
  it.each(cases)('$name', ({ run }) => run());
});

describe('memoryQuotaStore keeps the contract of stores:', () => {
  const cases = quotaStoreContract(() => {
    const store = memoryQuotaStore();
    const reopen = () => Promise.resolve(store);
    return Promise.resolve({ store, reopen, [Symbol.asyncDispose]: () => Promise.resolve() });
  });
  it.each(cases)('$name', ({ run }) => run());
});

describe('jsonFileStore', () => {
  const day = '2026-11-24';

  it('writes a file that people can read, and leaves nothing else behind', async () => {
    const store = jsonFileStore({ path });
    await Promise.all([store.book(day, 20, 800), store.book('2026-11', 20, 5_000), store.giveBack(day, 5)]);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ version: 1, used: { [day]: 15, '2026-11': 20 } });
    expect(await readdir(folder)).toEqual(['quota.json']);
  });

  it.each([
    ['text', 'not json'],
    ['nothing', ''],
    ['half of it', '{"version":1,"used":{"2026-11-2'],
    ['another version', '{"version":2,"used":{}}'],
    ['a negative count', '{"version":1,"used":{"2026-11-24":-100}}'],
    ['a list', '[]'],
  ])('grants nothing by a file that holds %s, and leaves it alone', async (_name, text) => {
    await writeFile(path, text);
    const store = jsonFileStore({ path });
    const expected = {
      code: 'internal',
      message: expect.stringContaining(`${path} cannot be used: it is no file of quotas`) as unknown,
    };
    await expect(store.book(day, 20, 800)).rejects.toMatchObject(expected);
    await expect(store.giveBack(day, 20)).rejects.toMatchObject(expected);
    await expect(store.used?.(day)).rejects.toMatchObject(expected);
    const limiter = creditLimiter({ credits: 8, quotas: [{ credits: 800, period: 'day', store }] });
    const sent = limiter.run({ credits: 8 }, () => Promise.resolve('sent'), { signal: never });
    await expect(sent).rejects.toMatchObject(expected);
    expect(await readFile(path, 'utf8')).toBe(text);
    expect(await readdir(folder)).toEqual(['quota.json']);
  });

  it('writes a file that has vanished anew, from what it knows', async () => {
    const store = jsonFileStore({ path });
    await store.book(day, 20, 800);
    await rm(path);
    expect(await store.book(day, 800, 800)).toBe(780);
    expect(await jsonFileStore({ path }).used?.(day)).toBe(800);
  });

  it('says which folder is not there', async () => {
    const store = jsonFileStore({ path: join(folder, 'missing', 'quota.json') });
    await expect(store.book(day, 20, 800)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/missing\/quota\.json cannot be used: ENOENT/) as unknown,
    });
  });

  it('says so when its file is a folder', async () => {
    await mkdir(path);
    await expect(jsonFileStore({ path }).book(day, 20, 800)).rejects.toThrow(/quota\.json cannot be used: EISDIR/);
    expect(await readdir(folder)).toEqual(['quota.json']);
  });

  it.skipIf(process.getuid?.() === 0)('grants nothing when it can read and not write', async () => {
    await jsonFileStore({ path }).book(day, 20, 800);
    await chmod(folder, 0o500);
    await expect(jsonFileStore({ path }).book(day, 20, 800)).rejects.toThrow(/quota\.json cannot be used: EACCES/);
    expect(await jsonFileStore({ path }).used?.(day)).toBe(20);
  });

  it('grants nothing on a drive that cannot be written', async () => {
    // Nobody writes here, not even root.
    await expect(jsonFileStore({ path: '/dev/null/quota.json' }).book(day, 20, 800)).rejects.toThrow(/ENOTDIR/);
  });

  it('says which process holds the lock for too long', async () => {
    await writeFile(`${path}.lock`, `${String(process.pid)} another`);
    const store = jsonFileStore({ path, lockTimeoutMs: 50 });
    await expect(store.book(day, 20, 800)).rejects.toThrow(
      `quota.json cannot be used: the lock ${path}.lock is held by process ${String(process.pid)}`,
    );
    expect(await readdir(folder)).toEqual(['quota.json.lock']);
  });

  it('takes over the lock of a process that is gone', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => child.once('exit', resolve));
    await writeFile(`${path}.lock`, `${String(child.pid)} another`);
    expect(await jsonFileStore({ path }).book(day, 20, 800)).toBe(20);
    expect(await readdir(folder)).toEqual(['quota.json']);
  });

  it('takes over the lock of a process that had its own number, as in a container that was started again', async () => {
    await writeFile(`${path}.lock`, `${String(process.pid)} another`);
    const beforeUs = new Date(Date.now() - process.uptime() * 1_000 - 100);
    await utimes(`${path}.lock`, beforeUs, beforeUs);
    expect(await jsonFileStore({ path, lockTimeoutMs: 1_000 }).book(day, 20, 800)).toBe(20);
    expect(await readdir(folder)).toEqual(['quota.json']);
  });

  it('books no more than the limit for several stores on one file', async () => {
    const stores = Array.from({ length: 5 }, () => jsonFileStore({ path }));
    const booked = await Promise.all(stores.flatMap((store) => [store.book(day, 20, 150), store.book(day, 20, 150)]));
    expect(booked.reduce((sum, credits) => sum + credits, 0)).toBe(150);
  });

  it('forgets periods long past only', async () => {
    const store = jsonFileStore({ path });
    const days = Array.from({ length: 70 }, (_, ahead) =>
      new Date(Date.UTC(2026, 8, 1 + ahead)).toISOString().slice(0, 10),
    );
    await store.book('2026-11', 7, 800);
    for (const each of days) await store.book(each, 1, 800);
    expect(await store.used?.('2026-11')).toBe(7);
    expect(await store.used?.(days.at(-1)!)).toBe(1);
    expect(await store.used?.(days[0]!)).toBe(0);
  });

  it('refuses options that are none', () => {
    expect(() => jsonFileStore({ path: '' })).toThrow(OptionsError);
    expect(() => jsonFileStore({ path, lockTimeoutMs: 0 })).toThrow(OptionsError);
  });
});
