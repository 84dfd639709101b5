import { Subject, type Observable } from 'rxjs';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import type { FromRequestsOptions } from '../../../src/kafka/requests/fromRequestsOptions.ts';
import {
  historicalMarketDataTopic,
  marketDataTopic,
  marketIndexDataTopic,
} from '../../../src/kafka/requests/requestTopics.ts';
import type { CompletionEvent } from '../../../src/model/events/completion.ts';
import type { Fetched, Fetcher, Sink } from '../../../src/model/ports.ts';
import type { Asset, IndexQuote, MarketIndex, MonthlyPrices, MonthlyRange, Quote } from '../../../src/model/records.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';
import { answerByPipeline } from '../../../src/pipelines/answerByPipeline.ts';
import { historicalMarketData } from '../../../src/pipelines/historicalMarketData.ts';
import { marketData } from '../../../src/pipelines/marketData.ts';
import { marketIndexData } from '../../../src/pipelines/marketIndexData.ts';
import type { Lane } from '../../support/workers/requests.ts';

/** The topics of a lane, where they have other names than in the deployment. */
export interface LaneTopics {
  readonly topic: string;
  readonly completionTopic: string;
  readonly deadLetterTopic: string;
  readonly workTopic: string;
}

export interface FuzzSinks {
  readonly market: Sink<Asset, Quote>;
  readonly index: Sink<MarketIndex, IndexQuote>;
  readonly historical: Sink<MonthlyRange, MonthlyPrices>;
}

/** The three request topics, with batches of 5. */
export function fuzzTopics(sinks: FuzzSinks, names: Partial<Record<Lane, LaneTopics>> = {}) {
  return {
    market: marketDataTopic({ ledger: sinks.market.ledger, batchSize: 5, ...names.market }),
    index: marketIndexDataTopic({ ledger: sinks.index.ledger, batchSize: 5, ...names.index }),
    historical: historicalMarketDataTopic({ ledger: sinks.historical.ledger, batchSize: 5, ...names.historical }),
  };
}

export type FuzzTopics = ReturnType<typeof fuzzTopics>;

const prices = {
  ...{ price: '1', change: '0', priceChange: '0', percentChange: '0' },
  ...{ high: '1', low: '1', priceHigh: '1', priceLow: '1' },
};

/** Answers at once, and knows every symbol. */
function fetcher<I, T>(valueOf: (input: I) => T): Fetcher<I, T> {
  const fetched = (input: I): Fetched<T> => ({
    status: 'ok',
    value: valueOf(input),
    provider: 'prices',
    receivedAtMs: performance.now(),
  });
  return { name: 'prices', fetch: (inputs) => Promise.resolve(inputs.map(fetched)) };
}

const monthsOf = ({ symbol, assetType, startDate }: MonthlyRange): MonthlyPrices => {
  const price = { date: `${startDate.slice(0, 8)}01`, price: '1' };
  return { symbol, assetType, recordCount: 1, prices: [price] };
};

type FuzzWorkerOptions = Omit<FromRequestsOptions, 'topics' | 'splitAbove' | 'progress'> & {
  readonly topics: FuzzTopics;
  readonly sinks: FuzzSinks;
};

/** A worker with the three pipelines. Requests of more than 15 symbols are shared. */
export function fuzzWorker({ topics, sinks, ...options }: FuzzWorkerOptions): Observable<CompletionEvent> {
  const { market, index, historical } = topics;
  const events = new Subject<RunEvent>();
  const common = { events, requestConcurrency: 32 };
  const quotes = fetcher((asset: Asset): Quote => ({ ...asset, ...prices }));
  const indexes = fetcher((each: MarketIndex): IndexQuote => ({ ...each, ...prices }));
  const requests = fromRequests({ ...options, topics: [market, index, historical], progress: events, splitAbove: 3 });
  return requests.pipe(
    answerByPipeline({
      'market-data': { requests: marketData({ fetcher: quotes, sink: sinks.market, ...common }) },
      'market-index-data': { requests: marketIndexData({ fetcher: indexes, sink: sinks.index, ...common }) },
      'historical-market-data': {
        requests: historicalMarketData({ fetcher: fetcher(monthsOf), sink: sinks.historical, ...common }),
      },
    }),
  );
}
