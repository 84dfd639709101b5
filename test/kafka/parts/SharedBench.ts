import { Registry } from 'prom-client';
import { Subject, type Subscription } from 'rxjs';
import { vi } from 'vitest';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import { historicalMarketDataTopic, marketDataTopic } from '../../../src/kafka/requests/requestTopics.ts';
import { recordMetrics, recordWorkerMetrics } from '../../../src/metrics/index.ts';
import type { WorkerEvent } from '../../../src/model/workerEvents.ts';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { limited } from '../../../src/limits/limited.ts';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import type { CompletionEvent } from '../../../src/model/events/completion.ts';
import type { ProgressEvent } from '../../../src/model/events/progress.ts';
import { parseEvent } from '../../../src/model/events/serializeEvent.ts';
import type { Limiter, Provider, Sink } from '../../../src/model/ports.ts';
import type { RecordSource } from '../../../src/model/recordPorts.ts';
import type { Asset, MonthlyPrices, MonthlyRange, Quote } from '../../../src/model/records.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';
import { answerByPipeline } from '../../../src/pipelines/answerByPipeline.ts';
import { historicalMarketData } from '../../../src/pipelines/historicalMarketData.ts';
import { marketData } from '../../../src/pipelines/marketData.ts';
import { expectWindow } from '../../../src/testing/expectWindow.ts';
import { memoryWindow } from '../../../src/testing/memoryWindow.ts';
import { quotaServer } from '../../../src/testing/quotaServer.ts';
import { quoteOf } from './workBench.ts';

const groupId = 'workers';
const names = ['IN', 'WORK', 'HISTORY', 'HISTORY_WORK'];

export interface SharedBenchOptions {
  readonly credits: number;
  readonly windowMs: number;
  readonly batchSize: number;
  /** Most provider calls at once, of a worker. */
  readonly concurrency?: number | undefined;
}

interface Worker {
  readonly source: RecordSource;
  readonly subscription: Subscription;
  readonly stopping: AbortController;
  readonly progress: readonly ProgressEvent[];
  readonly registry: Registry;
  isEnded: boolean;
}

interface PipelineSettings {
  readonly events: Subject<RunEvent>;
  readonly registry: Registry;
  readonly progress: ProgressEvent[];
  readonly concurrency: number;
}

/** Workers over one broker, one database and one quota, in virtual time. */
export class SharedBench {
  readonly broker = memoryBroker({
    topics: { IN: 1, OUT: 1, 'IN-dlt': 1, WORK: 12, HISTORY: 1, HISTORY_OUT: 1, 'HISTORY-dlt': 1, HISTORY_WORK: 12 },
    now: () => 1_700_000_000_000,
  });
  readonly sink = memorySink<Asset, Quote>();
  readonly history = memorySink<MonthlyRange, MonthlyPrices>();
  readonly events: WorkerEvent[] = [];
  readonly runs: RunEvent[] = [];
  readonly workers: Worker[] = [];
  /** Symbols that were paid for although the ledger had their batch. */
  readonly paidTwice: string[] = [];
  /** How often the ledger got a row, by batch. */
  readonly rows = new Map<number, number>();
  readonly #options: SharedBenchOptions;
  readonly #server;
  readonly #window;

  constructor(options: SharedBenchOptions) {
    this.#options = options;
    const { credits, windowMs } = options;
    this.#server = quotaServer({ credits, windowMs, latencyMs: [10, 60], random: () => 0.5 });
    this.#window = memoryWindow({ credits, windowMs, random: () => 0.5 });
  }

  start(): Worker {
    const { credits, windowMs, batchSize, concurrency = 4 } = this.#options;
    const lanes = ['market', 'historical'];
    const limiter = creditLimiter({ credits, windowMs, window: this.#window, lanes });
    const source = this.broker.source({ groupId, topics: names });
    const events = new Subject<RunEvent>();
    events.subscribe((event) => this.runs.push(event));
    const progress: ProgressEvent[] = [];
    const stopping = new AbortController();
    const registry = new Registry();
    const record = recordWorkerMetrics({ registry, topics: [{ topic: 'IN', pipeline: 'market-data' }] });
    const { market, historical } = this.#pipelines(limiter, { events, registry, progress, concurrency });
    const subscription = fromRequests({
      source,
      sink: this.broker.sink(),
      groupId,
      topics: [
        marketDataTopic({
          ...{ topic: 'IN', completionTopic: 'OUT', workTopic: 'WORK', batchSize, ledger: this.sink.ledger },
        }),
        historicalMarketDataTopic({
          ...{ topic: 'HISTORY', completionTopic: 'HISTORY_OUT', workTopic: 'HISTORY_WORK', batchSize },
          ledger: this.history.ledger,
        }),
      ],
      progress: events,
      events: {
        next: (event) => {
          this.events.push(event);
          record.next(event);
        },
      },
      stop: stopping.signal,
    })
      .pipe(
        answerByPipeline({
          'market-data': { requests: market(), parts: market() },
          'historical-market-data': { requests: historical() },
        }),
      )
      .subscribe({ complete: () => (worker.isEnded = true) });
    const worker: Worker = { source, subscription, stopping, progress, registry, isEnded: false };
    this.workers.push(worker);
    return worker;
  }

  /** Ends a worker as SIGKILL does. */
  kill({ source, subscription }: Worker): void {
    this.broker.crash(source);
    subscription.unsubscribe();
  }

  /** The memory broker gives the partition of IN to the first member. What is bad has no type of asset. */
  async request(symbols: readonly string[], bad: readonly string[] = []): Promise<void> {
    const assets = [
      ...symbols.map((symbol) => ({ symbol, asset_type: 'STOCK' })),
      ...bad.map((symbol) => ({ symbol })),
    ];
    await this.broker.sink().send([{ topic: 'IN', partition: 0, value: JSON.stringify({ assets }) }]);
  }

  async requestHistory(symbols: readonly string[]): Promise<void> {
    const assets = symbols.map((symbol) => ({ symbol, asset_type: 'STOCK' }));
    const value = JSON.stringify({ assets, start_date: '2024-01-31', end_date: '2024-03-31' });
    await this.broker.sink().send([{ topic: 'HISTORY', partition: 0, value }]);
  }

  async pass(milliseconds: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(milliseconds);
  }

  /** Lets time pass until it is so; answers how long it took. */
  async until(isSo: () => boolean, withinMs: number): Promise<number> {
    let passed = 0;
    for (; !isSo(); passed += 100) {
      if (passed > withinMs) throw new Error(`not within ${String(withinMs)} ms`);
      await this.pass(100);
    }
    return passed;
  }

  completions(topic = 'OUT'): CompletionEvent[] {
    return this.broker
      .records(topic)
      .map(({ value }) => parseEvent(Buffer.from(value ?? '').toString()) as CompletionEvent);
  }

  told<Type extends WorkerEvent['type']>(type: Type): Extract<WorkerEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<WorkerEvent, { type: Type }> => event.type === type);
  }

  /** What all workers together have counted of a metric, by the values of its labels. */
  async counted(metric: string): Promise<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const { registry } of this.workers) {
      for (const { labels, value } of (await registry.getSingleMetric(metric)?.get())?.values ?? []) {
        const name = Object.values(labels).join(' ');
        sums[name] = (sums[name] ?? 0) + value;
      }
    }
    return sums;
  }

  /** The most credits that any window held at the provider; throws when it were too many. */
  mostCredits(): number {
    const { credits, windowMs } = this.#options;
    return expectWindow(this.#server.arrivals, { limit: credits, windowMs });
  }

  async close(): Promise<void> {
    for (const { subscription } of this.workers) subscription.unsubscribe();
    await this.pass(1_000);
  }

  #pipelines(limiter: Limiter, { events, registry, progress, concurrency }: PipelineSettings) {
    const publisher = {
      publish: (event: ProgressEvent) => {
        progress.push(event);
        return Promise.resolve();
      },
    };
    const quotes = limited(this.#quotes(), limiter);
    const months = limited(this.#months(), limiter);
    return {
      market: () =>
        marketData({
          fetcher: quotes,
          sink: this.#watched(this.sink),
          events,
          requestConcurrency: concurrency,
          progress: publisher,
          observe: recordMetrics<Asset, Quote>({ registry, pipeline: 'market-data' }),
        }),
      historical: () =>
        historicalMarketData({ fetcher: months, sink: this.history, events, requestConcurrency: concurrency }),
    };
  }

  #quotes(): Provider<Asset, Quote> {
    return {
      ...{ name: 'quotes', maxBatchSize: 100, cost: (assets: readonly Asset[]) => assets.length },
      fetch: async (assets, { signal, report }) => {
        for (const { symbol } of assets) this.#noteIfPaid(symbol);
        report(await this.#server.send(assets.length, { signal }));
        return assets.map(quoteOf);
      },
    };
  }

  #months(): Provider<MonthlyRange, MonthlyPrices> {
    return {
      ...{ name: 'months', maxBatchSize: 100, cost: (ranges: readonly MonthlyRange[]) => ranges.length },
      fetch: async (ranges, { signal, report }) => {
        report(await this.#server.send(ranges.length, { signal }));
        return ranges.map(({ symbol, assetType }) => ({ symbol, assetType, recordCount: 0, prices: [] }));
      },
    };
  }

  /** Symbols are called by their place in the request. */
  #noteIfPaid(symbol: string): void {
    const batch = Math.floor(Number(symbol.slice(1)) / this.#options.batchSize);
    if (symbol.startsWith('S') && this.rows.has(batch)) this.paidTwice.push(symbol);
  }

  #watched(sink: typeof this.sink): Sink<Asset, Quote> {
    return {
      ...sink,
      write: async (batch, call) => {
        const { request = '', index } = batch;
        const isNew = sink.ledger.read(request, index) === undefined;
        const result = await sink.write(batch, call);
        const isRow = isNew && sink.ledger.read(request, index) !== undefined;
        if (isRow && batch.outcomes[0]?.input.symbol.startsWith('S') === true) {
          this.rows.set(index, (this.rows.get(index) ?? 0) + 1);
        }
        return result;
      },
    };
  }
}

export const symbolsOf = (count: number, prefix = 'S'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index)}`);
