import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { expectWindow } from '../../../src/testing/expectWindow.ts';
import type { Arrival } from '../../../src/testing/expectWindow.ts';
import { compileSource } from '../../cli/support/compile.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';

const [credits, windowMs] = [8, 500];
/** Two windows full; those on their way come on top. */
const enough = 2 * credits;

async function listen(answer: (message: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return track({ baseUrl: `http://127.0.0.1:${String(port)}` }, async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });
}

/** Processes by number, which each of their calls names. */
function startAll(count: number, settings: object) {
  const file = join(import.meta.dirname, 'fixtures', 'worker.mjs');
  const children = Array.from({ length: count }, (_, number) =>
    spawn(process.execPath, [file, JSON.stringify({ ...settings, number })], { stdio: ['ignore', 'ignore', 'pipe'] }),
  );
  return track(children, () => {
    for (const child of children) child.kill('SIGKILL');
  });
}

/** How it ended, and what it had to say. */
async function endOf(child: ChildProcess) {
  const [stderr, [code, signal]] = await Promise.all([
    text(child.stderr!),
    once(child, 'close') as Promise<[number | null, string | null]>,
  ]);
  return { stderr, code, signal };
}

// It compiles the source and starts five processes, which takes a busy machine its time.
it('keeps four processes within one window, also when one is killed in the middle of a call', async () => {
  await using compiled = await compileSource();
  await using database = track(await openTestDatabase({ migrated: true }));
  const arrivals: Arrival[] = [];
  const processes: ChildProcess[] = [];
  await using server = await listen((message, response) => {
    const used = arrivals.reduce((sum, arrival) => sum + arrival.credits, 0);
    const [number, cost] = (message.url ?? '').split('/').slice(1).map(Number);
    arrivals.push({ at: performance.now(), credits: cost! });
    // A call in the middle is counted and gets no answer, because its process is killed.
    if (arrivals.length === 5) processes[number!]?.kill('SIGKILL');
    else response.writeHead(used < enough ? 200 : 410).end();
  });
  const { url, schema, ownSchema } = database;
  const settings = {
    folder: dirname(dirname(compiled.main)),
    database: { url, schema, ownSchema },
    window: { provider: 'twelve-data', apiKey: 'some-api-key', credits, windowMs },
    limiter: { callTimeoutMs: 4_000 },
    baseUrl: server.baseUrl,
  };
  await using children = startAll(4, settings);
  processes.push(...children);

  const ends = await Promise.all(children.map(endOf));

  const killed = ends.filter(({ signal }) => signal === 'SIGKILL');
  const others = ends.filter(({ signal }) => signal !== 'SIGKILL');
  expect(killed).toHaveLength(1);
  expect(others).toEqual(others.map(() => ({ stderr: '', code: 0, signal: null })));
  expect(expectWindow(arrivals, { limit: credits, windowMs })).toBe(credits);
}, 60_000);
