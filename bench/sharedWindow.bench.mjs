/**
 * One window of credits for several limiters, as a table in PostgreSQL, without a reserve:
 *
 * - four limiters on the virtual clock, kept as busy as they can be for 24 hours (6 in the other rows), the database a real
 *   one, the time passed in; one of the four is dropped in the middle with its calls on their way;
 * - four real processes on a window of 2 s, the database's own clock and a real HTTP server; one is killed (SIGKILL) in the
 *   middle of a call;
 * - what a take and its settle cost the server, with 20 connections at once.
 *
 * Prints the most credits that any sliding window at the server held over the quota, and how much of the quota was used. Exit
 * code 1 when the first is above 1.000, or the second below 98 % in the virtual hours, or the cost is above 1.5 ms of CPU, or
 * at 1,000,000 credits above 1.3 times that at 10,000.
 * BENCH_DATABASE_URL names a server to use; otherwise one is started. BENCH_HOURS takes less than 24.
 */
import { connectDatabase, migrate, startEmbeddedPostgres } from 'fintrack-pipelines/postgres';
import { expectWindow } from 'fintrack-pipelines/testing';
import { killOneOfFour } from './sharedWindow/processes.mjs';
import { serverCpu } from './sharedWindow/serverCpu.mjs';
import { virtualDay } from './sharedWindow/virtualDay.mjs';

const least = 0.98;
const given = process.env['BENCH_DATABASE_URL'];
const mostHours = Number(process.env['BENCH_HOURS'] ?? 24);
const server = given === undefined ? await startEmbeddedPostgres() : undefined;
const connection = { url: given ?? server.url, ownSchema: `bench_window_${process.pid}` };
const database = connectDatabase(connection);
await migrate({ database });

const share = (arrivals, credits, windowMs) =>
  expectWindow(arrivals, { limit: Number.MAX_SAFE_INTEGER, windowMs }) / credits;
const percent = (value) => `${(value * 100).toFixed(2)} %`;

console.log('Virtual hours, four limiters on one table, one dropped in the middle');
console.log('  hours  credits  at a time  window / quota  quota used  refusals  statements a call  real time');
for (const { credits, weight, longest } of [
  { credits: 8, weight: 1, longest: 24 },
  { credits: 8, weight: 8, longest: 6 },
  { credits: 55, weight: 5, longest: 6 },
  { credits: 1_597, weight: 40, longest: 3 },
  { credits: 100_000, weight: 2_500, longest: 3 },
]) {
  const hours = Math.min(longest, mostHours);
  const startedAt = performance.now();
  const day = await virtualDay({ connection, credits, weight, hours });
  const window = share(day.arrivals, credits, 60_000);
  const cells = [
    String(hours).padStart(7),
    String(credits).padStart(9),
    String(weight).padStart(11),
    window.toFixed(3).padStart(16),
    percent(day.utilization).padStart(12),
    String(day.refusals).padStart(10),
    day.statementsPerCall.toFixed(1).padStart(19),
    `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`.padStart(11),
  ];
  console.log(cells.join(''));
  if (window > 1 || day.utilization < least) process.exitCode = 1;
}

console.log(
  '\n20 s each, four processes on credits every 2 s, one killed in the middle of a call, which holds its part',
);
console.log('  credits  at a time  window / quota  quota used');
for (const { credits, weight } of [
  { credits: 8, weight: 3 },
  { credits: 55, weight: 5 },
  { credits: 1_597, weight: 200 },
  { credits: 100_000, weight: 12_500 },
]) {
  const options = { provider: 'bench', apiKey: `processes ${credits}`, credits, windowMs: 2_000 };
  const four = await killOneOfFour({ connection, options, weight, seconds: 20 });
  const window = share(four.arrivals, options.credits, options.windowMs);
  const cells = [
    String(credits).padStart(9),
    String(weight).padStart(11),
    window.toFixed(3).padStart(16),
    percent(four.utilization).padStart(12),
  ];
  console.log(cells.join(''));
  if (window > 1 || !four.killed || four.failed > 0) process.exitCode = 1;
}

const mostCpuMs = 1.5;
const mostGrowth = 1.3;
console.log('\nCPU of the server for a take and its settle, 20 connections');
const costs = new Map();
for (const credits of [8, 1_000, 10_000, 100_000, 1_000_000]) {
  const cost = await serverCpu({ connection, credits });
  if (cost === undefined) {
    console.log('  not measured: the server does not run on this machine');
    break;
  }
  costs.set(credits, cost.cpuMs);
  console.log(`${String(credits).padStart(11)} credits ${cost.cpuMs.toFixed(2)} ms, ${percent(cost.granted)} granted`);
  if (cost.cpuMs > mostCpuMs) process.exitCode = 1;
}
if (costs.get(1_000_000) > mostGrowth * costs.get(10_000)) process.exitCode = 1;

await database.pool.query(database.pool.sql`drop schema ${database.pool.sql.ident(connection.ownSchema)} cascade`);
await database.close();
await server?.stop();
