/**
 * One window of credits for several limiters, as a table in PostgreSQL, without a reserve:
 *
 * - four limiters on the virtual clock, kept as busy as they can be for 24 hours (6 in the other rows), the database a real
 *   one, the time passed in; one of the four is dropped in the middle with its calls on their way;
 * - four real processes on a window of 2 s, the database's own clock and a real HTTP server; one is killed (SIGKILL) in the
 *   middle of a call.
 *
 * Prints the most credits that any sliding window at the server held over the quota, and how much of the quota was used. Exit
 * code 1 when the first is above 1.000, or the second below 98 % in the virtual hours.
 * BENCH_DATABASE_URL names a server to use; otherwise one is started. BENCH_HOURS takes less than 24.
 */
import { connectDatabase, migrate, startEmbeddedPostgres } from 'fintrack-pipelines/postgres';
import { expectWindow } from 'fintrack-pipelines/testing';
import { killOneOfFour } from './sharedWindow/processes.mjs';
import { virtualDay } from './sharedWindow/virtualDay.mjs';

const least = 0.98;
const given = process.env['BENCH_DATABASE_URL'];
const mostHours = Number(process.env['BENCH_HOURS'] ?? 24);
const server = given === undefined ? await startEmbeddedPostgres() : undefined;
const connection = { url: given ?? server.url, ownSchema: `bench_window_${process.pid}` };
const database = connectDatabase(connection);
await migrate({ database });

const share = (arrivals, credits, windowMs) => expectWindow(arrivals, { limit: Infinity, windowMs }) / credits;
const percent = (value) => `${(value * 100).toFixed(2)} %`;

console.log('Virtual hours, four limiters on one table, one dropped in the middle');
console.log('  hours  credits  at a time  window / quota  quota used  refusals  statements a call  real time');
for (const { credits, weight, longest } of [
  { credits: 8, weight: 1, longest: 24 },
  { credits: 8, weight: 8, longest: 6 },
  { credits: 55, weight: 5, longest: 6 },
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

const options = { provider: 'bench', apiKey: 'processes', credits: 8, windowMs: 2_000 };
const four = await killOneOfFour({ connection, options, seconds: 20 });
const window = share(four.arrivals, options.credits, options.windowMs);
console.log('\n20 s, four processes on 8 credits every 2 s, one killed in the middle of a call');
console.log(
  `  window / quota ${window.toFixed(3)}, quota used ${percent(four.utilization)} (the killed call holds its part)`,
);
if (window > 1 || !four.killed || four.failed > 0) process.exitCode = 1;

await database.pool.query(database.pool.sql`drop schema ${database.pool.sql.ident(connection.ownSchema)} cascade`);
await database.close();
await server?.stop();
