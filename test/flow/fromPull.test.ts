import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { Subject, firstValueFrom, lastValueFrom, merge, repeat, retry, take, takeUntil, tap, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { fromPull } from '../../src/flow/fromPull.ts';
import { deferred } from '../support/deferred.ts';
import { marbles } from './support/marbles.ts';
import { ManualSource, counted, settled } from './support/sources.ts';

const collect = <Value>(source: ReturnType<typeof fromPull<Value>>): Promise<Value[]> =>
  lastValueFrom(source.pipe(toArray()));

describe('fromPull', () => {
  it('emits nothing of an empty iterable', () => {
    marbles(({ expectObservable }) => {
      expectObservable(fromPull([])).toBe('|');
    });
  });

  it('emits one item', () => {
    marbles(({ expectObservable }) => {
      expectObservable(fromPull(['a'])).toBe('(a|)');
    });
  });

  it('emits many items in order', () => {
    marbles(({ expectObservable }) => {
      expectObservable(fromPull(['a', 'b', 'c'])).toBe('(abc|)');
    });
  });

  it('emits nothing of an iterable that never answers', async () => {
    const source = new ManualSource();
    const seen: string[] = [];
    const subscription = source.stream.subscribe({
      next: (item) => seen.push(item),
      complete: () => seen.push('complete'),
    });
    await settled();
    expect([seen, source.asked]).toEqual([[], 1]);
    subscription.unsubscribe();
  });

  it('passes on what the iterable throws', () => {
    marbles(({ expectObservable }) => {
      function* failing() {
        yield 'a';
        throw new Error('broken');
      }
      expectObservable(fromPull(failing())).toBe('(a#)', undefined, new Error('broken'));
    });
  });

  it('passes on what the factory throws', () => {
    marbles(({ expectObservable }) => {
      const source = fromPull<string>(() => {
        throw new Error('no connection');
      });
      expectObservable(source).toBe('#', undefined, new Error('no connection'));
    });
  });

  it('stops when it is unsubscribed early', () => {
    marbles(({ expectObservable }) => {
      expectObservable(fromPull(['a', 'b', 'c']).pipe(take(2))).toBe('(ab|)');
    });
  });

  it('passes on what an asynchronous iterable throws, at once or later', async () => {
    const broken = (next: () => Promise<IteratorResult<string>>) =>
      fromPull<string>({ [Symbol.asyncIterator]: () => ({ next }) });
    await expect(collect(broken(() => Promise.reject(new Error('later'))))).rejects.toThrow('later');
    await expect(
      collect(
        broken(() => {
          throw new Error('at once');
        }),
      ),
    ).rejects.toThrow('at once');
  });

  it('reads strings, sets, streams and everything else that can be iterated', async () => {
    expect(await collect(fromPull('abc'))).toEqual(['a', 'b', 'c']);
    expect(await collect(fromPull(new Set([1, 2])))).toEqual([1, 2]);
    const path = import.meta.filename;
    const stream = fromPull<string>(Readable.from([await readFile(path, 'utf8')]));
    expect((await collect(stream)).join('')).toContain('reads strings');
  });

  it('reads what is both as for await reads it', async () => {
    const both = {
      *[Symbol.iterator]() {
        yield 'sync';
      },
      async *[Symbol.asyncIterator]() {
        yield 'async';
      },
    };
    expect(await collect(fromPull<string>(both))).toEqual(['async']);
  });

  it('ends with the error of an iterator that answers nonsense', async () => {
    const nonsense = { next: () => undefined as unknown as IteratorResult<string> };
    await expect(collect(fromPull({ [Symbol.iterator]: () => nonsense }))).rejects.toThrow(TypeError);
    const later = { next: async () => undefined as unknown as IteratorResult<string> };
    await expect(collect(fromPull({ [Symbol.asyncIterator]: () => later }))).rejects.toThrow(TypeError);
  });

  it('says what it expected instead of a source', async () => {
    expect(() => fromPull(42 as unknown as string[])).toThrow(
      new TypeError('fromPull: source: expected an iterable or an async iterable, got 42'),
    );
    expect(() => fromPull(null as unknown as string[])).toThrow('got null');
    await expect(collect(fromPull(() => ({}) as string[]))).rejects.toThrow(
      "fromPull: the factory's result: expected an iterable or an async iterable, got an object",
    );
  });

  describe('given a factory', () => {
    it('is cold: opens a source for each subscription', async () => {
      const pulled = { value: 0 };
      const source = fromPull(() => counted(pulled, 3));
      expect(await collect(source.pipe(repeat(2)))).toEqual([0, 1, 2, 0, 1, 2]);
      expect(pulled.value).toBe(6);
    });

    it('is read again from its beginning by retry', async () => {
      let failures = 1;
      const source = fromPull(() => counted({ value: 0 }, 3)).pipe(
        tap((number) => {
          if (number === 1 && failures-- > 0) throw new Error('once');
        }),
        retry(1),
      );
      expect(await collect(source)).toEqual([0, 0, 1, 2]);
    });

    it('aborts the signal when it is unsubscribed, before it closes the iterator', async () => {
      const order: string[] = [];
      const endless = (signal: AbortSignal): AsyncIterable<string> => ({
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise(() => signal.addEventListener('abort', () => order.push('aborted'), { once: true })),
          return: async () => {
            order.push('closed');
            return { done: true, value: undefined };
          },
        }),
      });
      fromPull(endless).subscribe().unsubscribe();
      expect(order).toEqual(['aborted', 'closed']);
    });

    it('lets the signal reach a generator that awaits, which return() does not', async () => {
      const cleanedUp = deferred<string>();
      async function* waiting(signal: AbortSignal) {
        try {
          yield await new Promise<string>((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        } finally {
          cleanedUp.resolve('cleaned up');
        }
      }
      const subscription = fromPull(waiting).subscribe();
      await settled();
      subscription.unsubscribe();
      expect(await cleanedUp.promise).toBe('cleaned up');
    });

    it('does not abort what has completed, and aborts what has failed', async () => {
      const signals: AbortSignal[] = [];
      await collect(fromPull((signal) => (signals.push(signal), [1])));
      await collect(fromPull((signal) => (signals.push(signal), Readable.from([1]))));
      const failing = fromPull((signal) => {
        signals.push(signal);
        return { [Symbol.iterator]: () => ({ next: () => expect.fail('broken') }) };
      });
      await expect(collect(failing)).rejects.toThrow('broken');
      expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, true]);
    });

    it('opens nothing that its own unsubscribing would leave open', () => {
      const stop = new Subject<void>();
      let closed = 0;
      const source = fromPull(() => {
        stop.next();
        return {
          [Symbol.iterator]: () => ({
            next: () => expect.fail('asked'),
            return: () => ({ done: true, value: closed++ }),
          }),
        };
      });
      source.pipe(takeUntil(stop)).subscribe();
      expect(closed).toBe(1);
    });
  });

  describe('given a one-shot iterator', () => {
    it('refuses a second subscription instead of passing for an empty source', async () => {
      const source = fromPull(counted({ value: 0 }, 2));
      expect(await collect(source)).toEqual([0, 1]);
      await expect(collect(source)).rejects.toMatchObject({ name: 'FlowError', code: 'source_used_up' });
    });

    it('reads an array, which makes a new iterator each time, again', async () => {
      const source = fromPull([1, 2]);
      expect([await collect(source), await collect(source)]).toEqual([
        [1, 2],
        [1, 2],
      ]);
    });
  });

  describe('unsubscribed early', () => {
    it('asks for no more items, and closes a generator', () => {
      const pulled = { value: 0 };
      let closed = false;
      function* items() {
        try {
          yield* counted(pulled, 100);
        } finally {
          closed = true;
        }
      }
      fromPull(() => items())
        .pipe(take(3))
        .subscribe();
      expect([pulled.value, closed]).toEqual([3, true]);
    });

    it('does not ask an iterator that cannot be closed', () => {
      const next = vi.fn(() => ({ done: false, value: 1 }));
      fromPull({ [Symbol.iterator]: () => ({ next }) })
        .pipe(take(1))
        .subscribe();
      expect(next).toHaveBeenCalledOnce();
    });

    it('closes a generator that unsubscribes itself while it runs', () => {
      const stop = new Subject<void>();
      let closed = false;
      function* items() {
        try {
          yield 1;
          stop.next();
          yield 2;
        } finally {
          closed = true;
        }
      }
      const seen: number[] = [];
      fromPull(() => items())
        .pipe(takeUntil(stop))
        .subscribe((item) => seen.push(item));
      expect([seen, closed]).toEqual([[1], true]);
    });

    it('drops an answer that comes later, and a failure too', async () => {
      const source = new ManualSource();
      const seen: string[] = [];
      const subscription = source.stream.subscribe((item) => seen.push(item));
      subscription.unsubscribe();
      await source.answer('late');
      let fail: (error: Error) => void = () => {};
      const failing = { next: () => new Promise<IteratorResult<string>>((_, reject) => (fail = reject)) };
      fromPull({ [Symbol.asyncIterator]: () => failing })
        .subscribe()
        .unsubscribe();
      fail(new Error('an unhandled rejection would fail this run'));
      await settled();
      expect([seen, source.asked, source.returned]).toEqual([[], 1, 1]);
    });

    it('swallows what return() throws or rejects with', async () => {
      const closing = (close: () => unknown) => {
        const items = { next: () => ({ done: false, value: 1 }), return: close as () => IteratorResult<number> };
        return firstValueFrom(fromPull({ [Symbol.iterator]: () => items }));
      };
      expect(await closing(() => expect.fail('thrown'))).toBe(1);
      expect(await closing(() => Promise.reject(new Error('rejected')))).toBe(1);
      await settled();
    });

    it('closes nothing that has ended or failed by itself', async () => {
      let closed = 0;
      const items = (next: () => IteratorResult<number>) => ({
        [Symbol.iterator]: () => ({ next, return: () => ({ done: true as const, value: closed++ }) }),
      });
      await collect(fromPull(items(() => ({ done: true, value: undefined }))));
      await expect(collect(fromPull(items(() => expect.fail('broken'))))).rejects.toThrow('broken');
      const later = (next: () => Promise<IteratorResult<number>>) => ({
        [Symbol.asyncIterator]: () => ({ next, return: async () => ({ done: true as const, value: closed++ }) }),
      });
      await collect(fromPull(later(async () => ({ done: true, value: undefined }))));
      await expect(collect(fromPull(later(async () => expect.fail('broken'))))).rejects.toThrow('broken');
      expect(closed).toBe(0);
    });
  });

  it('works where nothing is bounded, and beside sources that are not pulled', () => {
    marbles(({ cold, expectObservable }) => {
      const other = cold('    -----c--|');
      const expected = '      (ab)-c--|';
      expectObservable(merge(fromPull(['a', 'b']), other)).toBe(expected);
    });
  });
});
