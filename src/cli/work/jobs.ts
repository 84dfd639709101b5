import { lastValueFrom, toArray, type OperatorFunction } from 'rxjs';
import {
  fromRequest,
  historicalMarketData,
  marketData,
  marketIndexData,
  memorySink,
  parseHistoricalMarketDataRequest,
  parseMarketDataRequest,
  parseMarketIndexDataRequest,
  type CompletionEvent,
  type Delivery,
  type Fetcher,
  type PipelineName,
  type PipelineOptions,
  type RefusedInput,
  type Request,
  type RunObserver,
  type Sink,
} from '../../index.ts';
import {
  marketDataSink,
  marketIndexSink,
  monthlyPriceSink,
  type Database,
  type PriceTable,
} from '../../postgres/index.ts';
import type { Environment } from '../input/environment.ts';
import { indexFetchers, monthlyFetchers, quoteFetchers, type Fetchers, type ProviderName } from './fetchers.ts';
import { storedIndexes, storedMonths, storedQuotes, type Stored } from './stored.ts';

/** What every kind of input has. */
export interface Input {
  readonly symbol: string;
  readonly assetType?: string;
}

/** A request that was read, ready to be run. */
export interface PreparedRequest {
  readonly inputs: readonly Input[];
  readonly refused: readonly RefusedInput[];
  /** Runs the pipeline to its completion event; rejects when there can be none. */
  run(call: RunCall): Promise<FinishedRun>;
}

export interface RunCall {
  /** None: keeps everything in memory. */
  readonly database: Database | undefined;
  /** The ledger key: see `fromRequest`. */
  readonly key: string;
  readonly signal: AbortSignal;
  readonly events: RunObserver;
}

interface StoredText {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface FinishedRun {
  readonly completion: CompletionEvent;
  /** What the table holds now, as text: a line of titles and one per value. */
  readonly stored: () => Promise<StoredText>;
}

/** One of the three pipelines, as the command line runs it. */
export interface Job {
  readonly name: PipelineName;
  /** The table it writes. */
  readonly table: PriceTable;
  /** The providers it can use, the default one first. */
  readonly providers: readonly ProviderName[];
  /** Throws an `OptionsError` for a missing variable of the provider; sends nothing. */
  open(provider: ProviderName, environment: Environment): OpenJob;
}

export interface OpenJob {
  /**
   * Reads the message of a request; `refused` are symbols that did not even get into it. Throws a `RequestError` when
   * the message is no request.
   */
  prepare(message: object, refused?: readonly RefusedInput[]): PreparedRequest;
}

interface Parts<R extends Request<I>, I extends Input, T, C extends CompletionEvent> {
  readonly name: PipelineName;
  readonly table: PriceTable;
  readonly fetchers: Fetchers<I, T>;
  readonly parse: (message: object) => R;
  readonly pipeline: (options: PipelineOptions<I, T>) => OperatorFunction<Delivery<R, I>, C>;
  readonly sink: (options: { database: Database }) => Sink<I, T>;
  readonly stored: Stored<T>;
}

function defineJob<R extends Request<I>, I extends Input, T, C extends CompletionEvent>(parts: Parts<R, I, T, C>): Job {
  const { name, table, fetchers, parse } = parts;
  const providers = Object.keys(fetchers) as ProviderName[];
  return {
    name,
    table,
    providers,
    open(provider, environment) {
      const fetcher = fetchers[provider]?.(environment);
      if (fetcher === undefined) throw new TypeError(`${name} has no provider ${provider}`);
      return {
        prepare: (message, refused = []) => {
          const request = parse(message);
          return prepare(parts, fetcher, { ...request, refused: [...request.refused, ...refused] });
        },
      };
    },
  };
}

function prepare<R extends Request<I>, I extends Input, T, C extends CompletionEvent>(
  { pipeline, sink: openSink, stored }: Parts<R, I, T, C>,
  fetcher: Fetcher<I, T>,
  request: R,
): PreparedRequest {
  const run = async (sink: Sink<I, T>, { key, signal, events }: RunCall): Promise<CompletionEvent> => {
    const deliveries = fromRequest(request, { key, ledger: sink.ledger, signal });
    return lastValueFrom(deliveries.pipe(pipeline({ fetcher, sink, events })));
  };
  const text = (values: readonly T[]): StoredText => ({
    titles: stored.titles,
    rows: values.map((value) => stored.cells(value)),
  });
  return {
    inputs: request.inputs,
    refused: request.refused,
    async run(call) {
      const { database } = call;
      if (database !== undefined) {
        const completion = await run(openSink({ database }), call);
        return {
          completion,
          stored: async () => text(await lastValueFrom(stored.read(database).pipe(toArray()))),
        };
      }
      const memory = memorySink<I, T>();
      const completion = await run(memory, call);
      return { completion, stored: () => Promise.resolve(text([...memory.rows.values()])) };
    },
  };
}

/** The three pipelines, by name. */
export const jobs = {
  'market-data': defineJob({
    name: 'market-data',
    table: 'market_data',
    fetchers: quoteFetchers,
    parse: parseMarketDataRequest,
    pipeline: marketData,
    sink: marketDataSink,
    stored: storedQuotes,
  }),
  'market-index-data': defineJob({
    name: 'market-index-data',
    table: 'market_index_data',
    fetchers: indexFetchers,
    parse: parseMarketIndexDataRequest,
    pipeline: marketIndexData,
    sink: marketIndexSink,
    stored: storedIndexes,
  }),
  'historical-market-data': defineJob({
    name: 'historical-market-data',
    table: 'market_data_monthly',
    fetchers: monthlyFetchers,
    parse: parseHistoricalMarketDataRequest,
    pipeline: historicalMarketData,
    sink: monthlyPriceSink,
    stored: storedMonths,
  }),
} as const satisfies Record<PipelineName, Job>;
