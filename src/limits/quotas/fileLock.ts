import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { errorCode } from './fileErrors.ts';

const tryAgainMs = 20;

/**
 * Runs `work` while no other process on this machine does so under the same lock file. A lock whose process is gone is taken
 * over. Rejects when the lock cannot be had within `timeoutMs`.
 */
export async function withFileLock<Result>(
  path: string,
  timeoutMs: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const own = `${path}.${randomUUID()}`;
  const giveUpAt = performance.now() + timeoutMs;
  try {
    await writeFile(own, `${String(process.pid)} ${own}`, { flag: 'wx' });
    while (!(await isTaken(path, own))) {
      if (performance.now() >= giveUpAt) throw new Error(`the lock ${path} is held by process ${await holderOf(path)}`);
      await new Promise((resolve) => setTimeout(resolve, tryAgainMs));
    }
  } finally {
    await rm(own, { force: true }).catch(() => undefined);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** Whether the lock is ours now. A link is there with its content or not at all, so that every lock names its holder. */
async function isTaken(path: string, own: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    await removeIfAbandoned(path);
    return false;
  }
}

async function removeIfAbandoned(path: string): Promise<void> {
  const seen = await contentOf(path);
  if (seen === undefined || (await isHeld(path, Number.parseInt(seen, 10)))) return;
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return; // another process was quicker
  }
  // Between the look and the move the lock may have gone to a living process: then it gets it back.
  if ((await contentOf(aside)) !== seen) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

async function isHeld(path: string, pid: number): Promise<boolean> {
  return pid === process.pid ? !(await isFromBefore(path)) : isAlive(pid);
}

/** A container's process has the number of the one before it, which may have been killed with the lock in its hands. */
async function isFromBefore(path: string): Promise<boolean> {
  const startedAt = Date.now() - process.uptime() * 1_000;
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs < startedAt,
    () => false,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user is alive, too.
    return errorCode(error) === 'EPERM';
  }
}

async function holderOf(path: string): Promise<string> {
  return (await contentOf(path))?.split(' ')[0] ?? 'unknown';
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}
