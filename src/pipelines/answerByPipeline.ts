import { connect, filter, ignoreElements, merge, Observable, takeWhile, type OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { mergeMapBounded } from '../flow/mergeMapBounded.ts';
import { defineOptions } from '../model/defineOptions.ts';
import type { Delivery } from '../model/delivery.ts';
import { OptionsError } from '../model/errors.ts';
import type { CompletionEvent } from '../model/events/completion.ts';
import type { Asset, MarketIndex, MonthlyRange } from '../model/records.ts';
import type { HistoricalMarketDataRequest } from '../model/requests/historicalMarketDataRequest.ts';
import type { MarketDataRequest } from '../model/requests/marketDataRequest.ts';
import type { MarketIndexDataRequest } from '../model/requests/marketIndexDataRequest.ts';

/** The deliveries of each pipeline, by its name. */
export interface DeliveriesByPipeline {
  'market-data': Delivery<MarketDataRequest, Asset>;
  'market-index-data': Delivery<MarketIndexDataRequest, MarketIndex>;
  'historical-market-data': Delivery<HistoricalMarketDataRequest, MonthlyRange>;
}

/** What answers the deliveries of a pipeline. */
export interface PipelineAnswers<D> {
  /** Answers requests. It is applied twice: those whose batches others do only wait, and hold nobody's place. */
  requests: OperatorFunction<D, CompletionEvent>;
  /** Does the batches of requests that several workers share. Default: `requests`, applied a third time. */
  parts?: OperatorFunction<D, CompletionEvent> | undefined;
}

/** The pipelines there are, by name; a request of any other is refused. */
export type AnswerByPipelineOptions = {
  [Name in keyof DeliveriesByPipeline]?: PipelineAnswers<DeliveriesByPipeline[Name]> | undefined;
};

const answers = <D>() =>
  z
    .custom<PipelineAnswers<D>>(
      (value) =>
        typeof value === 'object' && value !== null && 'requests' in value && typeof value.requests === 'function',
      { error: 'expected an object with the operator `requests`' },
    )
    .optional();

const resolveOptions = defineOptions<AnswerByPipelineOptions>('answerByPipeline')({
  'market-data': answers(),
  'market-index-data': answers(),
  'historical-market-data': answers(),
});

/**
 * Hands each delivery of a mixed stream to the pipeline that it is for, mostly behind `fromRequests`.
 *
 * Per pipeline, whole requests, owners of shared requests, and parts of shared requests go separate ways, each with the
 * concurrency of its operator: an owner that waits takes no place from a request that works, nor from the parts it waits for.
 *
 * Emits what the pipelines emit. A request of a pipeline that is not among the options is given back through its `nack` with an
 * `OptionsError`. Completes when the source has and every pipeline is done; on an error of any of them, and on unsubscribe, all
 * are unsubscribed.
 *
 * @example
 * ```ts
 * import {
 *   answerByPipeline,
 *   creditLimiter,
 *   fromRequest,
 *   limited,
 *   marketData,
 *   memorySink,
 *   parseMarketDataRequest,
 *   recordedQuotes,
 *   type Asset,
 *   type Quote,
 * } from 'fintrack-pipelines';
 *
 * const fetcher = limited(recordedQuotes(), creditLimiter({ credits: 8 }));
 * const sink = memorySink<Asset, Quote>();
 * fromRequest(parseMarketDataRequest({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }] }))
 *   .pipe(
 *     answerByPipeline({
 *       'market-data': {
 *         requests: marketData({ fetcher, sink, requestConcurrency: 8 }),
 *         parts: marketData({ fetcher, sink, requestConcurrency: 4 }),
 *       },
 *     }),
 *   )
 *   .subscribe(({ status, totalBatches }) => console.log(status, totalBatches));
 * // complete 1
 * ```
 */
export function answerByPipeline(
  options: AnswerByPipelineOptions,
): OperatorFunction<DeliveriesByPipeline[keyof DeliveriesByPipeline], CompletionEvent> {
  resolveOptions(options);
  return (source) =>
    new Observable((subscriber) =>
      source
        .pipe(
          // `connect` subscribes its source last and cannot be stopped while that emits synchronously.
          takeWhile(() => !subscriber.closed),
          connect((deliveries) =>
            merge(
              ...routesOf(deliveries, 'market-data', options['market-data']),
              ...routesOf(deliveries, 'market-index-data', options['market-index-data']),
              ...routesOf(deliveries, 'historical-market-data', options['historical-market-data']),
            ),
          ),
        )
        .subscribe(subscriber),
    );
}

function routesOf<Name extends keyof DeliveriesByPipeline>(
  deliveries: Observable<DeliveriesByPipeline[keyof DeliveriesByPipeline]>,
  name: Name,
  operators: PipelineAnswers<DeliveriesByPipeline[Name]> | undefined,
): readonly Observable<CompletionEvent>[] {
  const ours = deliveries.pipe(
    filter((delivery): delivery is DeliveriesByPipeline[Name] => delivery.request.pipeline === name),
  );
  if (operators === undefined) return [ours.pipe(refuse(name))];
  const { requests, parts = requests } = operators;
  const those = (role: 'owner' | 'part' | undefined) => ours.pipe(filter(({ share }) => share?.role === role));
  return [those(undefined).pipe(requests), those('owner').pipe(requests), those('part').pipe(parts)];
}

function refuse(name: string): OperatorFunction<Delivery<unknown, unknown>, never> {
  const error = new OptionsError(`answerByPipeline: ${name}: no pipeline is given for such a request`);
  return (deliveries) =>
    deliveries.pipe(
      mergeMapBounded(async (delivery) => delivery.nack(error), { concurrency: 8 }),
      ignoreElements(),
    );
}
