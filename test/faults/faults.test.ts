import { sql } from '@databases/pg';
import { afterAll, describe, expect, it } from 'vitest';
import { seeded } from '../support/seeded.ts';
import { calm } from '../support/tcpProxy.ts';
import { pause, within } from '../support/within.ts';
import { compileWorkers } from '../support/workers/compileWorkers.ts';
import { CrashWatch, type CrashPoint } from '../support/workers/crashPoints.ts';
import { findProblems, isAllAnswered } from '../support/workers/findProblems.ts';
import { requestFor, type PlannedRequest } from '../support/workers/requests.ts';
import { requireBench } from '../support/workers/requireBench.ts';
import { settle } from '../support/workers/settle.ts';
import type { BenchWorker } from '../support/workers/workerBench.ts';

const random = seeded(6);
const program = await compileWorkers();
const opened = await requireBench({ workers: 2, program: program.main, words: ['work', '--port', '0'] });
const bench = opened!;
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await program[Symbol.asyncDispose]();
});

/** How long a fault lasts. */
const outageMs = 3_000;

/** A request of each topic, of several batches. */
function someRequests(): PlannedRequest[] {
  return [
    requestFor('market', bench.nextNumber(), 350),
    requestFor('index', bench.nextNumber(), 120),
    requestFor('historical', bench.nextNumber(), 120),
  ];
}

/** Requests come while something fails, and before and after it; in the end all of them are answered. */
async function during(fault: () => Promise<void>): Promise<void> {
  for (const { process } of bench.workers) if (!process.isRunning) process.start();
  await bench.send(someRequests());
  await pause(random() * 300);
  const failing = fault();
  const sending: Promise<unknown>[] = [];
  for (let more = 0; more < 3; more += 1) {
    await pause(random() * 300);
    // A broker that is away takes them when it is back.
    sending.push(bench.send(someRequests()));
  }
  await failing;
  await Promise.all([...sending, bench.send(someRequests())]);
  await within(
    60_000,
    bench.answers.until(() => isAllAnswered(bench)),
  );
}

/** Three times, at the next such moment of any worker, what is said then is lost and something breaks. */
async function breakAt(point: CrashPoint, breakIt: (worker: BenchWorker) => Promise<void>): Promise<number> {
  let hits = 0;
  const own = bench.workers.map(({ wire }) => wire.crash);
  for (const worker of bench.workers) {
    const watch = new CrashWatch(() => {
      hits += 1;
      void breakIt(worker).then(() => watch.arm(hits < 3 ? point : undefined));
    });
    watch.arm(point);
    worker.wire.crash = watch;
  }
  await during(async () => {
    for (let more = 0; more < 40 && hits < 3; more += 1) {
      if (more % 10 === 0) await bench.send([requestFor('market', bench.nextNumber(), 2_150)]);
      await pause(250);
    }
  });
  for (const [number, { wire }] of bench.workers.entries()) wire.crash = own[number];
  return hits;
}

/** Connections that all workers opened to a server in that time, also those that led nowhere. */
async function connectionsDuring(server: 'kafka' | 'postgres', fault: () => Promise<void>): Promise<number> {
  const count = (): number => bench.workers.reduce((sum, worker) => sum + worker[server].connections, 0);
  const before = count();
  await fault();
  return count() - before;
}

/** A worker that tries again without a pause makes thousands. */
const fewConnections = (outages: number): number => bench.workers.length * outages * (outageMs / 1_000) * 40;

describe.skipIf(opened === undefined)('workers answer everything, and nothing wrongly,', () => {
  it.each(['inside the transaction of a batch', 'after the commit of a batch'] as const)(
    'while their sessions of PostgreSQL are killed %s',
    async (point) => {
      const hits = await breakAt(point, async () => {
        await bench.database.pool.query(sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'tests'`);
      });

      await expectAllAnswered();
      expect(hits).toBeGreaterThanOrEqual(3);
    },
  );

  it.each(['before the end of the announcement', 'after the announcement', 'before the offset of a part'] as const)(
    'while their connections to Kafka break off %s',
    async (point) => {
      const hits = await breakAt(point, async ({ kafka }) => kafka.reset());

      await expectAllAnswered();
      expect(hits).toBeGreaterThanOrEqual(3);
    },
  );

  it('while PostgreSQL is restarted', async () => {
    const connections = await connectionsDuring('postgres', () =>
      during(async () => {
        await bench.postgres.pause();
        await pause(outageMs);
        await bench.postgres.unpause();
      }),
    );

    await expectAllAnswered();
    expect(connections).toBeLessThan(fewConnections(1));
  });

  it('while Kafka is restarted', async () => {
    const connections = await connectionsDuring('kafka', () =>
      during(async () => {
        await bench.broker.pause();
        await pause(outageMs);
        await bench.broker.unpause();
      }),
    );

    await expectAllAnswered();
    expect(connections).toBeLessThan(fewConnections(1));
  });

  it('while the provider is down for a while', async () => {
    await during(async () => {
      await Promise.all(bench.workers.map(({ providers }) => providers.refuse()));
      await pause(outageMs);
      await Promise.all(bench.workers.map(({ providers }) => providers.admit()));
    });

    await expectAllAnswered();
  });

  it('while the provider takes connections and says nothing', async () => {
    await during(async () => {
      for (const { providers } of bench.workers) providers.set({ swallow: true });
      await pause(outageMs);
      for (const { providers } of bench.workers) {
        providers.set({ swallow: false });
        providers.reset(); // what was swallowed never comes
      }
    });

    await expectAllAnswered();
  });

  it('while connections are slow, break off after some bytes, and are reset', async () => {
    await during(async () => {
      const proxies = bench.workers.flatMap(({ kafka, postgres, providers }) => [kafka, postgres, providers]);
      for (const proxy of proxies) proxy.set({ latencyMs: 10, jitterMs: 20, cutAfterBytes: 200_000, slowCloseMs: 50 });
      for (let reset = 0; reset < 10; reset += 1) {
        await pause(random() * 600);
        proxies[Math.floor(random() * proxies.length)]!.reset();
      }
      for (const proxy of proxies) proxy.set(calm);
    });

    await expectAllAnswered();
  });

  it('and stop in order', async () => {
    await settle(bench);

    expect(await findProblems(bench)).toEqual([]);
  });
});

/** The rest is looked at in the end. */
async function expectAllAnswered(): Promise<void> {
  const { answers, sent } = bench;
  const keys = new Set(answers.records.map(({ key }) => key));
  expect(sent.filter(({ key }) => !keys.has(key)).map(({ key }) => key)).toEqual([]);
  expect(bench.workers.flatMap(({ process }) => process.surprises)).toEqual([]);
}
