import fc from 'fast-check';
import { lastValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { fromPull } from '../../src/flow/fromPull.ts';
import { memorySink, type MemorySink } from '../../src/memory/memorySink.ts';
import type { Fetched, Fetcher } from '../../src/model/ports.ts';
import type { Summary } from '../../src/model/summary.ts';
import { batch } from '../../src/operators/batch.ts';
import { planBatch } from '../../src/operators/planBatch.ts';
import { summarize } from '../../src/operators/summarize.ts';
import { throttledFetch } from '../../src/operators/throttledFetch.ts';
import { writeTo } from '../../src/operators/writeTo.ts';

const inputs = Array.from({ length: 60 }, (_, index) => index);

/** Fetches one input after the other and notes each; aborts the run itself after `limit` of them. */
function countedFetcher(paid: number[], limit = Number.POSITIVE_INFINITY) {
  const controller = new AbortController();
  let left = limit;
  const fetchOne = async (input: number, signal: AbortSignal): Promise<Fetched<number>> => {
    await Promise.resolve();
    if (signal.aborted) return { status: 'skipped', reason: 'canceled' };
    paid.push(input);
    if (--left <= 0) controller.abort();
    return { status: 'ok', value: input, provider: 'counted', receivedAtMs: performance.now() };
  };
  const fetcher: Fetcher<number, number> = {
    name: 'counted',
    async fetch(wanted, { signal }) {
      const fetched: Fetched<number>[] = [];
      for (const input of wanted) fetched.push(await fetchOne(input, signal));
      return fetched;
    },
  };
  return { fetcher, signal: controller.signal };
}

const run = (
  sink: MemorySink<number, number>,
  { fetcher, signal }: ReturnType<typeof countedFetcher>,
  batchSize: number,
): Promise<Summary<number, number>> =>
  lastValueFrom(
    fromPull(inputs).pipe(
      batch({ batchSize }),
      // No value is ever fresh: what is not paid for twice is known from the ledger alone.
      planBatch({ sink, request: 'r', maxAgeMs: 0, signal }),
      throttledFetch({ fetcher, request: 'r', signal }),
      writeTo({ sink }),
      summarize(),
    ),
  );

describe('a request that was stopped and is taken up again', () => {
  it('accounts for every input each time, and pays for none twice', async () => {
    const cases = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 4 });
    const sizes = fc.integer({ min: 1, max: 25 });
    await fc.assert(
      fc.asyncProperty(cases, sizes, async (limits, batchSize) => {
        const sink = memorySink<number, number>();
        const paid: number[] = [];
        for (const limit of limits) {
          const stopped = await run(sink, countedFetcher(paid, limit), batchSize);
          expect(stopped.outcomes.map(({ input }) => input)).toEqual(inputs);
          expect(sink.rows.size).toBe(paid.length);
        }
        const finished = await run(sink, countedFetcher(paid), batchSize);
        expect(finished.counts).toEqual({ ok: inputs.length, fresh: 0, failed: 0, skipped: 0 });
        expect(finished.written.inserted).toBe(inputs.length);
        expect(paid.toSorted((one, other) => one - other)).toEqual(inputs);
      }),
      { numRuns: 30 },
    );
  });
});
