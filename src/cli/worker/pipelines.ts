import type { OperatorFunction } from 'rxjs';
import {
  historicalMarketData,
  marketData,
  marketIndexData,
  memorySink,
  type AnswerByPipelineOptions,
  type CompletionEvent,
  type Delivery,
  type Fetcher,
  type PipelineName,
  type PipelineOptions,
  type ProgressEvent,
  type ProviderHealth,
  type Publisher,
  type Request,
  type RunObserver,
  type Sink,
} from '../../index.ts';
import {
  historicalMarketDataTopic,
  marketDataTopic,
  marketIndexDataTopic,
  type AnyRequestTopic,
  type RequestTopic,
  type RequestTopicOptions,
} from '../../kafka/index.ts';
import {
  marketDataSink,
  marketIndexSink,
  monthlyPriceSink,
  patientSink,
  type Database,
  type PriceTable,
} from '../../postgres/index.ts';
import type { Environment } from '../input/environment.ts';
import {
  indexFetchers,
  inTurn,
  monthlyFetchers,
  quoteFetchers,
  type Fetchers,
  type FetcherSharing,
  type ProviderName,
} from '../jobs/fetchers.ts';
import type { DatabaseWaiter } from './watch/DatabaseWatch.ts';
import type { WorkerMetrics } from './watch/WorkerMetrics.ts';

/** Whose share of the credits a pipeline uses. */
export const lanes: Readonly<Record<PipelineName, string>> = {
  'market-data': 'market',
  'market-index-data': 'index',
  'historical-market-data': 'historical',
};

/** As many requests at once as a partition has open: those that need no credits overtake those that wait for some. */
const requestConcurrency = 32;

/** What a pipeline of a worker is put together from. */
export interface PipelineSurroundings {
  /** Undefined: everything is kept in memory. */
  readonly database: Database | undefined;
  /** Where credits are counted: a pool that nothing else waits for. */
  readonly counts: Database | undefined;
  readonly sharing: FetcherSharing;
  /** Gets a line when a provider asks for a very long pause. */
  readonly tell: (line: string) => void;
  readonly metrics: WorkerMetrics;
  readonly events: RunObserver;
  /** Makes what events of single batches are published with. */
  readonly progressTo: (topic: string) => Publisher<ProgressEvent> | undefined;
  /** Told when the sink waits for the database. */
  readonly waiter: DatabaseWaiter;
  /** Ends the waits for the database. */
  readonly handBack: AbortSignal;
}

/** A pipeline of a worker, with the topic that it serves. */
export interface OpenPipeline {
  readonly pipeline: PipelineName;
  readonly topic: AnyRequestTopic;
  /** How its providers are. */
  readonly health: () => readonly ProviderHealth[];
  /** Answers its requests, and does parts of those that are shared. */
  readonly answers: AnswerByPipelineOptions;
}

/** A pipeline with its providers, whose variables were all there. */
export interface ReadPipeline {
  readonly pipeline: PipelineName;
  /** The table it writes. */
  readonly table: PriceTable;
  readonly providers: readonly ProviderName[];
  /** How many symbols of a new request are one batch. */
  readonly batchSize: number;
  readonly open: (surroundings: PipelineSurroundings) => OpenPipeline;
}

/** What bounds a request and its batches. */
interface RequestSizes {
  readonly batchSize: number;
  /** Of historical requests only: most months of all symbols together. */
  readonly maxMonths: number;
}

type ReadPipelineVariables = (
  providers: readonly ProviderName[],
  environment: Environment,
  sizes: RequestSizes,
) => ReadPipeline;

interface Parts<R extends Request<I>, I, T, C extends CompletionEvent> {
  readonly table: PriceTable;
  readonly fetchers: Fetchers<I, T>;
  readonly operator: (options: PipelineOptions<I, T>) => OperatorFunction<Delivery<R, I>, C>;
  readonly sink: (options: { database: Database }) => Sink<I, T>;
  readonly topic: (options: RequestTopicOptions<I>, maxMonths: number) => RequestTopic<R, I>;
  readonly answers: (requests: OperatorFunction<Delivery<R, I>, C>) => AnswerByPipelineOptions;
}

function definePipeline<R extends Request<I>, I, T, C extends CompletionEvent>(
  pipeline: PipelineName,
  parts: Parts<R, I, T, C>,
): ReadPipelineVariables {
  const { table, fetchers } = parts;
  return (providers, environment, sizes) => {
    const openFetcher = inTurn(
      providers.map((provider) => {
        const open = fetchers[provider]?.(environment);
        if (open === undefined) throw new TypeError(`${pipeline} has no provider ${provider}`);
        return open;
      }),
    );
    return {
      pipeline,
      table,
      providers,
      batchSize: sizes.batchSize,
      open: (surroundings) => {
        const { fetcher } = openFetcher(surroundings.counts, surroundings.sharing, surroundings.tell);
        return { pipeline, ...openPipeline(pipeline, parts, { fetcher, ...sizes }, surroundings) };
      },
    };
  };
}

function openPipeline<R extends Request<I>, I, T, C extends CompletionEvent>(
  pipeline: PipelineName,
  { operator, sink: openSink, topic, answers }: Parts<R, I, T, C>,
  { fetcher, batchSize, maxMonths }: { readonly fetcher: Fetcher<I, T> } & RequestSizes,
  { database, metrics, events, progressTo, waiter: { onAway, onBack }, handBack }: PipelineSurroundings,
): Omit<OpenPipeline, 'pipeline'> {
  const sink: Sink<I, T> =
    database === undefined
      ? memorySink<I, T>()
      : patientSink({ sink: openSink({ database }), onWait: onAway, onBack, signal: handBack });
  // Other workers would do parts of a request where its owner never sees them.
  const unshared = database === undefined ? { workTopic: null } : {};
  const requestTopic = topic({ ledger: sink.ledger, lane: lanes[pipeline], batchSize, ...unshared }, maxMonths);
  const observe = metrics.batchesOf<I, T>(pipeline);
  const progress = progressTo(progressTopicOf(requestTopic));
  return {
    topic: requestTopic,
    health: () => fetcher.health?.() ?? [],
    answers: answers(operator({ fetcher, sink, events, progress, observe, requestConcurrency })),
  };
}

/** Where events of single batches go: beside the completions. */
export function progressTopicOf({ completionTopic }: Pick<AnyRequestTopic, 'completionTopic'>): string {
  return completionTopic.replace(/_COMPLETE$/, '_PROGRESS');
}

/** The three pipelines, by name. */
export const readPipelines: Readonly<Record<PipelineName, ReadPipelineVariables>> = {
  'market-data': definePipeline('market-data', {
    table: 'market_data',
    fetchers: quoteFetchers,
    operator: marketData,
    sink: marketDataSink,
    topic: marketDataTopic,
    answers: (requests) => ({ 'market-data': { requests } }),
  }),
  'market-index-data': definePipeline('market-index-data', {
    table: 'market_index_data',
    fetchers: indexFetchers,
    operator: marketIndexData,
    sink: marketIndexSink,
    topic: marketIndexDataTopic,
    answers: (requests) => ({ 'market-index-data': { requests } }),
  }),
  'historical-market-data': definePipeline('historical-market-data', {
    table: 'market_data_monthly',
    fetchers: monthlyFetchers,
    operator: historicalMarketData,
    sink: monthlyPriceSink,
    topic: (options, maxMonths) => historicalMarketDataTopic({ ...options, maxMonths }),
    answers: (requests) => ({ 'historical-market-data': { requests } }),
  }),
};
