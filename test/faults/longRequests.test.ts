import { afterAll, describe, expect, it } from 'vitest';
import { compileWorkers } from '../support/workers/compileWorkers.ts';
import { findProblems, isAllAnswered } from '../support/workers/findProblems.ts';
import { requestFor } from '../support/workers/requests.ts';
import { requireBench } from '../support/workers/requireBench.ts';
import { settle } from '../support/workers/settle.ts';
import { within } from '../support/within.ts';

const sessionTimeoutMs = 1_000;
const progressDeadlineMs = 8_000;

const program = await compileWorkers();
const opened = await requireBench({
  workers: 1,
  program: program.smallBatches,
  sessionTimeoutMs,
  environment: { PROGRESS_DEADLINE_MS: String(progressDeadlineMs) },
});
const bench = opened!;
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await program[Symbol.asyncDispose]();
});

const isDeadLetter = ({ headers }: (typeof bench.answers.records)[number]): boolean =>
  headers?.['kafka_dlt-original-offset'] !== undefined;

describe.skipIf(opened === undefined)('a worker', () => {
  it('keeps the partition of a request that takes several times as long as its session', async () => {
    const { process } = bench.workers[0]!;
    process.start();
    bench.prices.latencyMs = 5 * sessionTimeoutMs;
    await bench.send([requestFor('market', bench.nextNumber(), 3)]);
    await within(
      60_000,
      bench.answers.until(() => isAllAnswered(bench)),
    );
    bench.prices.latencyMs = 20;

    expect(await findProblems(bench)).toEqual([]);
    expect(process.log).toContain('partition-owned');
    expect(process.log).not.toContain('partition-lost');
    expect(bench.prices.calls).toHaveLength(1);
  });

  it('gives up a request whose provider hangs, tells its client, and goes on with others', async () => {
    const [known] = bench.sent;
    bench.workers[0]!.providers.set({ swallow: true });
    const [hung, fresh] = await bench.send([requestFor('market', bench.nextNumber(), 3), known!]);
    const isAnswered = (key: string): boolean => bench.answers.records.some((record) => record.key === key);
    await within(
      60_000,
      bench.answers.until(() => isAnswered(fresh!.key)),
    );
    const wasFirst = !isAnswered(hung!.key);
    const isDead = (): boolean => bench.answers.records.some(isDeadLetter);
    await within(
      60_000,
      // One transaction has both, but they come from two partitions.
      bench.answers.until(() => isAllAnswered(bench) && isDead()),
    );

    // Its symbols are in the table: it needs no provider.
    expect(wasFirst).toBe(true);
    const ofHung = bench.answers.records.filter((record) => record.key === hung!.key || isDeadLetter(record));
    expect(ofHung.map(({ topic }) => topic).sort()).toEqual([
      'MARKET_DATA_UPDATE_COMPLETE',
      'MARKET_DATA_UPDATE_REQUEST-dlt',
    ]);
    const event = JSON.parse(String(ofHung.find(({ key }) => key === hung!.key)?.value)) as {
      readonly status: string;
      readonly skipped: readonly { readonly reason: string }[];
    };
    expect(event).toMatchObject({
      status: 'failed',
      skipped: hung!.symbols.map((symbol) => ({ symbol, reason: 'deadline' })),
    });
    bench.workers[0]!.providers.set({ swallow: false });
    await settle(bench);
    expect(bench.workers[0]!.process.surprises).toEqual([]);
  });
});
