import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { resolve } from 'node:path';

const worker = resolve(import.meta.dirname, 'worker.mjs');

/** Four real processes on one table, one of them killed in the middle of a call: what the server on loopback has seen. */
export async function killOneOfFour({ connection, options, weight, seconds }) {
  const { credits, windowMs } = options;
  const arrivals = [];
  const children = [];
  let used = 0;
  let killed = false;
  const endsAt = performance.now() + seconds * 1_000;

  const server = createServer((message, response) => {
    const [number, cost] = message.url.split('/').slice(1).map(Number);
    const at = performance.now();
    arrivals.push({ at, credits: cost });
    used += cost;
    if (!killed && used >= 4 * credits) {
      killed = children[number].kill('SIGKILL');
      return;
    }
    setTimeout(() => response.writeHead(at < endsAt ? 200 : 410).end(), Math.random() * 100);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const settings = {
    connection,
    options,
    weight,
    callTimeoutMs: 2_000,
    baseUrl: `http://127.0.0.1:${server.address().port}`,
  };
  for (let number = 0; number < 4; number += 1) {
    children.push(
      spawn(process.execPath, [worker, JSON.stringify({ ...settings, number })], {
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
    );
  }
  const ends = await Promise.all(children.map((child) => once(child, 'close')));
  server.close();
  server.closeAllConnections();
  const failed = ends.filter(([code, signal]) => code !== 0 && signal !== 'SIGKILL').length;
  const lastingMs = arrivals.at(-1).at - arrivals[0].at;
  return { arrivals, killed, failed, utilization: (used - credits) / ((credits * lastingMs) / windowMs) };
}
