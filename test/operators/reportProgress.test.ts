import { setImmediate } from 'node:timers/promises';
import { config, firstValueFrom, from, lastValueFrom, NEVER, of, toArray } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { memoryBus } from '../../src/memory/memoryBus.ts';
import type { Batch } from '../../src/model/batch.ts';
import { OptionsError, PublishError } from '../../src/model/errors.ts';
import { progressEventSchema, type ProgressEvent } from '../../src/model/events/progress.ts';
import type { Publisher } from '../../src/model/ports.ts';
import { reportProgress, type ReportProgressOptions } from '../../src/operators/reportProgress.ts';
import { marbles } from './marbles.ts';

const batchOf = (index: number): Batch<string, number> => ({
  index,
  outcomes: [
    { status: 'ok', input: 'A', value: 1 },
    { status: 'fresh', input: 'B', value: 1 },
    { status: 'skipped', input: 'C', reason: 'quota' },
  ],
});
const batches = { a: batchOf(0), b: batchOf(1) };
const stage = (options: Omit<ReportProgressOptions, 'request'> = {}) =>
  reportProgress<Batch<string, number>>({ request: 'r', ...options });

const failing = (error: Error): Publisher<ProgressEvent> => ({ publish: () => Promise.reject(error) });
const hanging = () => vi.fn<Publisher<ProgressEvent>['publish']>(() => new Promise(() => undefined));

describe('reportProgress, the stream', () => {
  afterEach(() => {
    config.onUnhandledError = null;
  });

  it.each([
    ['an empty source', '            --|'],
    ['one batch', '                  -a-|'],
    ['many batches', '               -a-(bab)-|'],
    ['a source that never ends', '   -a-b--'],
    ['an error of the source', '     -a-b-#'],
  ])('passes on exactly what comes: %s', (_, source) => {
    for (const publisher of [undefined, memoryBus<ProgressEvent>(), { publish: hanging() }]) {
      marbles(({ cold, expectObservable }) => {
        expectObservable(cold(source.trim(), batches).pipe(stage({ publisher }))).toBe(source.trim(), batches);
      });
    }
  });

  it('unsubscribes its source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-a-b-|', batches);
      const stop = '       --!';
      const publisher = memoryBus<ProgressEvent>();
      expectObservable(source.pipe(stage({ publisher })), stop).toBe('-a-', batches);
      expectSubscriptions(source.subscriptions).toBe('^-!');
    });
  });

  it.each([
    ['rejects', failing(new Error('no broker'))],
    [
      'throws',
      {
        publish: () => {
          throw new Error('no broker');
        },
      },
    ],
  ])('is not disturbed by a publisher that %s', async (_, publisher) => {
    const errors: unknown[] = [];
    const passed = from([batches.a, batches.b]).pipe(stage({ publisher, onError: (e) => errors.push(e) }), toArray());
    expect(await lastValueFrom(passed)).toEqual([batches.a, batches.b]);
    await setImmediate();
    expect(errors).toMatchObject([{ code: 'publish_failed', message: /progress of batch 1 of request r/ }, {}]);
  });

  it('hands on the error of the publisher as it is', async () => {
    const error = new PublishError('no broker');
    const onError = vi.fn();
    await firstValueFrom(of(batches.a).pipe(stage({ publisher: failing(error), onError })));
    await setImmediate();
    expect(onError).toHaveBeenCalledWith(error);
  });

  it('needs nobody to hear of failures', async () => {
    await firstValueFrom(of(batches.a).pipe(stage({ publisher: failing(new Error('no broker')) })));
    await setImmediate();
    expect.assertions(0);
  });

  it('drops events beyond the bound and says so', async () => {
    const publish = hanging();
    const onError = vi.fn();
    const source = from(Array.from({ length: 5 }, (_, index) => batchOf(index)));
    await lastValueFrom(source.pipe(stage({ publisher: { publish }, maxInFlight: 2, onError })));
    expect(publish).toHaveBeenCalledTimes(2);
    expect(onError).toHaveBeenCalledTimes(3);
    expect(onError.mock.lastCall).toMatchObject([{ message: /batch 5 .* was dropped: 2 events are on their way/ }]);
  });

  it('has room again when an event is out', async () => {
    const bus = memoryBus<ProgressEvent>();
    const publisher = {
      publish: async (event: ProgressEvent) => {
        await setImmediate();
        await bus.publish(event);
      },
    };
    const onError = vi.fn();
    const progress = stage({ publisher, maxInFlight: 1, onError });
    await firstValueFrom(of(batches.a).pipe(progress));
    await vi.waitFor(() => {
      expect(bus.events).toHaveLength(1);
    });
    await setImmediate();
    await firstValueFrom(of(batches.b).pipe(progress));
    await vi.waitFor(() => {
      expect(bus.events).toHaveLength(2);
    });
    expect(onError).not.toHaveBeenCalled();
  });

  it('publishes nothing more once unsubscribed', () => {
    const publish = hanging();
    const subscription = NEVER.pipe(stage({ publisher: { publish } })).subscribe();
    subscription.unsubscribe();
    expect(publish).not.toHaveBeenCalled();
  });

  it('names what is wrong with its options', () => {
    expect(() => reportProgress({ request: '' })).toThrow(OptionsError);
    expect(() => stage({ publisher: {} as Publisher<ProgressEvent> })).toThrow('reportProgress: publisher');
  });
});

describe('reportProgress, the events', () => {
  it('says how far the request is, and how long the rest may take', async () => {
    const bus = memoryBus<ProgressEvent>();
    let time = 10_000;
    const now = () => time;
    const source = from(
      (async function* () {
        for (const index of [1, 0, 2]) {
          time += 100;
          yield batchOf(index);
        }
      })(),
    );
    await lastValueFrom(source.pipe(stage({ publisher: bus, totalBatches: 3, acceptedAt: new Date(9_000), now })));
    const counts = { requestId: 'r', totalBatches: 3, ok: 2, failed: 1 };
    expect(bus.events).toEqual([
      { ...counts, batch: 2, elapsedMs: 1_100, etaMs: 200 },
      { ...counts, batch: 1, elapsedMs: 1_200, etaMs: 100 },
      { ...counts, batch: 3, elapsedMs: 1_300, etaMs: 0 },
    ]);
    for (const event of bus.events) expect(progressEventSchema.parse(event)).toEqual(event);
  });

  it('leaves out what it does not know, and counts from the subscription', async () => {
    const bus = memoryBus<ProgressEvent>();
    await firstValueFrom(of(batches.a).pipe(stage({ publisher: bus, now: () => 5 })));
    expect(bus.events).toEqual([{ requestId: 'r', batch: 1, ok: 2, failed: 1, elapsedMs: 0 }]);
  });

  it('gives no negative times when the clock goes back', async () => {
    const bus = memoryBus<ProgressEvent>();
    let time = 10_000;
    const source = of(batches.a).pipe(stage({ publisher: bus, totalBatches: 2, now: () => (time -= 1_000) }));
    await firstValueFrom(source);
    expect(bus.events).toMatchObject([{ elapsedMs: 0, etaMs: 0 }]);
  });
});

describe('reportProgress, waiting for credits', () => {
  const call = { provider: 'p', inputs: 2, credits: 2, durationMs: 1, result: 'ok' };
  const fetched = (index: number): Batch<string, number> => ({
    ...batchOf(index),
    calls: [call, { ...call, inputs: 1, credits: 4 }],
  });
  const report = async (source: readonly Batch<string, number>[], options: Omit<ReportProgressOptions, 'request'>) => {
    const bus = memoryBus<ProgressEvent>();
    let time = 10_000;
    const now = () => (time += 100);
    await lastValueFrom(from(source).pipe(stage({ publisher: bus, totalBatches: 3, totalInputs: 9, now, ...options })));
    for (const event of bus.events) expect(progressEventSchema.parse(event)).toEqual(event);
    return bus.events.map(({ etaMs, waitingUntil }) => [etaMs, waitingUntil]);
  };

  it('forecasts the rest, at the price of what was fetched so far', async () => {
    const forecast = vi.fn((credits: number) => new Date(20_000 + credits));
    expect(await report([fetched(0), fetched(1), fetched(2)], { forecast })).toEqual([
      [9_812, '1970-01-01T00:00:20.001Z'],
      [9_706, '1970-01-01T00:00:20.001Z'],
      [0, undefined],
    ]);
    expect(forecast.mock.calls).toEqual([[12], [1], [6], [1]]);
  });

  it('takes no batch of the ledger for free', async () => {
    const forecast = vi.fn((credits: number) => new Date(20_000 + credits));
    expect(await report([batchOf(0), fetched(1)], { forecast })).toEqual([
      [200, undefined],
      [9_706, '1970-01-01T00:00:20.001Z'],
    ]);
  });

  it('counts a batch that came along in the calls of another', async () => {
    const forecast = vi.fn((credits: number) => new Date(20_000 + credits));
    await report([fetched(0), { ...batchOf(1), durations: { fetchMs: 1 } }, fetched(2)], { forecast });
    expect(forecast.mock.calls).toEqual([[12], [1], [3], [1]]);
  });

  it('names no time to go on where some credits are there', async () => {
    const forecast = (credits: number) => new Date(10_000 + credits * 100);
    expect(await report([fetched(0)], { forecast })).toEqual([[1_000, undefined]]);
  });

  it.each<[string, ReportProgressOptions['forecast']]>([
    ['credits are no bound', () => new Date(0)],
    ['nobody can tell', () => undefined],
  ])('goes by the speed so far where %s', async (_, forecast) => {
    expect(await report([fetched(0)], { forecast })).toEqual([[200, undefined]]);
  });
});
