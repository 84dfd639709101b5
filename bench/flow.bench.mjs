/**
 * The memory bound and its price: map, filter that keeps 9 of 10, bufferCount(100) and one bounded asynchronous stage over
 * 10 million items. Three contestants do the same work, each run in a process of its own: an asynchronous loop written
 * by hand, plain RxJS (`from` and `mergeMap`), and `fromPull` with `mergeMapBounded`.
 *
 * Prints the CPU time per item, as ratios of runs made side by side, and the greatest resident memory at 1 and at 10
 * million items. Exit code 1 when a limit is missed.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const million = 1_000_000;
const rounds = 3;
const contestants = { byHand: 'loop by hand', plainRxjs: 'plain RxJS', gates: 'fintrack-pipelines' };
const limits = { ofByHand: 2, ofPlainRxjs: 0.3, megabytes: 120, growth: 1.25 };

const run = (name, count) =>
  JSON.parse(
    execFileSync(process.execPath, [join(import.meta.dirname, 'flow', 'run.mjs'), name, String(count)], {
      encoding: 'utf8',
    }),
  );
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const large = { byHand: [], plainRxjs: [], gates: [] };
for (let round = 0; round < rounds; round++)
  for (const name of Object.keys(contestants)) large[name].push(run(name, 10 * million));

const nanoseconds = (name) => median(large[name].map(({ nanosecondsPerItem }) => nanosecondsPerItem));
const megabytes = (name) => Math.max(...large[name].map(({ megabytes }) => megabytes));

console.log(`flow, 10 million items, median of ${rounds} processes each`);
const small = {};
for (const [name, title] of Object.entries(contestants)) {
  small[name] = run(name, million).megabytes;
  console.log(
    `${title.padEnd(20)} ${nanoseconds(name).toFixed(0).padStart(5)} ns CPU an item  ` +
      `${small[name].toFixed(0).padStart(5)} MB at 1 M  ${megabytes(name).toFixed(0).padStart(5)} MB at 10 M`,
  );
}

const measured = {
  ofByHand: nanoseconds('gates') / nanoseconds('byHand'),
  ofPlainRxjs: nanoseconds('gates') / nanoseconds('plainRxjs'),
  megabytes: megabytes('gates'),
  growth: megabytes('gates') / small.gates,
};
const titles = {
  ofByHand: 'CPU an item, of the loop by hand',
  ofPlainRxjs: 'CPU an item, of plain RxJS',
  megabytes: 'greatest memory at 10 M, in MB',
  growth: 'greatest memory, 10 M to 1 M',
};
for (const [name, limit] of Object.entries(limits)) {
  console.log(`${titles[name].padEnd(34)} ${measured[name].toFixed(2).padStart(7)}  (limit ${limit})`);
  if (measured[name] > limit) process.exitCode = 1;
}
