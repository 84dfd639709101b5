// Pipelines: one job each.
export { historicalMarketData } from './pipelines/historicalMarketData.ts';
export { marketData } from './pipelines/marketData.ts';
export { marketIndexData } from './pipelines/marketIndexData.ts';
export {
  answerByPipeline,
  type AnswerByPipelineOptions,
  type DeliveriesByPipeline,
  type PipelineAnswers,
} from './pipelines/answerByPipeline.ts';
export { answerDeliveries, type AnswerDeliveriesOptions } from './pipelines/answerDeliveries.ts';
export type { PipelineOptions } from './pipelines/definePipeline.ts';
export { gatherBatches, type GatherBatchesOptions } from './pipelines/gatherBatches.ts';
export { fromRequest, type FromRequestOptions } from './pipelines/fromRequest.ts';
export { plan, type Plan, type PlanOptions } from './pipelines/plan.ts';
export type { PlannedWindow } from './pipelines/planTally.ts';

// Operators: one stage each.
export * from './operators/index.ts';

// Sources.
export { fromCsv, type BadRow, type CsvInput, type FromCsvOptions } from './sources/fromCsv.ts';

// Flow: the memory bound, and the pieces to build a bounded operator of your own.
export { apart } from './flow/apart.ts';
export { Emitter } from './flow/Emitter.ts';
export { FlowError, type FlowErrorCode } from './flow/FlowError.ts';
export { fromPages } from './flow/fromPages.ts';
export { fromPull } from './flow/fromPull.ts';
export { Gate } from './flow/Gate.ts';
export { mergeMapBounded, type MergeMapBoundedOptions } from './flow/mergeMapBounded.ts';
export type { Pull, PullFactory } from './flow/pull.ts';

// Limits.
export {
  creditLimiter,
  type CreditLimiter,
  type CreditLimiterOptions,
  type CreditQuota,
} from './limits/creditLimiter.ts';
export type { LongPause } from './limits/credits/stops.ts';
export { jsonFileStore, type JsonFileStoreOptions } from './limits/quotas/jsonFileStore.ts';
export { memoryQuotaStore } from './limits/quotas/memoryQuotaStore.ts';
export type { QuotaPeriod } from './limits/quotas/quotaPeriod.ts';
export { firstOf } from './limits/firstOf.ts';
export { limited, type LimitedOptions } from './limits/limited.ts';

// Providers.
export { frankfurterMonthly, type FrankfurterMonthlyOptions } from './providers/frankfurterMonthly.ts';
export { frankfurterQuotes } from './providers/frankfurterQuotes.ts';
export type { FrankfurterOptions } from './providers/frankfurter/frankfurterOptions.ts';
export { massiveMonthly, type MassiveOptions } from './providers/massiveMonthly.ts';
export { twelveDataMonthly } from './providers/twelveDataMonthly.ts';
export { twelveDataQuotes } from './providers/twelveDataQuotes.ts';
export type { TwelveDataMonthlyOptions, TwelveDataOptions } from './providers/twelveData/twelveDataOptions.ts';
export { yahooRapidApiIndexes, type YahooRapidApiOptions } from './providers/yahooRapidApiIndexes.ts';
export { recordedIndexes } from './providers/recorded/recordedIndexes.ts';
export { recordedMonthly } from './providers/recorded/recordedMonthly.ts';
export { recordedQuotes, type RecordedOptions } from './providers/recorded/recordedQuotes.ts';
export { simulatedIndexes } from './providers/simulated/simulatedIndexes.ts';
export { simulatedMonthly } from './providers/simulated/simulatedMonthly.ts';
export { simulatedQuotes, type SimulatedOptions, type SimulatedQuota } from './providers/simulated/simulatedQuotes.ts';

// Providers: the pieces to write one of your own.
export { hostToBaseUrl } from './providers/http/baseUrl.ts';
export { readJson } from './providers/http/readJson.ts';
export { classifyAnswer, refusalError, type Refusal } from './providers/http/refusal.ts';
export { requestText, type TextRequest, type TextResponse } from './providers/http/requestText.ts';
export { isSameSymbol, type ExchangeSign } from './providers/isSameSymbol.ts';

// In memory: broker, bus, sink and ledger.
export { memoryBroker, type MemoryBroker, type MemoryBrokerOptions } from './memory/memoryBroker.ts';
export { memoryBus, type MemoryBus, type MemoryBusOptions } from './memory/memoryBus.ts';
export { memoryLedger, type LedgerBatch, type MemoryLedger, type MemoryLedgerOptions } from './memory/memoryLedger.ts';
export { memorySink, type MemorySink, type MemorySinkOptions } from './memory/memorySink.ts';

// The model: records, batches and outcomes.
export * from './model/batch.ts';
export * from './model/outcome.ts';
export * from './model/records.ts';
export { fitsNumeric, isDecimal, parseDecimal } from './model/decimal.ts';
export type * from './model/delivery.ts';
export type * from './model/ports.ts';
export type * from './model/quotaPorts.ts';
export type * from './model/recordPorts.ts';
export { announcedSpan } from './model/announcedBitmap.ts';
export type * from './model/runEvents.ts';
export type * from './model/summary.ts';

// The model: errors and options.
export * from './model/errors.ts';
export { callback, defineOptions, port } from './model/defineOptions.ts';
export { z } from 'zod'; // for the checks of `defineOptions`

// The model: requests.
export { assetEntrySchema } from './model/requests/assetEntries.ts';
export * from './model/requests/historicalMarketDataRequest.ts';
export * from './model/requests/marketDataRequest.ts';
export * from './model/requests/marketIndexDataRequest.ts';
export {
  symbolSchema,
  type AccountEcho,
  type PipelineName,
  type RefusedInput,
  type Request,
  type RequestMessage,
} from './model/requests/request.ts';

// The model: events.
export {
  failedEntrySchema,
  skippedEntrySchema,
  type AssetEntry,
  type CompletionEvent,
  type CompletionFields,
  type CompletionStatus,
  type FailedEntry,
  type SkippedEntry,
} from './model/events/completion.ts';
export type { Answered } from './model/events/completionOf.ts';
export * from './model/events/historicalMarketDataCompleted.ts';
export * from './model/events/marketDataCompleted.ts';
export * from './model/events/marketIndexDataCompleted.ts';
export * from './model/events/progress.ts';
export { failedRequest } from './model/events/failedRequest.ts';
export { rejectedRequest } from './model/events/rejectedRequest.ts';
export { serializeCompletion } from './model/events/serializeCompletion.ts';
export { parseEvent, serializeEvent } from './model/events/serializeEvent.ts';
