/** Simulates many runs of workers whose processes and servers fail: `npm run simulate -- --runs 3000 [--seed N]`. */
import { parseArgs } from 'node:util';
import { findViolation } from '../dist/testing/index.js';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '3000' }, seed: { type: 'string' } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
console.log(`simulate: seed ${seed}`);

const startedAt = process.cpuUsage();
const { runs, countedRuns, effects, faults, violation } = await findViolation({ runs: Number(values.runs), seed });
const { user, system } = process.cpuUsage(startedAt);
const seconds = (user + system) / 1e6;

console.log(`${countedRuns} runs that count, of ${runs}, in ${seconds.toFixed(1)} s of CPU`);
console.log(`effects of a run: ${effects.least} to ${effects.most}, median ${effects.median}`);
for (const [type, hit] of Object.entries(faults)) console.log(`${type}: hit ${hit} runs`);
if (violation !== undefined) {
  console.log(violation.trace.join('\n'));
  console.log(JSON.stringify({ seed: violation.seed, scenario: violation.scenario }));
  for (const line of violation.violations) console.log(`VIOLATION ${line}`);
  process.exitCode = 1;
}
