import {
  EMPTY,
  NEVER,
  Subject,
  concat,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  merge,
  of,
  take,
  tap,
  timer,
  toArray,
} from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromPull } from '../../src/flow/fromPull.ts';
import { mergeMapBounded, type MergeMapBoundedOptions } from '../../src/flow/mergeMapBounded.ts';
import { marbles } from './support/marbles.ts';
import { counted, slow } from './support/sources.ts';

describe('mergeMapBounded', () => {
  it('completes with an empty source', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --|');
      const subscribed = '   ^-!';
      const expected = '     --|';
      expectObservable(source.pipe(mergeMapBounded(() => of('x'), { concurrency: 1 }))).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(subscribed);
    });
  });

  it('emits what the inner Observable of one item emits', () => {
    marbles(({ cold, expectObservable }) => {
      const source = cold('  -a|');
      const inner = cold('    -x-y|');
      const expected = '     --x-y|';
      expectObservable(source.pipe(mergeMapBounded(() => inner, { concurrency: 1 }))).toBe(expected);
    });
  });

  it('runs as many inner Observables as concurrency says, and the next when one ends', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  abc|');
      const inner = cold('   ---x|');
      const first = '        ^---!';
      const second = '       -^---!';
      const third = '        ----^---!';
      const expected = '     ---xx--x|';
      expectObservable(source.pipe(mergeMapBounded(() => inner, { concurrency: 2 }))).toBe(expected);
      expectSubscriptions(inner.subscriptions).toBe([first, second, third]);
    });
  });

  it('emits results as they come, whatever the order of the items', () => {
    marbles(({ cold, expectObservable }) => {
      const inner = {
        a: cold('            ----x|'),
        b: cold('             -y|'),
      };
      const source = cold<'a' | 'b'>('ab|');
      const expected = '     --y-x|';
      expectObservable(source.pipe(mergeMapBounded((item) => inner[item], { concurrency: 2 }))).toBe(expected);
    });
  });

  it('does not complete while the source or an inner Observable goes on', () => {
    marbles(({ cold, expectObservable }) => {
      const never = cold('   -');
      const expected = '     -';
      expectObservable(never.pipe(mergeMapBounded(() => EMPTY, { concurrency: 1 }))).toBe(expected);
      const source = cold('  a|');
      expectObservable(source.pipe(mergeMapBounded(() => NEVER, { concurrency: 1 }))).toBe(expected);
    });
  });

  it('passes on an error of the source at once, and unsubscribes the inner Observables', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  a--#');
      const inner = cold('   -x-----y|');
      const subscribed = '   ^--!';
      const expected = '     -x-#';
      expectObservable(source.pipe(mergeMapBounded(() => inner, { concurrency: 1 }))).toBe(expected);
      expectSubscriptions(inner.subscriptions).toBe(subscribed);
    });
  });

  it("passes on what the user's function throws, and unsubscribes the source", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  -a-b--|');
      const subscribed = '   ^--!';
      const expected = '     -x-#';
      const project = (item: string) => {
        if (item === 'b') throw new Error('refused');
        return of('x');
      };
      expectObservable(source.pipe(mergeMapBounded(project, { concurrency: 1 }))).toBe(
        expected,
        undefined,
        new Error('refused'),
      );
      expectSubscriptions(source.subscriptions).toBe(subscribed);
    });
  });

  it('passes on an error of an inner Observable, and unsubscribes everything else', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  ab----|');
      const inner = {
        a: cold('            ------x|'),
        b: cold('             --#'),
      };
      const other = '        ^--!';
      const expected = '     ---#';
      expectObservable(source.pipe(mergeMapBounded((item) => inner[item as 'a'], { concurrency: 2 }))).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(other);
      expectSubscriptions(inner.a.subscriptions).toBe(other);
    });
  });

  it('unsubscribes the source and every inner Observable early, and starts nothing more', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  abc---|');
      const inner = cold('   --x--x|');
      const first = '        ^---!';
      const second = '       -^--!';
      const unsubscribed = ' ----!';
      const expected = '     --xx-';
      expectObservable(source.pipe(mergeMapBounded(() => inner, { concurrency: 2 })), unsubscribed).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(first);
      expectSubscriptions(inner.subscriptions).toBe([first, second]);
    });
  });

  it('takes whatever RxJS takes for an inner Observable, and refuses the rest', async () => {
    const results = of('promise', 'array', 'generator').pipe(
      mergeMapBounded(
        (kind): Promise<string> | Iterable<string> => {
          if (kind === 'promise') return Promise.resolve(kind);
          return kind === 'array' ? [kind] : [kind].values();
        },
        { concurrency: 3 },
      ),
      toArray(),
    );
    expect((await lastValueFrom(results)).sort()).toEqual(['array', 'generator', 'promise']);
    const nothing = of(1).pipe(mergeMapBounded(() => 42 as unknown as string[], { concurrency: 1 }));
    await expect(lastValueFrom(nothing)).rejects.toThrow("You provided '42' where a stream was expected");
  });

  it('gives the project function the item and its index', async () => {
    const indexed = from('abc').pipe(
      mergeMapBounded((item, index) => of(`${item}${String(index)}`), { concurrency: 1 }),
      toArray(),
    );
    expect(await lastValueFrom(indexed)).toEqual(['a0', 'b1', 'c2']);
  });

  it('keeps its state inside each subscription', async () => {
    const twice = from([1, 2]).pipe(
      mergeMapBounded((item, index) => of(item * 10 + index), { concurrency: 1 }),
      toArray(),
    );
    expect(await firstValueFrom(twice)).toEqual(await firstValueFrom(twice));
  });

  describe('options', () => {
    const refused: [MergeMapBoundedOptions | undefined, string][] = [
      [{ concurrency: 0 }, 'mergeMapBounded: concurrency: expected an integer of at least 1, got 0'],
      [{ concurrency: 1.5 }, 'mergeMapBounded: concurrency: expected an integer of at least 1, got 1.5'],
      [{ concurrency: Infinity }, 'mergeMapBounded: concurrency: expected an integer of at least 1, got Infinity'],
      [
        { concurrency: '4' as unknown as number },
        'mergeMapBounded: concurrency: expected an integer of at least 1, got "4"',
      ],
      [{} as MergeMapBoundedOptions, 'mergeMapBounded: concurrency: expected an integer of at least 1, got undefined'],
      [{ concurrency: 1, prefetch: -1 }, 'mergeMapBounded: prefetch: expected an integer of at least 0, got -1'],
      [{ concurrency: 1, prefech: 2 } as MergeMapBoundedOptions, "mergeMapBounded: unknown option 'prefech'"],
      [undefined, 'mergeMapBounded: options: expected an object, got undefined'],
    ];
    for (const [options, message] of refused) {
      it(`are refused: ${message}`, () => {
        expect(() => mergeMapBounded(() => EMPTY, options!)).toThrow(message);
      });
    }

    it('are told apart by the kind of error: a wrong number, or no number at all', () => {
      expect(() => mergeMapBounded(() => EMPTY, { concurrency: 0 })).toThrow(RangeError);
      expect(() => mergeMapBounded(() => EMPTY, { concurrency: null as unknown as number })).toThrow(TypeError);
    });

    it('include a project function', () => {
      expect(() => mergeMapBounded('project' as never, { concurrency: 1 })).toThrow(
        new TypeError('mergeMapBounded: project: expected a function, got "project"'),
      );
    });
  });

  describe('under a pull source', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });

    for (const [concurrency, prefetch, limit] of [
      [1, 0, 1],
      [1, undefined, 2],
      [4, 0, 4],
      [3, 5, 8],
    ] as const) {
      it(`holds ${String(limit)} items with concurrency ${String(concurrency)} and prefetch ${String(prefetch)}`, async () => {
        const pulled = { value: 0 };
        let results = 0;
        let most = 0;
        const all = lastValueFrom(
          fromPull(() => counted(pulled, 100)).pipe(
            tap(() => (most = Math.max(most, pulled.value - results))),
            mergeMapBounded((number) => timer(1).pipe(map(() => number)), { concurrency, prefetch }),
            tap(() => results++),
            toArray(),
          ),
        );
        await vi.runAllTimersAsync();
        expect((await all).length).toBe(100);
        expect(most).toBe(limit);
      });
    }

    it('starts no queued work while a bounded operator further down is full', async () => {
      const started = { value: 0 };
      const never = mergeMapBounded(() => NEVER, { concurrency: 1, prefetch: 1 });
      const subscription = fromPull(() => counted({ value: 0 }, 1_000))
        .pipe(
          mergeMapBounded((number) => timer(1).pipe(map(() => (started.value++, number))), { concurrency: 1 }),
          never,
        )
        .subscribe();
      await vi.advanceTimersByTimeAsync(1_000);
      expect(started.value).toBe(2);
      subscription.unsubscribe();
    });

    it('bounds an operator within an inner pipeline as well as the one around it', async () => {
      const [outer, inner] = [{ value: 0 }, { value: 0 }];
      const subscription = fromPull(() => counted(outer, 1_000))
        .pipe(
          mergeMapBounded(() => fromPull(() => counted(inner, 1_000)), { concurrency: 2 }),
          mergeMapBounded(() => NEVER, { concurrency: 1 }),
        )
        .subscribe();
      await vi.advanceTimersByTimeAsync(100);
      expect([outer.value, inner.value]).toEqual([4, 2]);
      subscription.unsubscribe();
    });

    it('lets sources that do not pull queue up without bound', async () => {
      const source = new Subject<number>();
      const all = lastValueFrom(source.pipe(slow(1), toArray()));
      for (let number = 0; number < 1_000; number++) source.next(number);
      source.complete();
      await vi.runAllTimersAsync();
      expect(await all).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
    });
  });

  it('keeps the order of a long queue', async () => {
    const all = concat(from(Array.from({ length: 10_000 }, (_, index) => index)), merge()).pipe(
      mergeMapBounded((number) => Promise.resolve(number), { concurrency: 1 }),
      take(10_000),
      toArray(),
    );
    expect(await lastValueFrom(all)).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
  });
});
