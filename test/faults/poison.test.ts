// Issue 10, item 10: a request that no worker survives, on real workers that die of it.
import { afterAll, describe, expect, it } from 'vitest';
import { compileWorkers } from '../support/workers/compileWorkers.ts';
import { isAllAnswered } from '../support/workers/findProblems.ts';
import { requestFor, topics, type PlannedRequest } from '../support/workers/requests.ts';
import { requireBench } from '../support/workers/requireBench.ts';
import { settle } from '../support/workers/settle.ts';

const program = await compileWorkers();
const opened = await requireBench({
  workers: 2,
  program: program.smallBatches,
  sessionTimeoutMs: 1_000,
  environment: { BATCH_SIZE: '5', SPLIT_ABOVE: '2' },
});
const bench = opened!;
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await program[Symbol.asyncDispose]();
});

/** A request for so many symbols, one of which ends whoever fetches it. */
function poisonAt(index: number, count: number): PlannedRequest {
  const planned = requestFor('market', bench.nextNumber(), count);
  const symbols = planned.symbols.map((symbol, at) => (at === index ? 'POISON' : symbol));
  return { ...planned, symbols, value: Buffer.from(JSON.stringify({ symbols, assetType: 'STOCK' })) };
}

/** Starts each worker again whenever it has died, until all is answered; answers how often one has. */
async function outlive(): Promise<number> {
  let isOver = false;
  const answered = bench.answers
    .until(() => isAllAnswered(bench))
    .then(() => {
      isOver = true;
    });
  let deaths = 0;
  await Promise.all(
    bench.workers.map(async ({ process }) => {
      process.start();
      while (!isOver) {
        await Promise.race([answered, process.gone()]);
        if (process.isRunning) continue;
        deaths += 1;
        process.start();
      }
    }),
  );
  await settle(bench);
  return deaths;
}

interface Seen {
  readonly key: string;
  readonly status: string;
  readonly errorType?: string;
  readonly assets?: readonly { readonly symbol: string }[];
  readonly failed: readonly { readonly symbol: string; readonly reason: string }[];
}

function completionsOf(keys: readonly string[]): Seen[] {
  return bench.answers.records
    .filter(({ topic, key }) => topic === topics.market.completion && keys.includes(key))
    .map(({ key, value }) => ({ ...(JSON.parse(String(value)) as Omit<Seen, 'key'>), key }));
}

const deadLetters = (): string[] =>
  bench.answers.records.filter(({ topic }) => topic.endsWith('-dlt')).map(({ value }) => String(value));

describe.skipIf(opened === undefined)('a request that ends the worker that has it', () => {
  it('is answered in the end, and so are twenty others beside it, each once', async () => {
    bench.prices.latencyMs = 500;
    const some = (count: number) => Array.from({ length: count }, () => requestFor('market', bench.nextNumber(), 3));
    const [poison, ...others] = await bench.send([poisonAt(1, 3), ...some(20)]);
    const deaths = await outlive();

    const answers = completionsOf(others.map(({ key }) => key));
    expect(answers.map(({ key }) => key).sort()).toEqual(others.map(({ key }) => key).sort());
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['complete']));
    const [last, ...more] = completionsOf([poison!.key]);
    expect([last?.status, last?.errorType, more]).toEqual(['failed', 'request_exhausted', []]);
    expect(last?.failed.map(({ symbol, reason }) => `${symbol} ${reason}`)).toEqual(
      poison!.symbols.map((symbol) => `${symbol} request_exhausted`),
    );
    expect(deadLetters()).toEqual([String(poison!.value)]);
    // Two among others, three alone.
    expect(deaths).toBe(5);
  });

  it('loses only the batch that does it, where it is shared', async () => {
    const [poison, ...others] = await bench.send([
      poisonAt(12, 25),
      requestFor('market', bench.nextNumber(), 25),
      requestFor('market', bench.nextNumber(), 3),
    ]);
    const deaths = await outlive();

    expect(completionsOf(others.map(({ key }) => key)).map(({ status }) => status)).toEqual(['complete', 'complete']);
    const [last, ...more] = completionsOf([poison!.key]);
    expect([last?.status, last?.assets?.length, more]).toEqual(['partial', 20, []]);
    expect(last?.failed.map(({ symbol, reason }) => `${symbol} ${reason}`)).toEqual(
      poison!.symbols.slice(10, 15).map((symbol) => `${symbol} request_exhausted`),
    );
    expect(deadLetters()).toHaveLength(2);
    expect(deaths).toBe(5);
  });
});
