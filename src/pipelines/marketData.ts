import type { OperatorFunction } from 'rxjs';
import { fromPull } from '../flow/fromPull.ts';
import type { Delivery } from '../model/delivery.ts';
import { marketDataCompleted, type MarketDataCompleted } from '../model/events/marketDataCompleted.ts';
import type { Asset, Quote } from '../model/records.ts';
import type { MarketDataRequest } from '../model/requests/marketDataRequest.ts';
import { batch, planBatch, summarize, throttledFetch, writeTo } from '../operators/index.ts';
import { answerDeliveries } from './answerDeliveries.ts';
import { definePipeline, firstBatchOf, type PipelineOptions } from './definePipeline.ts';
import { gatherBatches } from './gatherBatches.ts';

const resolveOptions = definePipeline('marketData');

/** Answers requests for current prices: 100 assets a batch into `market_data`. See `fromRequest` for an example. */
export function marketData(
  options: PipelineOptions<Asset, Quote>,
): OperatorFunction<Delivery<MarketDataRequest, Asset>, MarketDataCompleted> {
  const { fetcher, sink, settle, reportProgress, events, maxAgeMs, concurrency, answering, deadlineMs } =
    resolveOptions(options);
  return answerDeliveries({
    run: (delivery) => {
      const { id: request, inputs, batchSize, lane, signal } = delivery;
      return fromPull(inputs).pipe(
        batch({ batchSize }),
        planBatch({ sink, maxAgeMs, request, firstIndex: firstBatchOf(delivery), signal, events }),
        throttledFetch({ fetcher, concurrency, lane, request, signal, deadlineMs, settle, events }),
        writeTo({ sink, events }),
        reportProgress(delivery),
        summarize(),
      );
    },
    gather: (delivery) => gatherBatches({ delivery, sink, events }).pipe(reportProgress(delivery), summarize()),
    toCompletion: marketDataCompleted,
    ...answering,
  });
}
