import { sql } from '@databases/pg';
import { afterAll, describe, expect, it } from 'vitest';
import { expectWindow } from '../../src/testing/expectWindow.ts';
import { pause } from '../support/within.ts';
import { compileWorkers } from '../support/workers/compileWorkers.ts';
import { findProblems } from '../support/workers/findProblems.ts';
import { requestFor } from '../support/workers/requests.ts';
import { requireBench } from '../support/workers/requireBench.ts';
import { settle } from '../support/workers/settle.ts';

const [batches, batchSize] = [1_000, 5];
const quota = { limit: 1_000, windowMs: 1_000 };

const program = await compileWorkers();
const opened = await requireBench({
  workers: 3,
  program: program.smallBatches,
  environment: {
    BATCH_SIZE: String(batchSize),
    TWELVE_DATA_CREDITS_PER_MINUTE: String(quota.limit),
    TWELVE_DATA_WINDOW_MS: String(quota.windowMs),
  },
});
const bench = opened!;
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await program[Symbol.asyncDispose]();
});

async function storedBatches(): Promise<number> {
  const [row] = (await bench.database.pool.query(
    sql`select count(*)::int as stored from ${sql.ident(bench.database.ownSchema, 'batches')}`,
  )) as [{ readonly stored: number }];
  return row.stored;
}

describe.skipIf(opened === undefined)('a request of 1,000 batches', () => {
  it('is done by three workers, of which one is killed midway, within the quota and each batch once', async () => {
    for (const { process } of bench.workers) process.start();
    await bench.send([{ ...requestFor('market', bench.nextNumber(), batches * batchSize), batchSize }]);
    while ((await storedBatches()) < batches * 0.4) await pause(50);
    await bench.kill(bench.workers[1]!);
    const storedThen = await storedBatches();
    await settle(bench);

    expect(storedThen).toBeLessThan(batches);
    expect(await findProblems(bench)).toEqual([]);
    expect(await storedBatches()).toBe(batches);
    // All of them took part.
    expect(new Set(bench.prices.calls.map(({ worker }) => worker)).size).toBe(3);
    const arrivals = bench.prices.calls.map(({ atMs, symbols }) => ({ at: atMs, credits: symbols.length }));
    expect(expectWindow(arrivals, quota)).toBeGreaterThan(0);
  });
});
