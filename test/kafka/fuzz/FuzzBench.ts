import { Subject, type Subscription } from 'rxjs';
import { vi } from 'vitest';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import {
  historicalMarketDataTopic,
  marketDataTopic,
  marketIndexDataTopic,
} from '../../../src/kafka/requests/requestTopics.ts';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import type { Fetched, Fetcher } from '../../../src/model/ports.ts';
import type { SourceRecord } from '../../../src/model/recordPorts.ts';
import type { Asset, IndexQuote, MarketIndex, MonthlyPrices, MonthlyRange, Quote } from '../../../src/model/records.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';
import { answerByPipeline } from '../../../src/pipelines/answerByPipeline.ts';
import { historicalMarketData } from '../../../src/pipelines/historicalMarketData.ts';
import { marketData } from '../../../src/pipelines/marketData.ts';
import { marketIndexData } from '../../../src/pipelines/marketIndexData.ts';
import { lanes, topics } from '../../support/workers/requests.ts';
import { findFaults } from './findFaults.ts';
import type { FuzzMessage } from './messages.ts';

const groupId = 'workers';
const partitions = 2;

/** The real one, in virtual time, too. */
const immediate = setImmediate;
async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => immediate(resolve));
}

const prices = {
  price: '1',
  change: '0',
  priceChange: '0',
  percentChange: '0',
  high: '1',
  low: '1',
  priceHigh: '1',
  priceLow: '1',
};

function fetcher<I, T>(valueOf: (input: I) => T): Fetcher<I, T> {
  return {
    name: 'prices',
    fetch: (inputs) =>
      Promise.resolve(
        inputs.map((input): Fetched<T> => ({
          status: 'ok',
          value: valueOf(input),
          provider: 'prices',
          receivedAtMs: 0,
        })),
      ),
  };
}

const placesOf = (topic: string, count: number): Record<string, number> => ({ [topic]: count });

/** A worker with everything in memory, in virtual time, for whatever comes. Requests of more than 15 symbols are shared. */
export class FuzzBench {
  readonly #broker = memoryBroker({
    topics: Object.assign(
      {},
      ...lanes.flatMap((lane) => {
        const { request, completion, work } = topics[lane];
        return [request, completion, work, `${request}-dlt`].map((topic) => placesOf(topic, partitions));
      }),
    ) as Record<string, number>,
    now: () => 1_700_000_000_000,
  });
  readonly #assets = memorySink<Asset, Quote>();
  readonly #indexes = memorySink<MarketIndex, IndexQuote>();
  readonly #months = memorySink<MonthlyRange, MonthlyPrices>();
  readonly #topics = {
    market: marketDataTopic({ ledger: this.#assets.ledger, batchSize: 5 }),
    index: marketIndexDataTopic({ ledger: this.#indexes.ledger, batchSize: 5 }),
    historical: historicalMarketDataTopic({ ledger: this.#months.ledger, batchSize: 5 }),
  };
  readonly #subscription: Subscription;
  #end: unknown;

  constructor() {
    const { market, index, historical } = this.#topics;
    const all = [market, index, historical];
    const names = all.flatMap(({ topic, workTopic = '' }) => [topic, workTopic]);
    const events = new Subject<RunEvent>();
    const common = { events, requestConcurrency: 32 };
    const quotes = fetcher((asset: Asset) => ({ ...asset, ...prices }));
    const indexes = fetcher((each: MarketIndex) => ({ ...each, ...prices }));
    const months = fetcher(({ symbol, assetType }: MonthlyRange) => ({
      symbol,
      assetType,
      recordCount: 0,
      prices: [],
    }));
    this.#subscription = fromRequests({
      source: this.#broker.source({ groupId, topics: names }),
      sink: this.#broker.sink(),
      groupId,
      topics: [market, index, historical],
      progress: events,
      splitAbove: 3,
    })
      .pipe(
        answerByPipeline({
          'market-data': { requests: marketData({ fetcher: quotes, sink: this.#assets, ...common }) },
          'market-index-data': { requests: marketIndexData({ fetcher: indexes, sink: this.#indexes, ...common }) },
          'historical-market-data': {
            requests: historicalMarketData({ fetcher: months, sink: this.#months, ...common }),
          },
        }),
      )
      .subscribe({ error: (error: unknown) => (this.#end = error), complete: () => (this.#end = 'completed') });
  }

  async send(messages: readonly FuzzMessage[]): Promise<void> {
    await this.#broker.sink().send(messages);
  }

  /** All that is wrong, after so much time. */
  async faults(afterMs: number): Promise<string[]> {
    for (let passed = 0; passed < afterMs; passed += 250) {
      await settle();
      await vi.advanceTimersByTimeAsync(250);
    }
    await settle();
    const ends = this.#end === undefined ? [] : [`the worker has ended: ${String(this.#end)}`];
    return ends.concat(lanes.flatMap((lane) => this.#faultsOf(lane)));
  }

  /** How many completions there are on the lane. */
  completions(lane: (typeof lanes)[number]): readonly SourceRecord[] {
    return this.#broker.records(topics[lane].completion);
  }

  /** Leaves the group; what is wrong with how far it says that it has got. */
  async close(): Promise<string[]> {
    this.#subscription.unsubscribe();
    await settle();
    const faults: string[] = [];
    for (const topic of lanes.flatMap((lane) => [topics[lane].request, topics[lane].work])) {
      const ends = await this.#broker.topics().ends(topic);
      for (const { partition, end } of ends) {
        const { committed } = await this.#broker.sink().own(topic, partition, groupId);
        if (committed.offset !== end) faults.push(`${topic}-${partition}: at ${committed.offset} of ${end}`);
      }
    }
    return faults;
  }

  #faultsOf(lane: (typeof lanes)[number]): string[] {
    const { request, completion, work } = topics[lane];
    return findFaults({
      topic: this.#topics[lane],
      requests: this.#broker.records(request),
      // Those of the worker are read like all others.
      works: this.#broker.records(work),
      completions: this.#broker.records(completion),
      deadLetters: this.#broker.records(`${request}-dlt`),
    });
  }
}
