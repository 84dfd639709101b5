import { lastValueFrom, map, take, timer, toArray } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromPages } from '../../src/flow/fromPages.ts';
import { mergeMapBounded } from '../../src/flow/mergeMapBounded.ts';
import type { Pull } from '../../src/flow/pull.ts';
import { marbles } from './support/marbles.ts';
import { slow } from './support/sources.ts';

const pageSize = 5;

/** Pages of five numbers, counting the pages. */
function* pages(fetched: { value: number }, count: number): Generator<number[]> {
  for (let page = 0; page < count; page++) {
    fetched.value++;
    yield Array.from({ length: pageSize }, (_, index) => page * pageSize + index);
  }
}

async function* pagesLater(fetched: { value: number }, count: number): AsyncGenerator<number[]> {
  yield* pages(fetched, count);
}

describe('fromPages', () => {
  it('emits nothing of no pages and of empty ones', () => {
    marbles(({ expectObservable }) => {
      expectObservable(fromPages<string>([])).toBe('|');
      expectObservable(fromPages<string>([[], []])).toBe('|');
    });
  });

  it('emits one item', () => {
    marbles(({ expectObservable }) => {
      expectObservable(fromPages([['a']])).toBe('(a|)');
    });
  });

  it('emits the items of many pages in order', () => {
    marbles(({ expectObservable }) => {
      expectObservable(fromPages([['a', 'b'], [], ['c']])).toBe('(abc|)');
    });
  });

  it('emits nothing while the first page does not come', () => {
    const asked = vi.fn(() => new Promise<IteratorResult<string[]>>(() => {}));
    marbles(({ expectObservable }) => {
      expectObservable(fromPages<string>({ [Symbol.asyncIterator]: () => ({ next: asked }) })).toBe('-');
    });
    expect(asked).toHaveBeenCalledOnce();
  });

  it('passes on what the pages throw', () => {
    marbles(({ expectObservable }) => {
      function* failing() {
        yield ['a', 'b'];
        throw new Error('broken');
      }
      expectObservable(fromPages(() => failing())).toBe('(ab#)', undefined, new Error('broken'));
    });
  });

  it('refuses a page that is not an array, and closes the source', async () => {
    for (const later of [false, true]) {
      let closed = false;
      const strange = {
        next: () => ({ done: false, value: 'AAPL' as unknown as string[] }),
        return: () => ({ done: (closed = true), value: undefined }),
      };
      const key = later ? Symbol.asyncIterator : Symbol.iterator;
      const source = { [key]: () => strange } as unknown as Pull<string[]>;
      await expect(lastValueFrom(fromPages(source))).rejects.toThrow(
        'fromPages: expected pages that are arrays, got "AAPL"',
      );
      expect(closed).toBe(true);
    }
  });

  it('says what it expected instead of pages', () => {
    expect(() => fromPages(undefined as unknown as string[][])).toThrow(
      'fromPages: source: expected an iterable or an async iterable, got undefined',
    );
  });

  it('refuses a second subscription to a one-shot iterator of pages', async () => {
    const source = fromPages(pages({ value: 0 }, 1));
    await lastValueFrom(source);
    await expect(lastValueFrom(source)).rejects.toMatchObject({ code: 'source_used_up' });
  });

  for (const [kind, open] of [
    ['synchronous', pages],
    ['asynchronous', pagesLater],
  ] as const) {
    describe(`of a ${kind} source`, () => {
      beforeEach(() => {
        vi.useFakeTimers();
      });

      it('fetches a page when the last one has been emitted', async () => {
        const fetched = { value: 0 };
        let results = 0;
        let furthest = 0;
        const all = lastValueFrom(
          fromPages(() => open(fetched, 20)).pipe(
            mergeMapBounded((number) => timer(1).pipe(map(() => number)), { concurrency: 1, prefetch: 1 }),
            map((number) => {
              furthest = Math.max(furthest, fetched.value * pageSize - results++);
              return number;
            }),
            toArray(),
          ),
        );
        await vi.runAllTimersAsync();
        expect((await all).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 * pageSize }, (_, index) => index));
        expect(furthest).toBeLessThanOrEqual(2 + pageSize);
      });

      it('closes the pages when it is unsubscribed in the middle of one', async () => {
        const fetched = { value: 0 };
        let closed = false;
        const closing = () => {
          const iterator = open(fetched, 20);
          const end = iterator.return.bind(iterator) as (value: undefined) => never;
          iterator.return = (value: unknown) => ((closed = true), end(value as undefined));
          return iterator;
        };
        const some = lastValueFrom(fromPages(closing).pipe(slow(1), take(3), toArray()));
        await vi.runAllTimersAsync();
        expect([await some, fetched.value, closed]).toEqual([[0, 1, 2], 1, true]);
      });
    });
  }
});
