import { sql } from '@databases/pg';
import FakeTimers from '@sinonjs/fake-timers';
import { creditLimiter } from 'fintrack-pipelines';
import { connectDatabase, postgresWindow } from 'fintrack-pipelines/postgres';
import { quotaServer } from 'fintrack-pipelines/testing';

const instances = 4;
const longestTimerMs = 2 ** 31 - 1;

/** A window whose process can be dropped: from then on it asks and tells nothing more. Counts the statements under way. */
function droppable(window, statements) {
  let isDropped = false;
  const run = (method, ...values) => {
    if (isDropped) return new Promise(() => {});
    statements.total += 1;
    const statement = window[method](...values);
    statements.underWay.add(statement);
    const done = () => statements.underWay.delete(statement);
    statement.then(done, done);
    return statement;
  };
  return {
    take: (want) => run('take', want),
    release: (grant, unused) => run('release', grant, unused),
    settle: (grant, freeInMs) => run('settle', grant, freeInMs),
    drop: () => (isDropped = true),
    isDropped: () => isDropped,
  };
}

async function keepBusy(limiter, window, server, weight) {
  const { signal } = new AbortController();
  const call = async (grant) => grant.report(await server.send(grant.credits, { signal }));
  try {
    for (;;) await limiter.run({ credits: weight, min: 1 }, call, { signal });
  } catch (error) {
    if (!window.isDropped()) throw error;
  }
}

/**
 * Four limiters on one real table, as busy as they can be; one of them is dropped in the middle with its calls on their way.
 * Time stands still while the database works: a timer runs only when no statement is under way.
 */
export async function virtualDay({ connection, credits, weight, hours, windowMs = 60_000 }) {
  const database = connectDatabase({ ...connection, poolSize: instances, idleTimeoutMs: longestTimerMs });
  // Connections are opened in real time: opening one waits for timers.
  await Promise.all(Array.from({ length: instances }, () => database.pool.query(sql`select pg_sleep(0.2)`)));
  const toFake = ['setTimeout', 'clearTimeout', 'performance', 'Date'];
  const clock = FakeTimers.install({ now: Date.now(), toFake, shouldClearNativeTimers: true });
  const statements = { underWay: new Set(), total: 0 };
  try {
    const server = quotaServer({ credits, windowMs });
    const options = { database, provider: 'bench', apiKey: `${credits}/${weight}`, credits, windowMs, now: Date.now };
    const windows = Array.from({ length: instances }, () => droppable(postgresWindow(options), statements));
    for (const window of windows) {
      const limiter = creditLimiter({ credits, windowMs, window });
      for (let worker = 0; worker < 4; worker += 1) void keepBusy(limiter, window, server, weight);
    }
    const untilIdle = async () => {
      do {
        await Promise.allSettled(statements.underWay);
        await new Promise(setImmediate);
      } while (statements.underWay.size > 0);
    };
    const startedAt = performance.now();
    const run = async (milliseconds) => {
      const endsAt = performance.now() + milliseconds;
      for (await untilIdle(); performance.now() < endsAt; await untilIdle()) clock.next();
    };
    await run((hours / 2) * 3_600_000);
    windows[0].drop();
    await run((hours / 2) * 3_600_000);
    const endedAt = performance.now();
    for (const window of windows) window.drop();
    const used = server.arrivals.reduce((sum, arrival) => sum + arrival.credits, 0);
    return {
      arrivals: server.arrivals,
      refusals: server.refusals,
      utilization: used / ((credits * (endedAt - startedAt)) / windowMs),
      statementsPerCall: statements.total / server.arrivals.length,
    };
  } finally {
    clock.uninstall();
    await database.close();
  }
}
