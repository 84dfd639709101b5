import { from, type Observable, type OperatorFunction } from 'rxjs';
import { describe, expectTypeOf, it } from 'vitest';
import type { Batch } from '../../src/model/batch.ts';
import type { marketDataCompleted } from '../../src/model/events/marketDataCompleted.ts';
import type { Fetcher, Publisher, Sink } from '../../src/model/ports.ts';
import type { Asset, Quote } from '../../src/model/records.ts';
import type { ShortSummary, Summary } from '../../src/model/summary.ts';
import {
  batch,
  planBatch,
  publishCompletion,
  reportProgress,
  summarize,
  throttledFetch,
  writeTo,
} from '../../src/operators/index.ts';

declare const assets: Asset[];
declare const textBatches: Batch<string, string>[];
declare const sink: Sink<Asset, Quote>;
declare const fetcher: Fetcher<Asset, Quote>;
declare const publisher: Publisher<{ done: boolean }>;

describe('the types of the operators', () => {
  it('are inferred along a whole pipeline', () => {
    const summaries = from(assets).pipe(
      batch({ batchSize: 100 }),
      planBatch({ sink, request: 'r' }),
      throttledFetch({ fetcher }),
      writeTo({ sink }),
      reportProgress({ request: 'r' }),
      summarize(),
    );
    expectTypeOf(summaries).toEqualTypeOf<Observable<Summary<Asset, Quote>>>();
  });

  it('are inferred without planBatch', () => {
    const summaries = from(assets).pipe(batch(), throttledFetch({ fetcher }), writeTo({ sink }), summarize());
    expectTypeOf(summaries).toEqualTypeOf<Observable<Summary<Asset, Quote>>>();
  });

  // issue 10, 13
  it('know which summary an event can be made of', () => {
    const short = from(assets).pipe(batch(), throttledFetch({ fetcher }), summarize({ outcomes: false }));
    expectTypeOf(short).toEqualTypeOf<Observable<ShortSummary<Asset>>>();
    // @ts-expect-error: all failures are kept with the outcomes
    summarize({ maxFailures: 5 });
    // @ts-expect-error: an event needs the outcomes
    expectTypeOf<ShortSummary<Asset>>().toExtend<Parameters<typeof marketDataCompleted>[0]>();
  });

  it('follow from the ports', () => {
    expectTypeOf(batch<Asset>()).toEqualTypeOf<OperatorFunction<Asset, Asset[]>>();
    expectTypeOf(planBatch({ sink })).toEqualTypeOf<OperatorFunction<readonly Asset[], Batch<Asset, Quote>>>();
    expectTypeOf(writeTo({ sink })).toEqualTypeOf<OperatorFunction<Batch<Asset, Quote>, Batch<Asset, Quote>>>();
    expectTypeOf(throttledFetch({ fetcher })).toEqualTypeOf<
      OperatorFunction<readonly Asset[] | Batch<Asset, Quote>, Batch<Asset, Quote>>
    >();
  });

  it('publish what the publisher takes', () => {
    const toCompletion = (summary: Summary<Asset, Quote>) => ({ done: summary.failures.length === 0 });
    expectTypeOf(publishCompletion({ publisher, toCompletion })).toEqualTypeOf<
      OperatorFunction<Summary<Asset, Quote>, { done: boolean }>
    >();
    expectTypeOf(publishCompletion({ publisher })).toEqualTypeOf<
      OperatorFunction<{ done: boolean }, { done: boolean }>
    >();
    // @ts-expect-error: the publisher takes another event
    publishCompletion({ publisher, toCompletion: () => 'done' });
  });

  it('refuse what does not fit', () => {
    // @ts-expect-error: a misspelled option
    batch({ size: 100 });
    // @ts-expect-error: a sink is needed
    planBatch<Asset, Quote>({});
    // @ts-expect-error: numbers are no assets
    from([[1]]).pipe(throttledFetch({ fetcher }));
    // @ts-expect-error: batches of other inputs
    from(textBatches).pipe(writeTo({ sink }));
  });
});
