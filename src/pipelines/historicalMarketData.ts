import type { OperatorFunction } from 'rxjs';
import { fromPull } from '../flow/fromPull.ts';
import type { Delivery } from '../model/delivery.ts';
import {
  historicalMarketDataCompleted,
  type HistoricalMarketDataCompleted,
} from '../model/events/historicalMarketDataCompleted.ts';
import type { MonthlyPrices, MonthlyRange } from '../model/records.ts';
import type { HistoricalMarketDataRequest } from '../model/requests/historicalMarketDataRequest.ts';
import { batch, planBatch, summarize, throttledFetch, writeTo } from '../operators/index.ts';
import { answerDeliveries } from './answerDeliveries.ts';
import { definePipeline, firstBatchOf, type PipelineOptions } from './definePipeline.ts';
import { gatherBatches } from './gatherBatches.ts';

const resolveOptions = definePipeline('historicalMarketData');

/** Answers requests for monthly prices: 50 assets a batch into `market_data_monthly`, fetching only missing months. */
export function historicalMarketData(
  options: PipelineOptions<MonthlyRange, MonthlyPrices>,
): OperatorFunction<Delivery<HistoricalMarketDataRequest, MonthlyRange>, HistoricalMarketDataCompleted> {
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
    toCompletion: historicalMarketDataCompleted,
    ...answering,
  });
}
