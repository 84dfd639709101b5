import {
  Subject,
  asyncScheduler,
  bufferCount,
  bufferTime,
  concat,
  concatMap,
  defer,
  delay,
  filter,
  groupBy,
  lastValueFrom,
  map,
  merge,
  mergeMap,
  observeOn,
  of,
  retry,
  scan,
  share,
  subscribeOn,
  switchMap,
  take,
  tap,
  timer,
  toArray,
  windowCount,
  zip,
  type Observable,
} from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromPages } from '../../src/flow/fromPages.ts';
import { fromPull } from '../../src/flow/fromPull.ts';
import { mergeMapBounded } from '../../src/flow/mergeMapBounded.ts';
import { counted, countedLater, slow, type Counter } from './support/sources.ts';

// The table of docs/flow.md, row by row. `slow()` holds 8 items for a millisecond each, 4 at a time.
const limit = 8;

interface Row {
  readonly name: string;
  /** How many numbers make one item at the bounded operator. */
  readonly perItem: number;
  /** How many sources, and how many bounded operators of 8 there are. Default: 1. */
  readonly sources?: number;
  readonly gates?: number;
  readonly compose: (open: () => Observable<number>) => Observable<unknown>;
}

const bounded: Row[] = [
  { name: 'nothing between', perItem: 1, compose: (open) => open().pipe(slow()) },
  {
    name: 'map, scan, tap',
    perItem: 1,
    compose: (open) =>
      open().pipe(
        map((number) => String(number)),
        scan((a) => a),
        tap(),
        slow(),
      ),
  },
  {
    name: 'filter that keeps 1 of 10, bufferCount(10)',
    perItem: 100,
    compose: (open) =>
      open().pipe(
        filter((number) => number % 10 === 0),
        bufferCount(10),
        slow(),
      ),
  },
  { name: 'bufferCount(20)', perItem: 20, compose: (open) => open().pipe(bufferCount(20), slow()) },
  { name: 'bufferCount, nested', perItem: 50, compose: (open) => open().pipe(bufferCount(10), bufferCount(5), slow()) },
  {
    name: 'concatMap that splits batches behind a bounded operator',
    perItem: 20,
    gates: 2,
    compose: (open) =>
      open().pipe(
        bufferCount(20),
        slow(),
        concatMap((numbers) => numbers),
        bufferCount(20),
        slow(),
      ),
  },
  {
    name: 'merge of two sources',
    perItem: 10,
    sources: 2,
    compose: (open) => merge(open(), open()).pipe(bufferCount(10), slow()),
  },
  {
    name: 'concat of two sources',
    perItem: 10,
    compose: (open) => concat(open(), open()).pipe(bufferCount(10), slow()),
  },
  {
    name: 'groupBy and plain mergeMap to an inner bounded operator',
    perItem: 10,
    gates: 3,
    compose: (open) =>
      open().pipe(
        groupBy((number) => number % 3),
        mergeMap((group) => group.pipe(bufferCount(10), slow())),
      ),
  },
  {
    name: 'a source subscribed later, by mergeMap',
    perItem: 10,
    compose: (open) => of(0).pipe(delay(5), mergeMap(open), bufferCount(10), slow()),
  },
  {
    name: 'a source subscribed later, by switchMap',
    perItem: 10,
    compose: (open) => timer(5).pipe(switchMap(open), bufferCount(10), slow()),
  },
  {
    name: 'a source within mergeMapBounded',
    perItem: 10,
    sources: 2,
    compose: (open) => of(0, 1).pipe(mergeMapBounded(open, { concurrency: 2 }), bufferCount(10), slow()),
  },
  {
    name: 'subscribeOn',
    perItem: 10,
    compose: (open) => open().pipe(bufferCount(10), subscribeOn(asyncScheduler), slow()),
  },
  {
    name: 'retry({ delay })',
    perItem: 10,
    compose: (open) => {
      let failures = 1;
      const failing = defer(() => {
        if (failures-- > 0) throw new Error('once');
        return open();
      });
      return failing.pipe(retry({ delay: 5 }), bufferCount(10), slow());
    },
  },
  { name: 'share() with one consumer', perItem: 10, compose: (open) => open().pipe(share(), bufferCount(10), slow()) },
];

/** Runs a composition to its end; the numbers that were pulled and had not come out, at most, over what makes one item. */
async function furthestAhead(
  row: Row,
  count: number,
  items: (pulled: Counter, count: number) => Iterable<number> | AsyncIterable<number>,
) {
  const pulled = { value: 0 };
  let results = 0;
  let most = 0;
  const open = () =>
    fromPull(() => items(pulled, count)).pipe(tap(() => (most = Math.max(most, pulled.value - results * row.perItem))));
  const all = lastValueFrom(
    row.compose(open).pipe(
      tap(() => results++),
      toArray(),
    ),
  );
  await vi.runAllTimersAsync();
  return { results: await all, pulled: pulled.value, most };
}

beforeEach(() => {
  vi.useFakeTimers();
});

describe('a pull source waits for a bounded operator behind', () => {
  for (const row of bounded) {
    for (const [kind, items] of [
      ['synchronous', counted],
      ['asynchronous', countedLater],
    ] as const) {
      it(`${row.name} (${kind} source)`, async () => {
        const count = 1_200;
        const { sources = 1, gates = 1, perItem } = row;
        const { results, pulled, most } = await furthestAhead(row, count, items);
        expect(pulled % count).toBe(0);
        expect(results.flat(3).length).toBe(row.name.startsWith('filter') ? pulled / 10 : pulled);
        expect(most).toBeLessThanOrEqual(perItem * (limit * gates + sources + gates - 1));
      });
    }
  }

  it('switchMap and mergeMap to a source, themselves under a pull source', async () => {
    const flattenings = [
      (inner: () => Observable<number>) => switchMap(inner),
      (inner: () => Observable<number>) => mergeMap(inner),
    ];
    for (const flatten of flattenings) {
      const outer = { value: 0 };
      const inner = { value: 0 };
      let open = 0;
      let results = 0;
      let most = 0;
      const inners = () => {
        open++;
        return fromPull(() => counted(inner, 5)).pipe(tap({ finalize: () => open-- }));
      };
      const all = lastValueFrom(
        fromPull(() => counted(outer, 200)).pipe(
          flatten(inners),
          tap(() => (most = Math.max(most, inner.value - results - open))),
          slow(),
          map(() => results++),
          toArray(),
        ),
      );
      await vi.advanceTimersByTimeAsync(5);
      expect(outer.value).toBeLessThan(50);
      await vi.runAllTimersAsync();
      expect((await all).length).toBe(inner.value);
      expect(most).toBeLessThanOrEqual(limit);
    }
  });

  it('share() with several consumers, when the source is asynchronous: the slowest sets the pace', async () => {
    const pulled = { value: 0 };
    const results = { quick: 0, slow: 0 };
    let most = 0;
    const shared = fromPull(() => countedLater(pulled, 300)).pipe(
      tap(() => (most = Math.max(most, pulled.value - results.slow))),
      share(),
    );
    const all = lastValueFrom(
      merge(
        shared.pipe(
          slow(8, 0),
          tap(() => results.quick++),
        ),
        shared.pipe(
          slow(1, 7),
          tap(() => results.slow++),
        ),
      ),
    );
    await vi.runAllTimersAsync();
    await all;
    expect(results).toEqual({ quick: 300, slow: 300 });
    expect(most).toBeLessThanOrEqual(limit + 1);
  });

  it('fromPages, which holds one page more', async () => {
    const pulled = { value: 0 };
    let results = 0;
    let most = 0;
    function* pages() {
      while (pulled.value < 1_000) yield [...counted(pulled, 50)];
    }
    const all = lastValueFrom(
      fromPages(() => pages()).pipe(
        tap(() => (most = Math.max(most, pulled.value - results))),
        slow(),
        tap(() => results++),
        toArray(),
      ),
    );
    await vi.runAllTimersAsync();
    expect((await all).length).toBe(1_000);
    expect(most).toBeLessThanOrEqual(limit + 50);
  });
});

describe('nothing is bounded by an operator that holds items in time', () => {
  const count = 1_000;
  const unbounded: Record<string, (source: Observable<number>) => Observable<unknown>> = {
    delay: (source) => source.pipe(delay(5), slow()),
    observeOn: (source) => source.pipe(observeOn(asyncScheduler), slow()),
    bufferTime: (source) => source.pipe(bufferTime(10), slow()),
    'mergeMap(promise)': (source) =>
      source.pipe(
        mergeMap((number) => Promise.resolve(number)),
        slow(),
      ),
    'concatMap(promise)': (source) =>
      source.pipe(
        concatMap((number) => Promise.resolve(number)),
        slow(),
      ),
    'zip with a slow side': (source) => zip(source, timer(0, 1)).pipe(slow()),
    'share() with several consumers': (source) => {
      const shared = source.pipe(share());
      return merge(shared.pipe(filter(() => false)), shared.pipe(slow()));
    },
    'concatMap to a source, under a pull source': (source) =>
      source.pipe(
        concatMap((number) => fromPull([number, number, number])),
        slow(),
      ),
  };
  for (const [name, compose] of Object.entries(unbounded)) {
    it(name, async () => {
      const pulled = { value: 0 };
      let results = 0;
      const source = fromPull(() => counted(pulled, count));
      const subscription = compose(source).subscribe(() => results++);
      await vi.advanceTimersByTimeAsync(20);
      expect(pulled.value).toBeGreaterThanOrEqual(count);
      expect(results).toBeLessThan(200);
      subscription.unsubscribe();
    });
  }

  it('and mergeMapBounded in its place bounds the same work', async () => {
    const pulled = { value: 0 };
    const inPlace = mergeMapBounded((number: number) => of(number).pipe(delay(5)), { concurrency: 4 });
    const subscription = fromPull(() => counted(pulled, count))
      .pipe(inPlace, slow())
      .subscribe();
    await vi.advanceTimersByTimeAsync(4);
    expect(pulled.value).toBe(8);
    subscription.unsubscribe();
  });
});

describe('groups and windows as items of mergeMapBounded', () => {
  const stalled = { name: 'FlowError', code: 'flow_stalled', message: expect.stringContaining('still open') as string };
  const source = () => fromPull(() => counted({ value: 0 }, 1_000));

  it('stall, with an error that says so, once open groups fill it', async () => {
    for (const prefetch of [0, 2]) {
      const grouped = source().pipe(
        groupBy((number) => number % 7),
        mergeMapBounded((group) => group.pipe(toArray()), { concurrency: 2, prefetch }),
      );
      await expect(lastValueFrom(grouped)).rejects.toMatchObject(stalled);
    }
  });

  it('stall under an asynchronous source and behind another bounded operator, too', async () => {
    const later = fromPull(() => countedLater({ value: 0 }, 1_000));
    for (const pulled of [later, source().pipe(slow())]) {
      const grouped = pulled.pipe(
        groupBy((number) => number % 7),
        mergeMapBounded((group) => group.pipe(toArray()), { concurrency: 2 }),
      );
      const result = expect(lastValueFrom(grouped)).rejects.toMatchObject(stalled);
      await vi.advanceTimersByTimeAsync(100);
      await result;
    }
  });

  it('stall whether the item is the group, a promise is made of it, or it lies in an object', async () => {
    const keyed = source().pipe(groupBy((number) => number % 7));
    const bound = { concurrency: 2 };
    const compositions: Observable<unknown>[] = [
      keyed.pipe(
        map((group) => group.pipe(map((number) => String(number)))),
        mergeMapBounded((group) => group, bound),
      ),
      keyed.pipe(mergeMapBounded((group) => lastValueFrom(group), bound)),
      keyed.pipe(
        map((items) => ({ items })),
        mergeMapBounded(({ items }) => items.pipe(toArray()), bound),
      ),
    ];
    for (const composition of compositions) await expect(lastValueFrom(composition)).rejects.toMatchObject(stalled);
  });

  it('stall when windows overlap more than there are places, or leave no place for the next', async () => {
    const overlapping = source().pipe(
      windowCount(100, 10),
      mergeMapBounded((window) => window.pipe(toArray()), { concurrency: 2 }),
    );
    await expect(lastValueFrom(overlapping)).rejects.toMatchObject(stalled);
    const noPlace = source().pipe(
      windowCount(10),
      mergeMapBounded((window) => window.pipe(toArray()), { concurrency: 1, prefetch: 0 }),
    );
    await expect(lastValueFrom(noPlace)).rejects.toMatchObject(stalled);
  });

  it('work while there are fewer open groups than running places', async () => {
    const grouped = source().pipe(
      groupBy((number) => number % 3),
      mergeMapBounded((group) => group.pipe(toArray()), { concurrency: 4 }),
      map((numbers) => numbers.length),
      toArray(),
    );
    expect(await lastValueFrom(grouped)).toEqual([334, 333, 333]);
  });

  it('work when windows do not overlap', async () => {
    const windows = source().pipe(
      windowCount(10),
      mergeMapBounded((window) => window.pipe(toArray()), { concurrency: 2 }),
      map((numbers) => numbers.length),
      toArray(),
    );
    expect((await lastValueFrom(windows)).reduce((sum, length) => sum + length)).toBe(1_000);
  });

  it('count no longer when their inner Observable has ended before them', async () => {
    const items = new Subject<number>();
    const all = lastValueFrom(
      merge(items.pipe(groupBy((number) => number % 2)), items.pipe(filter((number) => number >= 2))).pipe(
        mergeMapBounded((item) => (typeof item === 'number' ? timer(1) : item.pipe(take(1))), {
          concurrency: 2,
          prefetch: 0,
        }),
        toArray(),
      ),
    );
    fromPull(() => counted({ value: 0 }, 10)).subscribe(items);
    await vi.runAllTimersAsync();
    expect((await all).length).toBe(10);
  });

  it('do not stall while they are queued behind a bounded operator further down', async () => {
    const windows = fromPull(() => counted({ value: 0 }, 20)).pipe(
      windowCount(2),
      mergeMapBounded((window) => window.pipe(delay(1)), { concurrency: 1, prefetch: 1 }),
      mergeMapBounded((number) => timer(5).pipe(map(() => number)), { concurrency: 1, prefetch: 0 }),
      toArray(),
    );
    const result = lastValueFrom(windows);
    result.catch(() => undefined);
    await vi.runAllTimersAsync();
    expect((await result).slice(0, 2)).toEqual([0, 1]);
  });

  it('do not stall while items that may end them are under way', async () => {
    const grouped = fromPull(['a', 'b', 'a', 'b', 'c', 'c']).pipe(
      mergeMapBounded((key, index) => timer(index + 1).pipe(map(() => key)), { concurrency: 4 }),
      groupBy((key) => key),
      mergeMapBounded((group) => group.pipe(take(2), toArray()), { concurrency: 2, prefetch: 0 }),
      map((keys) => keys.join('')),
      toArray(),
    );
    const result = lastValueFrom(grouped);
    result.catch(() => undefined);
    await vi.runAllTimersAsync();
    expect(await result).toEqual(['aa', 'bb', 'cc']);
  });
});
