import type { OperatorFunction } from 'rxjs';
import { fromPull } from '../flow/fromPull.ts';
import type { Delivery } from '../model/delivery.ts';
import { marketDataCompleted, type MarketDataCompleted } from '../model/events/marketDataCompleted.ts';
import type { Asset, Quote } from '../model/records.ts';
import type { MarketDataRequest } from '../model/requests/marketDataRequest.ts';
import { batch, planBatch, reportProgress, summarize, throttledFetch, writeTo } from '../operators/index.ts';
import { answerDeliveries } from './answerDeliveries.ts';
import { definePipeline, progressOf, type PipelineOptions } from './definePipeline.ts';

const resolveOptions = definePipeline('marketData');

/** Answers requests for current prices: 100 assets a batch into `market_data`. See `fromRequest` for an example. */
export function marketData(
  options: PipelineOptions<Asset, Quote>,
): OperatorFunction<Delivery<MarketDataRequest, Asset>, MarketDataCompleted> {
  const { fetcher, sink, settle, progress, events, maxAgeMs, concurrency, requestConcurrency, deadlineMs } =
    resolveOptions(options);
  return answerDeliveries({
    run: (delivery) => {
      const { id: request, inputs, batchSize, lane, signal } = delivery;
      return fromPull(inputs).pipe(
        batch({ batchSize }),
        planBatch({ sink, maxAgeMs, request, signal, events }),
        throttledFetch({ fetcher, concurrency, lane, request, signal, deadlineMs, settle, events }),
        writeTo({ sink, events }),
        reportProgress({ publisher: progress, ...progressOf(delivery, fetcher) }),
        summarize(),
      );
    },
    toCompletion: marketDataCompleted,
    concurrency: requestConcurrency,
    events,
  });
}
