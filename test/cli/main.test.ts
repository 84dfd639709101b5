import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMarketServer } from '../support/marketServer.ts';
import { track } from '../support/track.ts';
import { compileSource } from './support/compile.ts';

let compiled: Awaited<ReturnType<typeof compileSource>>;
beforeAll(async () => {
  compiled = await compileSource();
});
afterAll(() => compiled[Symbol.asyncDispose]());

function start(argv: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [compiled.main, ...argv], { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  return track(child, () => child.kill('SIGKILL'));
}

/** Its end: a process that does not end by itself fails the test by time. */
async function endOf(child: ChildProcess) {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { stdout, stderr, code };
}

const run = ['run', 'market-data', '--symbols', 'AAPL:STOCK', '--database', 'memory'];

describe('the process', () => {
  it('ends with the code of its command, its streams in order', async () => {
    await using help = start(['--help']);
    await using wrong = start(['serve']);
    await using complete = start([...run, '--provider', 'recorded']);

    const ends = await Promise.all([help, wrong, complete].map(endOf));

    expect(ends.map(({ code }) => code)).toEqual([0, 1, 0]);
    expect(ends[0]?.stdout).toContain('Usage: fintrack-pipelines <command>');
    expect(ends[1]?.stdout).toBe('');
    expect(ends[1]?.stderr).toMatch(/^fintrack-pipelines: unknown command 'serve'; .*\n$/);
    expect(JSON.parse(ends[2]?.stdout ?? '')).toMatchObject({ status: 'complete' });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('stops cleanly on %s, with its event', async (signal) => {
    let asked = (): void => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    await using server = track(
      await startMarketServer(() => {
        asked();
        return new Promise(() => {});
      }),
    );
    await using child = start(run, { TWELVE_DATA_API_HOST: server.baseUrl, TWELVE_DATA_API_KEY: 'some-api-key' });
    const end = endOf(child);

    await isAsked;
    child.kill(signal);

    const { code, stdout, stderr } = await end;
    expect(code).toBe(1);
    expect(stderr).toContain('stopping: ');
    expect(JSON.parse(stdout)).toMatchObject({ status: 'failed', skipped: [{ symbol: 'AAPL', reason: 'canceled' }] });
  });

  it('goes on when nobody reads its output', async () => {
    await using child = start([...run, '--provider', 'recorded']);
    child.stdout.destroy();

    const exited = once(child, 'exit') as Promise<[number | null]>;
    const [stderr, [code]] = await Promise.all([text(child.stderr), exited]);

    expect(code).toBe(0);
    expect(stderr).toMatch(/market-data: complete: 1 of 1 symbols served in 1 batch, \d+ ms\n$/);
  });
});
