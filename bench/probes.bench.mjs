/**
 * Probes of a worker's health port, a hundred milliseconds after one another, while 200 connections of the same address drip or say
 * nothing, and come back a second after they are cut. Worker, probes and the others are processes of their own.
 *
 * Exit code 1 when a probe is not answered within a second. BENCH_SECONDS takes another time than 20 s for each.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const mostMs = 1000;
const everyMs = 100;
const seconds = Number(process.env['BENCH_SECONDS'] ?? 20);

// Without Kafka it says that it waits for it, which is an answer, too.
const worker = spawn(
  process.execPath,
  [
    join(import.meta.dirname, '..', 'dist', 'cli', 'main.js'),
    ...['work', '--port', '0', '--provider', 'recorded', '--database', 'memory'],
  ],
  { env: { KAFKA_BROKER: '127.0.0.1:1' }, stdio: ['ignore', 'ignore', 'pipe'] },
);
const url = await new Promise((resolve) => {
  let log = '';
  worker.stderr.setEncoding('utf8').on('data', (text) => {
    log += text;
    const [, found] = /http: (http:\S+) serves/.exec(log) ?? [];
    if (found !== undefined) resolve(found);
  });
});

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function probe(path) {
  const startedAt = performance.now();
  try {
    const response = await fetch(url + path, { headers: { connection: 'close' }, signal: AbortSignal.timeout(5_000) });
    await response.text();
    return performance.now() - startedAt;
  } catch {
    return Infinity;
  }
}

async function measure(path) {
  const probes = [];
  for (let number = 0; number < (seconds * 1000) / everyMs; number += 1) {
    probes.push(probe(path));
    await wait(everyMs);
  }
  return (await Promise.all(probes)).sort((one, other) => one - other);
}

const at = (times, share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];

try {
  for (const how of ['nobody', 'silence', 'drip']) {
    const others =
      how === 'nobody'
        ? undefined
        : fork(join(import.meta.dirname, 'probes', 'attacker.mjs'), [new URL(url).port, how]);
    if (others !== undefined) await wait(1000);
    for (const path of ['/healthz', '/readyz']) {
      const times = await measure(path);
      const shown = [0.5, 0.99, 1].map((share) => at(times, share).toFixed(0)).join(' / ');
      const late = times.filter((time) => time > mostMs).length;
      console.log(
        `${how.padEnd(8)} ${path.padEnd(9)} ${times.length} probes, p50 / p99 / max ${shown} ms, late: ${late}`,
      );
      if (late > 0) process.exitCode = 1;
    }
    if (others !== undefined) {
      const told = once(others, 'message');
      others.send('end');
      const [{ cuts }] = await told;
      console.log(`${' '.repeat(19)}${cuts} connections cut`);
    }
  }
} finally {
  const exited = once(worker, 'exit');
  worker.kill();
  await exited;
}
