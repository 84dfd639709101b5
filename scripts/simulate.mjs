/**
 * Simulates many runs of workers whose processes and servers fail, in a thread for each core:
 * `npm run simulate -- --runs 3000 [--seed N] [--threads N]`.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { findViolation } from '../dist/testing/index.js';

/** One thread's share. */
async function simulate() {
  const startedAt = performance.now();
  const summary = await findViolation(workerData);
  parentPort.postMessage({ ...summary, seconds: (performance.now() - startedAt) / 1_000 });
}

function inThread(options) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: options });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

function tell({ seed, runs, countedRuns, effects, faults, violation, seconds }) {
  console.log(`seed ${seed}: ${countedRuns} runs that count, of ${runs}, in ${seconds.toFixed(1)} s`);
  console.log(`  effects of a run: ${effects.least} to ${effects.most}, median ${effects.median}`);
  const hits = Object.entries(faults).map(([type, hit]) => `${type} ${hit}`);
  console.log(`  runs that each fault has hit: ${hits.join(', ')}`);
  if (violation === undefined) return;
  console.log(violation.trace.join('\n'));
  console.log(JSON.stringify({ seed: violation.seed, scenario: violation.scenario }));
  for (const line of violation.violations) console.log(`VIOLATION ${line}`);
  process.exitCode = 1;
}

async function main() {
  const { values } = parseArgs({
    options: { runs: { type: 'string', default: '3000' }, seed: { type: 'string' }, threads: { type: 'string' } },
  });
  const threads = Number(values.threads ?? availableParallelism());
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 30));
  const runs = Math.ceil(Number(values.runs) / threads);
  console.log(`simulate: --runs ${values.runs} --seed ${seed} --threads ${threads}`);
  // Far apart, because each takes the seeds after its own for the scenarios that it draws.
  const shares = Array.from({ length: threads }, (_, thread) => inThread({ runs, seed: seed + thread * 1_000_000 }));
  for (const summary of await Promise.all(shares)) tell(summary);
}

await (isMainThread ? main() : simulate());
