/** What a virtual clock cannot show: real timers, real HTTP, and CPU time. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import { creditLimiter } from 'fintrack-pipelines';
import { mostInWindow } from './traffic.mjs';

const { signal: never } = new AbortController();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Traffic over loopback HTTP; the server takes 5 to 200 ms until it counts a request, and as long until it answers. */
export async function overHttp({ credits, windowMs, weight, min, seconds }) {
  const arrivals = [];
  const latency = () => pause(5 + Math.random() * 195);
  const server = createServer((request, response) => {
    void (async () => {
      await latency();
      arrivals.push({ at: performance.now(), credits: Number(request.headers['x-credits']) });
      await latency();
      response.end();
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  const limiter = creditLimiter({ credits, windowMs, maxConcurrent: 16 });
  const endsAt = performance.now() + seconds * 1_000;
  const work = async () => {
    while (performance.now() < endsAt) {
      await limiter.run(
        { credits: weight, min },
        async (grant) => {
          const answer = await fetch(url, { headers: { 'x-credits': String(grant.credits) } });
          await answer.arrayBuffer();
        },
        { signal: never },
      );
    }
  };
  await Promise.all(Array.from({ length: 20 }, work));
  await limiter.stop();
  server.closeAllConnections();
  server.close();
  return mostInWindow(arrivals, { credits, windowMs });
}

/**
 * CPU time of a call through the limiter beyond that of the same call without it, in milliseconds: the least of several
 * rounds, because whatever else the machine does makes it only more.
 */
export async function cpuPerCall({ calls = 2_000, rounds = 5 } = {}) {
  const limiter = creditLimiter({
    credits: 1_000_000,
    windows: [{ credits: 1_000_000, windowMs: 1_000 }],
    quotas: [{ credits: 1_000_000_000, period: 'day' }],
    lanes: ['market', 'historical'],
    maxConcurrent: 8,
  });
  const task = () => new Promise((resolve) => setImmediate(resolve));
  const cpuMs = async (run) => {
    const before = process.cpuUsage();
    let left = calls;
    const work = async () => {
      while (left-- > 0) await run();
    };
    await Promise.all(Array.from({ length: 10 }, work));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000 / calls;
  };
  const want = { credits: 8, min: 1, lane: 'market', request: 'r' };
  const figures = [];
  for (let round = 0; round < rounds; round++) {
    const without = await cpuMs(task);
    figures.push((await cpuMs(() => limiter.run(want, task, { signal: never }))) - without);
  }
  await limiter.stop();
  return Math.min(...figures);
}
