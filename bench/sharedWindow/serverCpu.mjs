import { readdirSync, readFileSync } from 'node:fs';
import { sql } from '@databases/pg';
import { connectDatabase, postgresWindow } from 'fintrack-pipelines/postgres';

const connections = 20;
const windowMs = 60_000;
const holdMs = 85_000;
/** So many calls in a window, where the plan has as many credits: each tick is in use. */
const mostCalls = 1_200;
const measuredCalls = 3_000;
/** `CLK_TCK` of Linux. */
const msPerTick = 10;

const fieldsOf = (pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');

/** The CPU time of the server and all its processes so far, in milliseconds. */
function cpuMs(server) {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = fieldsOf(pid);
      if (pid === server || fields[1] === server) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended.
    }
  }
  return ticks * msPerTick;
}

/**
 * What a take and its settle cost the server, in milliseconds of CPU: 20 connections at once, nine tenths of the plan in use,
 * on a clock that is passed in. undefined when the server does not run on this machine.
 */
export async function serverCpu({ connection, credits }) {
  const database = connectDatabase({ ...connection, poolSize: connections });
  const [{ pid }] = await database.pool.query(sql`select pg_backend_pid() as pid`);
  try {
    let now = Date.now();
    const options = { database, provider: 'bench', apiKey: `cpu ${credits}`, credits, windowMs, now: () => now };
    const windows = Array.from({ length: connections }, () => postgresWindow(options));
    const calls = Math.min(credits, mostCalls);
    const want = {
      credits: Math.floor(credits / calls),
      min: 1,
      reserve: 0,
      holdMs,
      signal: new AbortController().signal,
    };
    const stepMs = windowMs / calls / 0.9;
    let left = 0;
    let granted = 0;
    const work = async (window) => {
      while (left > 0) {
        left -= 1;
        now += stepMs;
        const grant = await window.take({ ...want, signal: new AbortController().signal });
        if (!('id' in grant)) continue;
        granted += 1;
        await window.settle(grant, windowMs);
      }
    };
    const run = async (count) => {
      left = count;
      await Promise.all(windows.map(work));
    };
    await run(Math.max(200, calls));
    const server = fieldsOf(pid)[1];
    granted = 0;
    const before = cpuMs(server);
    await run(measuredCalls);
    // 20 connections ask a plan of 8 in vain half of the time, and then end no call.
    const pairs = (measuredCalls + granted) / 2;
    return { cpuMs: (cpuMs(server) - before) / pairs, granted: granted / measuredCalls };
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  } finally {
    await database.close();
  }
}
