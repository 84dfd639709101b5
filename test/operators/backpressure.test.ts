import { lastValueFrom } from 'rxjs';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { fromPull } from '../../src/flow/fromPull.ts';
import { memorySink } from '../../src/memory/memorySink.ts';
import type { Fetcher, Sink } from '../../src/model/ports.ts';
import { batch } from '../../src/operators/batch.ts';
import { planBatch } from '../../src/operators/planBatch.ts';
import { summarize } from '../../src/operators/summarize.ts';
import { throttledFetch } from '../../src/operators/throttledFetch.ts';
import { writeTo } from '../../src/operators/writeTo.ts';

const batchSize = 10;
const items = 5_000;

const fetcher: Fetcher<number, number> = {
  name: 'instant',
  fetch: async (inputs) => inputs.map((value) => ({ status: 'ok', value, provider: 'instant', receivedAtMs: 0 })),
};

/** A sink slower than everything above it, which sees how far the source has run ahead. */
function slowSink(pulled: () => number): Sink<number, number> & { readonly furthest: () => number } {
  const sink = memorySink<number, number>();
  let written = 0;
  let furthest = 0;
  return {
    ...sink,
    furthest: () => furthest,
    async write(batch, call) {
      for (let turn = 0; turn < 3; turn += 1) {
        furthest = Math.max(furthest, pulled() - written);
        await setImmediate();
      }
      written += batch.outcomes.length;
      return sink.write(batch, call);
    },
  };
}

describe('the operators together', () => {
  it('pull no more than their stages hold, however slow the sink is', async () => {
    let pulled = 0;
    const numbers = function* () {
      for (; pulled < items; pulled += 1) yield pulled;
    };
    const sink = slowSink(() => pulled);
    const summary = await lastValueFrom(
      fromPull(() => numbers()).pipe(
        batch({ batchSize }),
        planBatch({ sink }),
        throttledFetch({ fetcher }),
        writeTo({ sink }),
        summarize(),
      ),
    );
    expect(summary.outcomes.map(({ input }) => input)).toEqual(Array.from({ length: items }, (_, index) => index));
    // Each stage runs and queues its concurrency (2, 4 and 2 batches), what runs above a full stage still comes down
    // to it (2 and 4), and one more batch is being grouped.
    const bound = (2 * (2 + 4 + 2) + (2 + 4) + 1) * batchSize;
    expect(sink.furthest()).toBeLessThanOrEqual(bound);
    expect(sink.furthest()).toBeGreaterThan(4 * batchSize);
  });

  it('pull no more either when nothing has to be fetched', async () => {
    let pulled = 0;
    const numbers = function* () {
      for (; pulled < items; pulled += 1) yield pulled;
    };
    const sink = slowSink(() => pulled);
    const fresh: Sink<number, number> = {
      ...sink,
      current: async (inputs) => inputs.map((input) => ({ status: 'fresh', input, value: input })),
    };
    const summary = await lastValueFrom(
      fromPull(() => numbers()).pipe(
        batch({ batchSize }),
        planBatch({ sink: fresh, request: 'r' }),
        throttledFetch({ fetcher }),
        writeTo({ sink: fresh }),
        summarize(),
      ),
    );
    expect(summary.counts).toEqual({ ok: 0, fresh: items, failed: 0, skipped: 0 });
    expect(sink.furthest()).toBeLessThanOrEqual((2 * (2 + 2) + 2 + 1) * batchSize);
  });

  it('close the source when unsubscribed in the middle', async () => {
    let closed = false;
    const numbers = function* () {
      try {
        for (let value = 0; ; value += 1) yield value;
      } finally {
        closed = true;
      }
    };
    const sink = slowSink(() => 0);
    await new Promise<void>((resolve) => {
      const subscription = fromPull(() => numbers())
        .pipe(batch({ batchSize }), planBatch({ sink }), throttledFetch({ fetcher }), writeTo({ sink }))
        .subscribe(({ index }) => {
          if (index < 3) return;
          subscription.unsubscribe();
          resolve();
        });
    });
    expect(closed).toBe(true);
  });
});
