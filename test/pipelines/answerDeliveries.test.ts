import { EMPTY, NEVER, Observable, of, Subject, throwError, toArray, lastValueFrom, type ObservableInput } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it, vi } from 'vitest';
import type { Delivery } from '../../src/model/delivery.ts';
import type { CompletionEvent } from '../../src/model/events/completion.ts';
import type { RunEvent } from '../../src/model/runEvents.ts';
import { answerDeliveries } from '../../src/pipelines/answerDeliveries.ts';

type Calls = Pick<Delivery<string, string>, 'ack' | 'nack'>;

function deliveryOf(id: string, calls: Partial<Calls> = {}): Delivery<string, string> {
  return {
    ...{ id, request: id, inputs: [], batchSize: 1, lane: 'market', acceptedAt: new Date(0) },
    signal: new AbortController().signal,
    ack: async () => undefined,
    nack: (error) => Promise.reject(error),
    ...calls,
  };
}

const completionOf = (requestId: string): CompletionEvent => ({
  ...{ status: 'complete', totalBatches: 0, totalAssets: 0, totalTransactions: 0, processingTimeMs: 0 },
  ...{ failed: [], skipped: [], requestId },
});

const answer = (run: (id: string) => Observable<string>, concurrency?: number) =>
  answerDeliveries<string, string, string, CompletionEvent>({
    run: ({ id }) => run(id),
    toCompletion: completionOf,
    concurrency,
  });

const idsOf = (deliveries: ObservableInput<Delivery<string, string>>, run: (id: string) => Observable<string>) =>
  lastValueFrom(
    new Observable<Delivery<string, string>>((out) => of(...(deliveries as [])).subscribe(out)).pipe(
      answer(run),
      toArray(),
    ),
  );

describe('answerDeliveries', () => {
  it('is silent on empty and never', () => {
    new TestScheduler((actual, expected) => {
      expect(actual).toEqual(expected);
    }).run(({ expectObservable }) => {
      expectObservable(EMPTY.pipe(answer(() => of('x')))).toBe('|');
      expectObservable(NEVER.pipe(answer(() => of('x')))).toBe('-');
      expectObservable(throwError(() => 'broken').pipe(answer(() => of('x')))).toBe('#', undefined, 'broken');
    });
  });

  it('acknowledges one, then emits it', async () => {
    const ack = vi.fn(async () => undefined);
    const events = await idsOf([deliveryOf('a', { ack })], (id) => of(id));
    expect(ack).toHaveBeenCalledExactlyOnceWith(completionOf('a'));
    expect(events).toEqual([completionOf('a')]);
  });

  it('tells when a request is answered', async () => {
    const seen: RunEvent[] = [];
    const pipeline = answerDeliveries<string, string, string, CompletionEvent>({
      run: ({ id }) => of(id),
      toCompletion: completionOf,
      events: { next: (event) => seen.push(event) },
    });
    await lastValueFrom(of(deliveryOf('a')).pipe(pipeline));
    expect(seen).toEqual([{ type: 'request-done', request: 'a', status: 'complete', processingTimeMs: 0 }]);
  });

  it('only gathers what others do of a shared request, and answers it', async () => {
    const pipeline = answerDeliveries<string, string, string, CompletionEvent>({
      run: () => of('run'),
      gather: () => of('gathered'),
      toCompletion: completionOf,
    });
    const delivery = { ...deliveryOf('a'), share: { role: 'owner' } as const };
    expect(await lastValueFrom(of(delivery).pipe(pipeline))).toEqual(completionOf('gathered'));
  });

  it('lets owners, which only wait, hold up nobody, and takes as many of them at once as of the others', async () => {
    const gathering: string[] = [];
    const pipeline = answerDeliveries<string, string, string, CompletionEvent>({
      run: ({ id }) => of(id),
      gather: ({ id }) => {
        gathering.push(id);
        return NEVER;
      },
      toCompletion: completionOf,
      concurrency: 1,
    });
    const answered: string[] = [];
    const owner = { share: { role: 'owner' } as const };
    of({ ...deliveryOf('a'), ...owner }, { ...deliveryOf('b'), ...owner }, deliveryOf('c'), deliveryOf('d'))
      .pipe(pipeline)
      .subscribe(({ requestId }) => answered.push(requestId));
    await vi.waitFor(() => {
      expect(answered).toEqual(['c', 'd']);
    });
    expect(gathering).toEqual(['a']);
  });

  it('gives a shared request back that it cannot gather', async () => {
    const nack = vi.fn(async () => undefined);
    const delivery = { ...deliveryOf('a', { nack }), share: { role: 'owner' } as const };
    expect(await idsOf([delivery], (id) => of(id))).toEqual([]);
    expect(nack).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'options_invalid' }));
  });

  it('runs a part of a shared request, acknowledges it, and tells nobody', async () => {
    const [ack, seen] = [vi.fn(async () => undefined), new Array<RunEvent>()];
    const pipeline = answerDeliveries<string, string, string, CompletionEvent>({
      run: ({ id }) => of(id),
      gather: () => of('gathered'),
      toCompletion: completionOf,
      events: { next: (event) => seen.push(event) },
    });
    const delivery = { ...deliveryOf('a', { ack }), share: { role: 'part', firstBatch: 4 } as const };
    expect(await lastValueFrom(of(delivery).pipe(pipeline, toArray()))).toEqual([]);
    expect(ack).toHaveBeenCalledExactlyOnceWith(completionOf('a'));
    expect(seen).toEqual([]);
  });

  it('answers many, in order of completion', async () => {
    const first = new Subject<string>();
    const run = (id: string) => (id === 'a' ? first : of(id));
    const answered: string[] = [];
    of(deliveryOf('a'), deliveryOf('b'))
      .pipe(answer(run))
      .subscribe(({ requestId }) => answered.push(requestId));
    await vi.waitFor(() => {
      expect(answered).toEqual(['b']);
    });
    first.next('a');
    first.complete();
    await vi.waitFor(() => {
      expect(answered).toEqual(['b', 'a']);
    });
  });

  it('gives back a request whose pipeline breaks, and goes on with the others', async () => {
    const nack = vi.fn(async () => undefined);
    const run = (id: string) => (id === 'a' ? throwError(() => new TypeError('boom')) : of(id));
    const events = await idsOf([deliveryOf('a', { nack }), deliveryOf('b')], run);
    expect(nack).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'internal', message: 'boom' }));
    expect(events).toEqual([completionOf('b')]);
  });

  it('gives back a request whose run throws, or whose ack rejects', async () => {
    const nack = vi.fn(async () => undefined);
    const ack = vi.fn(() => Promise.reject(new Error('bus closed')));
    const run = (id: string): Observable<string> => {
      if (id === 'a') throw new Error('no pipeline');
      return of(id);
    };
    expect(await idsOf([deliveryOf('a', { nack }), deliveryOf('b', { ack, nack })], run)).toEqual([]);
    expect(nack.mock.calls.flat()).toMatchObject([{ message: 'no pipeline' }, { message: 'bus closed' }]);
  });

  it('errors when a request cannot even be given back', async () => {
    const events = idsOf([deliveryOf('a')], () => throwError(() => new Error('boom')));
    await expect(events).rejects.toMatchObject({ code: 'internal', message: 'boom' });
  });

  it('runs at most `concurrency` requests at once, and unsubscribes them all', () => {
    let running = 0;
    const run = () =>
      new Observable<string>(() => {
        running += 1;
        return () => {
          running -= 1;
        };
      });
    const subscription = of('a', 'b', 'c')
      .pipe(
        (ids) =>
          new Observable<Delivery<string, string>>((out) =>
            ids.subscribe((id) => {
              out.next(deliveryOf(id));
            }),
          ),
        answer(run, 2),
      )
      .subscribe();
    expect(running).toBe(2);
    subscription.unsubscribe();
    expect(running).toBe(0);
  });
});
