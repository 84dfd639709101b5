import {
  BehaviorSubject,
  EMPTY,
  NEVER,
  Observable,
  Subject,
  bufferCount,
  delay,
  filter,
  from,
  groupBy,
  lastValueFrom,
  map,
  merge,
  mergeMap,
  of,
  take,
  tap,
  timer,
  toArray,
} from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromPull } from '../../src/flow/fromPull.ts';
import { mergeMapBounded } from '../../src/flow/mergeMapBounded.ts';
import { emitting } from '../../src/flow/stack.ts';
import { ManualSource, counted, settled, slow } from './support/sources.ts';

const never = (prefetch = 0) => mergeMapBounded(() => NEVER, { concurrency: 1, prefetch });

beforeEach(() => {
  vi.useFakeTimers();
});

describe('an inner Observable that completes before its subscription is assigned', () => {
  it('frees its place, ten thousand times', async () => {
    const all = fromPull(() => counted({ value: 0 }, 10_000)).pipe(
      mergeMapBounded((number) => (number % 2 === 0 ? of(number) : EMPTY), { concurrency: 1, prefetch: 0 }),
      toArray(),
    );
    expect((await lastValueFrom(all)).length).toBe(5_000);
  });

  it('frees its place when it comes out of a long queue', async () => {
    const first = new Subject<number>();
    let last = 0;
    from(counted({ value: 0 }, 20_000))
      .pipe(mergeMapBounded((number) => (number === 0 ? first : of(number)), { concurrency: 1 }))
      .subscribe((number) => (last = number));
    first.complete();
    expect(last).toBe(19_999);
  });

  it('frees its place for thousands of waiting sources', () => {
    const first = new Subject<number>();
    let results = 0;
    merge(of(first), ...Array.from({ length: 5_000 }, () => fromPull([of(1), of(2)])))
      .pipe(mergeMapBounded((inner) => inner, { concurrency: 1, prefetch: 0 }))
      .subscribe(() => results++);
    first.complete();
    expect(results).toBe(10_000);
  });

  it('frees its place when it comes out of the queue', async () => {
    const first = new Subject<number>();
    const results: number[] = [];
    from([0, 1, 2])
      .pipe(mergeMapBounded((number) => (number === 0 ? first : of(number)), { concurrency: 1 }))
      .subscribe({ next: (number) => results.push(number), complete: () => results.push(-1) });
    first.complete();
    expect(results).toEqual([1, 2, -1]);
  });
});

describe('a subscriber that unsubscribes inside next', () => {
  it('stops an endless synchronous source and an endless synchronous inner Observable', () => {
    const endless = () => counted({ value: 0 }, Infinity);
    const inner = { value: 0 };
    const results: number[] = [];
    from(endless())
      .pipe(
        mergeMapBounded(() => counted(inner, Infinity), { concurrency: 2 }),
        take(3),
      )
      .subscribe((number) => results.push(number));
    expect([results, inner.value]).toEqual([[0, 1, 2], 3]);
  });

  it('leaves the stack of emitters empty, as does one that throws', () => {
    fromPull([1, 2]).pipe(take(1)).subscribe();
    const throwing = new Observable<number>((subscriber) => {
      expect(() => subscriber.next(1)).not.toThrow();
    });
    throwing.pipe(mergeMapBounded(() => of(1), { concurrency: 1 })).subscribe();
    const failing = fromPull([1]).pipe(map(() => expect.fail('broken')));
    failing.subscribe({ error: () => {} });
    expect(emitting).toEqual([]);
  });
});

describe('a teardown', () => {
  it('leaves no waiting source behind, and asks none of them for more', () => {
    const pulled = { value: 0 };
    let closed = 0;
    function* items() {
      try {
        yield* counted(pulled, 1_000);
      } finally {
        closed++;
      }
    }
    const sources = [1, 2, 3].map(() => fromPull(() => items()));
    const subscription = merge(...sources)
      .pipe(never(1))
      .subscribe();
    const before = pulled.value;
    subscription.unsubscribe();
    expect([pulled.value, closed]).toEqual([before, 3]);
  });

  it('lets go a source that has other consumers', async () => {
    const shared = new Subject<number>();
    const subscription = shared.pipe(never()).subscribe();
    const others: number[] = [];
    shared.subscribe((number) => others.push(number));
    fromPull([0, 1, 2]).subscribe(shared);
    expect(others).toEqual([0]);
    subscription.unsubscribe();
    expect(others).toEqual([0, 1, 2]);
  });

  it('by an error starts no queued work', async () => {
    const started: number[] = [];
    const project = (number: number) => {
      started.push(number);
      return timer(1).pipe(map(() => expect.fail('broken')));
    };
    const failing = lastValueFrom(fromPull([0, 1, 2, 3]).pipe(mergeMapBounded(project, { concurrency: 2 })));
    const result = expect(failing).rejects.toThrow('broken');
    await vi.runAllTimersAsync();
    await result;
    expect(started).toEqual([0, 1]);
  });

  it('by an error starts nothing more, even while the error is handled', () => {
    const [source, first, second] = [new Subject<number>(), new Subject(), new Subject()];
    const project = vi.fn((number: number) => (number === 0 ? first : second));
    const handled = vi.fn(() => {
      second.complete(); // frees a place for what is queued
      source.next(3);
    });
    source.pipe(mergeMapBounded(project, { concurrency: 2 })).subscribe({ error: handled });
    for (const number of [0, 1, 2]) source.next(number);
    first.error(new Error('broken'));
    expect([handled.mock.calls.length, project.mock.calls.length]).toEqual([1, 2]);
  });

  it('leaves no timer', async () => {
    const sources = [new ManualSource(), new ManualSource(), new ManualSource()];
    const places = new Subject<void>();
    const subscription = merge(...sources.map(({ stream }) => stream))
      .pipe(mergeMapBounded(() => places.pipe(take(1)), { concurrency: 1, prefetch: 0 }))
      .subscribe();
    for (const source of sources) await source.answer('first');
    places.next(); // one source has a turn, and the others wait for it with a timer
    expect(vi.getTimerCount()).toBe(0);
    places.next();
    await settled();
    subscription.unsubscribe();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('an inner pipeline', () => {
  it('never waits for its own outer one', async () => {
    const all = fromPull(() => counted({ value: 0 }, 20)).pipe(
      mergeMapBounded(() => fromPull([1, 2, 3]).pipe(slow(1, 0)), { concurrency: 1, prefetch: 0 }),
      slow(1, 0),
      toArray(),
    );
    const result = lastValueFrom(all);
    await vi.runAllTimersAsync();
    expect((await result).length).toBe(60);
  });

  it('subscribed by the project function links nothing of the outer one either', () => {
    const pulled = { value: 0 };
    const grouped = from([1]).pipe(
      groupBy(() => 'all'),
      mergeMap((group) => group.pipe(never())),
    );
    const project = (number: number) => {
      grouped.subscribe();
      return of(number);
    };
    fromPull(() => counted(pulled, 10))
      .pipe(mergeMapBounded(project, { concurrency: 1 }))
      .subscribe();
    expect(pulled.value).toBe(10);
  });

  it('made of a source that is not pulled links nothing of the outer one', () => {
    const pulled = { value: 0 };
    const subscription = fromPull(() => counted(pulled, 10))
      .pipe(mergeMapBounded(() => of(1).pipe(never(), take(1)), { concurrency: 20, prefetch: 0 }))
      .subscribe();
    expect(pulled.value).toBe(10);
    subscription.unsubscribe();
  });
});

describe("a pipeline subscribed inside another one's next", () => {
  const strangers: Record<string, () => Observable<unknown>> = {
    'a pull source': () => fromPull([1, 2]).pipe(never()),
    'a source that is not pulled': () => from([1, 2]).pipe(never()),
    'groups with an inner bounded operator': () =>
      fromPull([1, 2]).pipe(
        groupBy(() => 'all'),
        mergeMap((group) => group.pipe(never())),
      ),
    'two bounded operators': () =>
      fromPull([1, 2, 3]).pipe(
        mergeMapBounded((number) => of(number), { concurrency: 1 }),
        never(),
      ),
  };
  for (const [name, stranger] of Object.entries(strangers)) {
    it(`is not adopted by it: ${name}`, () => {
      const seen: number[] = [];
      fromPull([1, 2, 3]).subscribe((number) => {
        seen.push(number);
        stranger().subscribe();
      });
      expect(seen).toEqual([1, 2, 3]);
    });
  }

  it('is not adopted by it when it is woken there', () => {
    const places = new Subject<void>();
    const [outer, inner] = [{ value: 0 }, { value: 0 }];
    const subscription = fromPull(() => counted(inner, 100))
      .pipe(
        mergeMapBounded(() => places.pipe(take(1)), { concurrency: 1, prefetch: 0 }),
        filter(() => false),
      )
      .subscribe();
    fromPull(() => counted(outer, 5)).subscribe(() => places.next());
    expect([outer.value, inner.value]).toEqual([5, 6]);
    subscription.unsubscribe();
  });
});

describe('a loop back to its own operator', () => {
  it('is not waited for', async () => {
    const again = new Subject<number>();
    const results: number[] = [];
    fromPull([1, 2])
      .pipe(
        (source) => merge(source, again),
        mergeMapBounded((number) => timer(1).pipe(map(() => number)), { concurrency: 1, prefetch: 0 }),
        tap((number) => {
          if (number < 10) again.next(number + 10);
        }),
      )
      .subscribe((number) => results.push(number));
    await vi.runAllTimersAsync();
    expect(results.sort()).toEqual([1, 11, 12, 2]);
  });

  it('may emit inside its own emission', async () => {
    const trigger = new Subject<string>();
    const results: string[] = [];
    from(['first', 'second'])
      .pipe(mergeMapBounded((name) => trigger.pipe(map((by) => `${name} by ${by}`)), { concurrency: 2 }))
      .pipe(
        tap((result) => {
          if (result === 'first by hand') trigger.next('loop');
        }),
        never(10),
      )
      .subscribe();
    trigger.subscribe((by) => results.push(by));
    trigger.next('hand');
    expect(results.sort()).toEqual(['hand', 'loop']);
    expect(emitting).toEqual([]);
  });
});

describe('waiting asynchronous sources', () => {
  /** Three sources before an operator with one place, all waiting behind the item of the first. */
  async function waitingSources() {
    const sources = [new ManualSource(), new ManualSource(), new ManualSource()] as const;
    const places = new Subject<void>();
    const seen: string[] = [];
    const merged = new Subject<string>();
    const bounded = merged
      .pipe(mergeMapBounded((item) => (seen.push(item), places.pipe(take(1))), { concurrency: 1, prefetch: 0 }))
      .subscribe();
    const inputs = sources.map((source) => source.stream.subscribe({ next: (item) => merged.next(item) }));
    await sources[0].answer('a1');
    await sources[1].answer('b1');
    await sources[2].answer('c1');
    const free = async () => {
      places.next();
      await settled();
    };
    const asked = () => sources.map((source) => source.asked);
    return {
      sources,
      seen,
      free,
      asked,
      inputs,
      close: () => [bounded, ...inputs].forEach((each) => each.unsubscribe()),
    };
  }

  it('are linked with their first item', async () => {
    const { seen, asked, close } = await waitingSources();
    expect([seen, asked()]).toEqual([['a1'], [1, 1, 1]]);
    close();
  });

  it('are woken one for each place that gets free', async () => {
    const { seen, free, asked, close } = await waitingSources();
    await free(); // b1, which is inside already
    await free(); // c1
    expect([seen, asked()]).toEqual([
      ['a1', 'b1', 'c1'],
      [1, 1, 1],
    ]);
    await free(); // empty: the first in line is asked
    expect(asked()).toEqual([2, 1, 1]);
    close();
  });

  it('pass on the turn when they end', async () => {
    const { sources, seen, free, asked, close } = await waitingSources();
    for (let place = 0; place < 3; place++) await free();
    await sources[0].end();
    expect(asked()).toEqual([2, 2, 1]);
    await sources[1].answer('b2');
    expect([seen.at(-1), asked()]).toEqual(['b2', [2, 2, 1]]);
    close();
  });

  it('pass on the turn when they are unsubscribed', async () => {
    const { inputs, free, asked, close } = await waitingSources();
    for (let place = 0; place < 3; place++) await free();
    inputs[0]!.unsubscribe();
    expect(asked()).toEqual([2, 2, 1]);
    expect(vi.getTimerCount()).toBe(1);
    inputs[2]!.unsubscribe();
    expect(vi.getTimerCount(), 'nobody waits any longer').toBe(0);
    close();
  });

  it('pass on the turn when they bring nothing for a while', async () => {
    const { free, asked, close } = await waitingSources();
    for (let place = 0; place < 3; place++) await free();
    await vi.advanceTimersByTimeAsync(10);
    expect(asked()).toEqual([2, 2, 1]);
    await vi.advanceTimersByTimeAsync(10);
    expect(asked()).toEqual([2, 2, 2]);
    expect(vi.getTimerCount()).toBe(0);
    close();
  });

  it('keep an item in hand that comes when there is no room anymore', async () => {
    const { sources, seen, free, asked, close } = await waitingSources();
    for (let place = 0; place < 3; place++) await free();
    await vi.advanceTimersByTimeAsync(10);
    await sources[1].answer('b2');
    await sources[0].answer('a2'); // asked for first, comes second
    expect([seen, asked()]).toEqual([
      ['a1', 'b1', 'c1', 'b2'],
      [2, 2, 1],
    ]);
    await free();
    await vi.advanceTimersByTimeAsync(20); // those before it in line bring nothing
    expect([seen.at(-1), asked()]).toEqual(['a2', [2, 3, 2]]);
    close();
  });
});

describe('two copies of the package', () => {
  it('bound each other', async () => {
    vi.resetModules();
    const copy = await import('../../src/flow/mergeMapBounded.ts');
    expect(copy.mergeMapBounded).not.toBe(mergeMapBounded);
    const pulled = { value: 0 };
    const subscription = fromPull(() => counted(pulled, 1_000))
      .pipe(
        bufferCount(10),
        copy.mergeMapBounded(() => NEVER, { concurrency: 2 }),
      )
      .subscribe();
    expect(pulled.value).toBe(40);
    subscription.unsubscribe();
  });
});

describe('inner Observables that wait for something outside', () => {
  it('are not taken for groups that stay open', async () => {
    const answers = new Subject<number>();
    const asked: number[] = [];
    const ask = (number: number) => {
      asked.push(number);
      return answers.pipe(
        filter((answer) => answer === number),
        take(1),
      );
    };
    const all = lastValueFrom(
      fromPull(() => counted({ value: 0 }, 100)).pipe(mergeMapBounded(ask, { concurrency: 2 }), toArray()),
    );
    for (const number of asked) answers.next(number); // grows while it is gone through
    expect((await all).length).toBe(100);
  });

  it('are not taken for groups when they look at what the source tells a Subject', async () => {
    const latest = new BehaviorSubject(-1);
    const all = lastValueFrom(
      fromPull(() => counted({ value: 0 }, 10)).pipe(
        tap((number) => latest.next(number)),
        mergeMapBounded(() => latest.pipe(take(1), delay(1)), { concurrency: 2, prefetch: 0 }),
        toArray(),
      ),
    );
    all.catch(() => undefined);
    await vi.runAllTimersAsync();
    expect((await all).length).toBe(10);
  });

  it('are not taken for windows when they are items themselves', async () => {
    const subjects = Array.from({ length: 10 }, () => new Subject<number>());
    const all = lastValueFrom(
      fromPull(subjects).pipe(
        mergeMapBounded((subject) => subject, { concurrency: 2 }),
        toArray(),
      ),
    );
    for (const [index, subject] of subjects.entries()) {
      subject.next(index);
      subject.complete();
    }
    expect(await all).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

describe('many gates behind one source', () => {
  it('each hold it back, and let go of it when they close', () => {
    const pulled = { value: 0 };
    const ends = Array.from({ length: 500 }, () => new Subject<void>());
    const subscription = fromPull(() => counted(pulled, 10_000))
      .pipe(
        groupBy((number) => number % 500),
        mergeMap((group) => group.pipe(never(1), (inner) => merge(inner, ends[group.key]!).pipe(take(1)))),
      )
      .subscribe();
    expect(pulled.value).toBe(501);
    for (const end of ends) end.next();
    expect(pulled.value).toBe(10_000);
    subscription.unsubscribe();
  });
});
