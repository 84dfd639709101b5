import type { OperatorFunction } from 'rxjs';
import { fromPull } from '../flow/fromPull.ts';
import type { Delivery } from '../model/delivery.ts';
import { marketIndexDataCompleted, type MarketIndexDataCompleted } from '../model/events/marketIndexDataCompleted.ts';
import type { IndexQuote, MarketIndex } from '../model/records.ts';
import type { MarketIndexDataRequest } from '../model/requests/marketIndexDataRequest.ts';
import { batch, planBatch, summarize, throttledFetch, writeTo } from '../operators/index.ts';
import { answerDeliveries } from './answerDeliveries.ts';
import { definePipeline, firstBatchOf, type PipelineOptions } from './definePipeline.ts';
import { gatherBatches } from './gatherBatches.ts';

const resolveOptions = definePipeline('marketIndexData');

/** Answers requests for current values of indexes: 100 symbols a batch into `market_index_data`. */
export function marketIndexData(
  options: PipelineOptions<MarketIndex, IndexQuote>,
): OperatorFunction<Delivery<MarketIndexDataRequest, MarketIndex>, MarketIndexDataCompleted> {
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
    toCompletion: marketIndexDataCompleted,
    ...answering,
  });
}
