import { filter, ignoreElements, type OperatorFunction } from 'rxjs';
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
import { routed } from '../operators/routed.ts';

/** The deliveries of each pipeline, by its name. */
export interface DeliveriesByPipeline {
  'market-data': Delivery<MarketDataRequest, Asset>;
  'market-index-data': Delivery<MarketIndexDataRequest, MarketIndex>;
  'historical-market-data': Delivery<HistoricalMarketDataRequest, MonthlyRange>;
}

/** What answers the deliveries of a pipeline. */
export interface PipelineAnswers<D> {
  /** Answers requests. */
  requests: OperatorFunction<D, CompletionEvent>;
  /** Does the batches of requests that several workers share. Default: `requests`, applied once more. */
  parts?: OperatorFunction<D, CompletionEvent> | undefined;
}

/** The pipelines there are, by name; a request of any other is refused. */
export type AnswerByPipelineOptions = {
  [Name in keyof DeliveriesByPipeline]?: PipelineAnswers<DeliveriesByPipeline[Name]> | undefined;
};

const answersCheck = <D>() =>
  z
    .custom<PipelineAnswers<D>>(
      (value) =>
        typeof value === 'object' && value !== null && 'requests' in value && typeof value.requests === 'function',
      { error: 'expected an object with the operator `requests`' },
    )
    .optional();

const resolveOptions = defineOptions<AnswerByPipelineOptions>('answerByPipeline')({
  'market-data': answersCheck(),
  'market-index-data': answersCheck(),
  'historical-market-data': answersCheck(),
});

/**
 * Hands each delivery of a mixed stream to the pipeline that it is for, mostly behind `fromRequests`.
 *
 * Per pipeline, requests and parts of shared requests go separate ways, each with the concurrency of its operator, so that the
 * parts of one large request hold up no small one.
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
  return routed(
    ...routesOf('market-data', options['market-data']),
    ...routesOf('market-index-data', options['market-index-data']),
    ...routesOf('historical-market-data', options['historical-market-data']),
  );
}

type Route = OperatorFunction<DeliveriesByPipeline[keyof DeliveriesByPipeline], CompletionEvent>;

function routesOf<Name extends keyof DeliveriesByPipeline>(
  name: Name,
  answers: PipelineAnswers<DeliveriesByPipeline[Name]> | undefined,
): readonly Route[] {
  type Ours = DeliveriesByPipeline[Name];
  const isOurs = (delivery: DeliveriesByPipeline[keyof DeliveriesByPipeline]): delivery is Ours =>
    delivery.request.pipeline === name;
  if (answers === undefined) return [(deliveries) => deliveries.pipe(filter(isOurs), refuse(name))];
  const { requests, parts = requests } = answers;
  const isPart = ({ share }: Ours): boolean => share?.role === 'part';
  return [
    (deliveries) =>
      deliveries.pipe(
        filter(isOurs),
        filter((delivery) => !isPart(delivery)),
        requests,
      ),
    (deliveries) => deliveries.pipe(filter(isOurs), filter(isPart), parts),
  ];
}

function refuse(name: string): OperatorFunction<Delivery<unknown, unknown>, never> {
  const error = new OptionsError(`answerByPipeline: ${name}: no pipeline is given for such a request`);
  return (deliveries) =>
    deliveries.pipe(
      mergeMapBounded(async (delivery) => delivery.nack(error), { concurrency: 8 }),
      ignoreElements(),
    );
}
