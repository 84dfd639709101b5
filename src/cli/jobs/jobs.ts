import { from, lastValueFrom, toArray, type OperatorFunction } from 'rxjs';
import {
  fromRequest,
  historicalMarketData,
  marketData,
  marketIndexData,
  memorySink,
  plan,
  parseHistoricalMarketDataRequest,
  parseMarketDataRequest,
  parseMarketIndexDataRequest,
  type CompletionEvent,
  type Delivery,
  type PipelineName,
  type PipelineOptions,
  type Plan,
  type RefusedInput,
  type Request,
  type RunObserver,
  type Sink,
} from '../../index.ts';
import {
  marketDataSink,
  marketIndexSink,
  monthlyPriceSink,
  requestDetails,
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
  type OpenFetcher,
  type ProviderName,
} from './fetchers.ts';
import { storedIndexes, storedMonths, storedQuotes, type Stored } from './stored.ts';

/** What every kind of input has. */
export interface Input {
  readonly symbol: string;
  readonly assetType?: string;
}

/** A request that was read, ready to be planned and run. */
export interface PreparedRequest extends Request<Input> {
  /** Without a database everything is kept in memory. `tell` gets a line when a provider asks for a very long pause. */
  open(database: Database | undefined, tell?: (line: string) => void): OpenRequest;
}

/** A request with its fetcher, which is to be disposed of before the database is closed. */
export interface OpenRequest extends AsyncDisposable {
  /** What the request would take; with a key, what is done under it counts as stored. Writes nothing. */
  plan(call: { readonly key: string | undefined; readonly signal: AbortSignal }): Promise<Plan>;
  /** When that many more credits will have been granted to the request of that key. */
  forecast(credits: number, key: string): Date | undefined;
  /** Runs the pipeline to its completion event; rejects when there can be none. */
  run(call: RunCall): Promise<FinishedRun>;
}

export interface RunCall {
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
  /**
   * The job with its provider and those that are asked for what the ones before cannot serve. Throws an `OptionsError` for a
   * missing variable of any; sends nothing.
   */
  open(providers: readonly ProviderName[], environment: Environment, sizes?: RequestSizes): OpenJob;
}

export interface RequestSizes {
  /** Symbols in a batch of a new request. Default: that of the pipeline. */
  readonly batchSize?: number;
  /** Of historical requests only: most months of all symbols together. Default: that of the library. */
  readonly maxMonths?: number;
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
  readonly parse: (message: object, sizes: { readonly maxMonths: number | undefined }) => R;
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
    open(chosen, environment, { batchSize, maxMonths } = {}) {
      const openFetcher = inTurn(
        chosen.map((provider) => {
          const open = fetchers[provider]?.(environment);
          if (open === undefined) throw new TypeError(`${name} has no provider ${provider}`);
          return open;
        }),
      );
      return {
        prepare: (message, refused = []) => {
          const parsed = parse(message, { maxMonths });
          const request = { ...parsed, refused: [...parsed.refused, ...refused] };
          return {
            ...request,
            open: (database, tell) =>
              openRequest(parts, request, openFetcher(database, undefined, tell), { database, batchSize }),
          };
        },
      };
    },
  };
}

function openRequest<R extends Request<I>, I extends Input, T, C extends CompletionEvent>(
  { pipeline, sink: openSink, stored }: Parts<R, I, T, C>,
  request: R,
  opened: OpenFetcher<I, T>,
  { database, batchSize }: { readonly database: Database | undefined; readonly batchSize: number | undefined },
): OpenRequest {
  const { fetcher } = opened;
  const memory = memorySink<I, T>();
  const sink = database === undefined ? memory : openSink({ database });
  const values = database === undefined ? () => from([...memory.rows.values()]) : () => stored.read(database);
  return {
    async plan({ key, signal }) {
      // A request under way keeps the size it was accepted with.
      const known = database && key ? await requestDetails({ database, key, maxShortfalls: 0 }) : undefined;
      return plan(request, { fetcher, sink, key, signal, batchSize: known?.batchSize ?? batchSize });
    },
    forecast: (credits, key) => fetcher.estimate?.([], { ahead: credits, request: key }).doneAt,
    async run({ key, signal, events }) {
      const deliveries = fromRequest(request, { key, ledger: sink.ledger, signal, batchSize });
      const completion = await lastValueFrom(deliveries.pipe(pipeline({ fetcher, sink, events })));
      return { completion, stored: async () => textOf(stored, await lastValueFrom(values().pipe(toArray()))) };
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

function textOf<T>(stored: Stored<T>, values: readonly T[]): StoredText {
  return { titles: stored.titles, rows: values.map((value) => stored.cells(value)) };
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
