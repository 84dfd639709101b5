import { z } from 'zod';
import { callback, defineOptions, port } from '../../model/defineOptions.ts';
import type { Ledger } from '../../model/ports.ts';
import { assetTypes, type Asset, type DateText, type MarketIndex, type MonthlyRange } from '../../model/records.ts';
import {
  parseHistoricalMarketDataRequest,
  type HistoricalMarketDataRequest,
} from '../../model/requests/historicalMarketDataRequest.ts';
import { parseMarketDataRequest, type MarketDataRequest } from '../../model/requests/marketDataRequest.ts';
import {
  parseMarketIndexDataRequest,
  type MarketIndexDataRequest,
} from '../../model/requests/marketIndexDataRequest.ts';
import { symbolSchema, type PipelineName, type Request } from '../../model/requests/request.ts';
import { requestDefaults } from '../../model/requests/requestDefaults.ts';
import type { RequestTopic } from './requestTopic.ts';

export interface RequestTopicOptions<I> {
  /** Remembers what was accepted and done: mostly `sink.ledger`. Default: none, a request that comes again begins anew. */
  ledger?: Ledger<I, unknown> | undefined;
  /** Where requests come from. Default: the name that the FinTrack deployment uses. */
  topic?: string | undefined;
  /** Where completion events go. Default: the name that the FinTrack deployment uses. */
  completionTopic?: string | undefined;
  /** Where dead letters go. Default: `<topic>-dlt`. */
  deadLetterTopic?: string | undefined;
  /** Where the batches of large requests go; null: no request is shared. Default: `MARKET_DATA_UPDATE_WORK` and the like. */
  workTopic?: string | null | undefined;
  /** Whose share of the credits the requests use. Default: `market`, `index` or `historical`. */
  lane?: string | undefined;
  /** Inputs a batch. Default: 100, for historical requests 50. */
  batchSize?: number | undefined;
  /** The clock that says which day is today, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

export interface HistoricalTopicOptions extends RequestTopicOptions<MonthlyRange> {
  /** Most months of all assets of a request together: assets times months. Default: 3,000,000. */
  maxMonths?: number | undefined;
}

const topicName = z.string().regex(/^[\w.-]{1,249}$/, { error: 'expected a topic name' });

const checks = {
  ledger: port<Ledger<unknown, unknown>>(
    'a ledger',
    'accept',
    'stored',
    'batches',
    'storedNumbers',
    'begin',
    'handBack',
  ).optional(),
  topic: topicName.optional(),
  completionTopic: topicName.optional(),
  deadLetterTopic: topicName.optional(),
  workTopic: topicName.nullish(),
  lane: z.string().min(1).optional(),
  batchSize: z.int().min(1).max(10_000).optional(),
  now: callback<() => number>().default(() => () => Date.now()),
};

const resolveMarketData = defineOptions<RequestTopicOptions<unknown>>('marketDataTopic')(checks);

const resolveMarketIndexData = defineOptions<RequestTopicOptions<unknown>>('marketIndexDataTopic')(checks);

const resolveHistorical = defineOptions<RequestTopicOptions<unknown> & Pick<HistoricalTopicOptions, 'maxMonths'>>(
  'historicalMarketDataTopic',
)({ ...checks, maxMonths: z.int().min(1).optional() });

/** What the three standard topics have in common. */
function common<I, Pipeline extends PipelineName>(
  pipeline: Pipeline,
  names: { readonly topic: string; readonly completionTopic: string; readonly workTopic: string },
  resolved: ReturnType<typeof resolveMarketData>,
  ledger: Ledger<I, unknown> | undefined,
): Omit<RequestTopic<Request<I> & { readonly pipeline: Pipeline }, I>, 'parse' | 'inputSchema' | 'requestOf'> {
  const { workTopic = names.workTopic, topic = names.topic } = resolved;
  return {
    topic,
    completionTopic: resolved.completionTopic ?? names.completionTopic,
    deadLetterTopic: resolved.deadLetterTopic ?? `${topic}-dlt`,
    workTopic: workTopic ?? undefined,
    pipeline,
    lane: resolved.lane ?? requestDefaults[pipeline].lane,
    batchSize: resolved.batchSize ?? requestDefaults[pipeline].batchSize,
    ledger,
  };
}

// Made once: a worker opens its topics again each time that it joins its group.
const assetSchema = z.object({ symbol: symbolSchema, assetType: z.enum(assetTypes) });

const nothingElse = { refused: [], account: {} };

/**
 * The topic of market data requests: MARKET_DATA_UPDATE_REQUEST, answered on MARKET_DATA_UPDATE_COMPLETE.
 *
 * @example
 * ```ts
 * import { marketDataTopic } from 'fintrack-pipelines/kafka';
 *
 * const { topic, completionTopic, deadLetterTopic, workTopic, lane, batchSize } = marketDataTopic();
 * console.log(topic, completionTopic, deadLetterTopic);
 * // MARKET_DATA_UPDATE_REQUEST MARKET_DATA_UPDATE_COMPLETE MARKET_DATA_UPDATE_REQUEST-dlt
 * console.log(workTopic, lane, batchSize);
 * // MARKET_DATA_UPDATE_WORK market 100
 * ```
 */
export function marketDataTopic(options: RequestTopicOptions<Asset> = {}): RequestTopic<MarketDataRequest, Asset> {
  const names = {
    topic: 'MARKET_DATA_UPDATE_REQUEST',
    completionTopic: 'MARKET_DATA_UPDATE_COMPLETE',
    workTopic: 'MARKET_DATA_UPDATE_WORK',
  };
  return {
    ...common('market-data', names, resolveMarketData(options), options.ledger),
    parse: parseMarketDataRequest,
    inputSchema: assetSchema,
    requestOf: (inputs) => ({ pipeline: 'market-data', inputs, ...nothingElse }),
  };
}

/**
 * The topic of index requests: MARKET_INDEX_DATA_UPDATE_REQUEST, answered on MARKET_INDEX_DATA_UPDATE_COMPLETE.
 *
 * @example
 * ```ts
 * import { marketIndexDataTopic } from 'fintrack-pipelines/kafka';
 *
 * const { lane, parse } = marketIndexDataTopic();
 * console.log(lane, parse('{"symbols":["^GSPC"]}').inputs);
 * // index [ { symbol: '^GSPC' } ]
 * ```
 */
export function marketIndexDataTopic(
  options: RequestTopicOptions<MarketIndex> = {},
): RequestTopic<MarketIndexDataRequest, MarketIndex> {
  const names = {
    topic: 'MARKET_INDEX_DATA_UPDATE_REQUEST',
    completionTopic: 'MARKET_INDEX_DATA_UPDATE_COMPLETE',
    workTopic: 'MARKET_INDEX_DATA_UPDATE_WORK',
  };
  return {
    ...common('market-index-data', names, resolveMarketIndexData(options), options.ledger),
    parse: parseMarketIndexDataRequest,
    inputSchema: z.object({ symbol: symbolSchema }),
    requestOf: (inputs) => ({ pipeline: 'market-index-data', inputs, ...nothingElse }),
  };
}

/**
 * The topic of historical requests: HISTORICAL_MARKET_DATA_REQUEST, answered on HISTORICAL_MARKET_DATA_COMPLETE.
 *
 * @example
 * ```ts
 * import { historicalMarketDataTopic } from 'fintrack-pipelines/kafka';
 *
 * const { lane, batchSize, workTopic } = historicalMarketDataTopic({ workTopic: null });
 * console.log(lane, batchSize, workTopic);
 * // historical 50 undefined
 * ```
 */
export function historicalMarketDataTopic(
  options: HistoricalTopicOptions = {},
): RequestTopic<HistoricalMarketDataRequest, MonthlyRange> {
  const names = {
    topic: 'HISTORICAL_MARKET_DATA_REQUEST',
    completionTopic: 'HISTORICAL_MARKET_DATA_COMPLETE',
    workTopic: 'HISTORICAL_MARKET_DATA_WORK',
  };
  const { maxMonths, ...resolved } = resolveHistorical(options);
  const { now } = resolved;
  return {
    ...common('historical-market-data', names, resolved, options.ledger),
    parse: (message) => parseHistoricalMarketDataRequest(message, { now, maxMonths }),
    inputSchema: z.object({
      symbol: symbolSchema,
      assetType: z.enum(assetTypes),
      startDate: z.iso.date(),
      endDate: z.iso.date(),
      storedMonths: z.int().min(0).optional(),
    }),
    requestOf: (inputs) => ({ pipeline: 'historical-market-data', inputs, ...nothingElse, ...datesOf(inputs) }),
  };
}

/** The months that the ranges reach over. */
function datesOf(ranges: readonly MonthlyRange[]): { readonly startDate: DateText; readonly endDate: DateText } {
  const [startDate = ''] = ranges.map((range) => range.startDate).sort();
  const endDate =
    ranges
      .map((range) => range.endDate)
      .sort()
      .at(-1) ?? '';
  return { startDate, endDate };
}
