import fc from 'fast-check';
import {
  bufferCount,
  concatMap,
  filter,
  lastValueFrom,
  map,
  merge,
  mergeMap,
  of,
  timer,
  toArray,
  type Observable,
} from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromPages } from '../../src/flow/fromPages.ts';
import { fromPull } from '../../src/flow/fromPull.ts';
import { mergeMapBounded } from '../../src/flow/mergeMapBounded.ts';

type Numbers = readonly number[];

/** One stage of a composition; each takes and gives arrays of numbers, so that they can stand in any order. */
const stages = {
  map: fc.constant((source: Observable<Numbers>) => source.pipe(map((numbers) => [...numbers]))),
  split: fc.constant((source: Observable<Numbers>) =>
    source.pipe(concatMap((numbers) => numbers.map((each) => [each]))),
  ),
  plainMerge: fc.constant((source: Observable<Numbers>) => source.pipe(mergeMap((numbers) => of(numbers)))),
  dropEmpty: fc.constant((source: Observable<Numbers>) => source.pipe(filter((numbers) => numbers.length > 0))),
  batch: fc.integer({ min: 1, max: 5 }).map(
    (size) => (source: Observable<Numbers>) =>
      source.pipe(
        bufferCount(size),
        map((batch) => batch.flat()),
      ),
  ),
  bounded: fc
    .record({
      concurrency: fc.integer({ min: 1, max: 4 }),
      prefetch: fc.nat(4),
      delays: fc.array(fc.nat(3), { minLength: 1 }),
    })
    .map(
      ({ delays, ...bound }) =>
        (source: Observable<Numbers>) =>
          source.pipe(
            mergeMapBounded((numbers: Numbers, index) => {
              const delayMs = delays[index % delays.length]!;
              return delayMs === 0 ? of(numbers) : timer(delayMs).pipe(map(() => numbers));
            }, bound),
          ),
    ),
};
const stage = fc.oneof(...Object.values(stages));

const sourceKinds = ['items', 'items later', 'pages', 'pages later'] as const;
const sources = fc.array(fc.record({ kind: fc.constantFrom(...sourceKinds), count: fc.nat(30) }), {
  minLength: 1,
  maxLength: 4,
});

/** A source of `count` numbers from `first` on, that counts what is pulled. */
function open(
  kind: (typeof sourceKinds)[number],
  first: number,
  count: number,
  pulled: { value: number },
): Observable<Numbers> {
  function* items() {
    for (let number = first; number < first + count; number++) {
      pulled.value++;
      yield [number];
    }
  }
  function* pages() {
    const all = [...items()];
    while (all.length > 0) yield all.splice(0, 3);
  }
  async function* later<Value>(values: Iterable<Value>) {
    yield* values;
  }
  if (kind === 'items') return fromPull(items);
  if (kind === 'items later') return fromPull(() => later(items()));
  return kind === 'pages' ? fromPages(pages) : fromPages(() => later(pages()));
}

beforeEach(() => {
  vi.useFakeTimers();
});

describe('whatever stands between sources and bounded operators', () => {
  it('every item comes out once, everything completes, and no timer is left', async () => {
    await fc.assert(
      fc.asyncProperty(sources, fc.array(stage, { maxLength: 6 }), async (kinds, composition) => {
        const pulled = { value: 0 };
        let first = 0;
        const opened = kinds.map(({ kind, count }) => open(kind, (first += count) - count, count, pulled));
        const composed = composition.reduce<Observable<Numbers>>((source, next) => next(source), merge(...opened));
        const all = lastValueFrom(composed.pipe(toArray()));
        await vi.runAllTimersAsync();
        const results = (await all).flat().sort((a, b) => a - b);
        expect(results).toEqual(Array.from({ length: first }, (_, index) => index));
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('what is inside stays within the gate and one batch for each source', async () => {
    const bound = fc.record({ concurrency: fc.integer({ min: 1, max: 5 }), prefetch: fc.nat(5) });
    const batchSize = fc.integer({ min: 1, max: 4 });
    const kinds = fc.array(fc.constantFrom('items', 'items later'), { minLength: 1, maxLength: 4 });
    const delays = fc.array(fc.nat(3), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(bound, batchSize, kinds, delays, async (options, size, opened, delaysMs) => {
        const pulled = { value: 0 };
        let done = 0;
        let most = 0;
        const all = lastValueFrom(
          merge(...opened.map((kind, index) => open(kind as 'items', index * 40, 40, pulled))).pipe(
            map((item) => {
              most = Math.max(most, pulled.value - done);
              return item;
            }),
            bufferCount(size),
            mergeMapBounded(
              (batch, index) => timer(delaysMs[index % delaysMs.length]!).pipe(map(() => (done += batch.length))),
              options,
            ),
          ),
        );
        await vi.runAllTimersAsync();
        await all;
        expect(done).toBe(40 * opened.length);
        const limit = options.concurrency + options.prefetch;
        // A source learns of the gate by its first batch: one batch for each, besides what the gate holds.
        expect(most).toBeLessThanOrEqual(size * (limit + opened.length));
      }),
      { numRuns: 100 },
    );
  });

  it('unsubscribing at any moment closes every source, and nothing more is pulled', async () => {
    await fc.assert(
      fc.asyncProperty(sources, fc.array(stage, { maxLength: 4 }), fc.nat(20), async (kinds, composition, afterMs) => {
        const pulled = { value: 0 };
        const opened = kinds.map(({ kind, count }) => open(kind, 0, count, pulled));
        const composed = composition.reduce<Observable<Numbers>>((source, next) => next(source), merge(...opened));
        const subscription = composed.subscribe();
        await vi.advanceTimersByTimeAsync(afterMs);
        subscription.unsubscribe();
        const before = pulled.value;
        expect(vi.getTimerCount()).toBe(0);
        await vi.runAllTimersAsync();
        expect(pulled.value).toBe(before);
      }),
      { numRuns: 100 },
    );
  });
});
