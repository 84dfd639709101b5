import { Subject } from 'rxjs';
import type { PartitionHandler } from '../../../src/kafka/requests/partitionHandler.ts';
import { Quarantine } from '../../../src/kafka/requests/quarantine/Quarantine.ts';
import { ProgressWatch } from '../../../src/kafka/requests/ProgressWatch.ts';
import { marketDataTopic } from '../../../src/kafka/requests/requestTopics.ts';
import type { WorkerEvent } from '../../../src/model/workerEvents.ts';
import { shareOut } from '../../../src/kafka/parts/shareOut.ts';
import { WorkPartition } from '../../../src/kafka/parts/WorkPartition.ts';
import { memoryBroker, type MemoryBroker } from '../../../src/memory/memoryBroker.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import type { Delivery } from '../../../src/model/delivery.ts';
import { marketDataCompleted } from '../../../src/model/events/marketDataCompleted.ts';
import type { Outcome } from '../../../src/model/outcome.ts';
import type { Ledger } from '../../../src/model/ports.ts';
import type { RecordSink, RecordSource } from '../../../src/model/recordPorts.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';
import type { MarketDataRequest } from '../../../src/model/requests/marketDataRequest.ts';

export const groupId = 'workers';
export const topics = { IN: 1, 'IN-dlt': 1, WORK: 3 };

/** Lets everything go on that needs no time. */
const immediate = setImmediate;
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => immediate(resolve));
}

export const assetsOf = (count: number): Asset[] =>
  Array.from({ length: count }, (_, index) => ({ symbol: `S${String(index)}`, assetType: 'STOCK' }));

export const quoteOf = (asset: Asset): Quote => ({
  ...asset,
  ...{ price: '1', change: '0', percentChange: '0', high: '1', low: '1' },
});

export interface BenchOptions {
  readonly ledger?: ((ledger: Ledger<Asset, Quote>) => Ledger<Asset, Quote> | undefined) | undefined;
  readonly sink?: ((sink: RecordSink) => RecordSink) | undefined;
  readonly source?: ((source: RecordSource) => RecordSource) | undefined;
  readonly maxOpen?: number | undefined;
  readonly broker?: MemoryBroker | undefined;
}

/** The first partition of a work topic, its handler, and what comes of it. */
export class WorkBench {
  readonly broker: MemoryBroker;
  readonly sink = memorySink<Asset, Quote>();
  readonly deliveries: Delivery<MarketDataRequest, Asset>[] = [];
  readonly events: WorkerEvent[] = [];
  readonly progress = new Subject<RunEvent>();
  readonly #options: BenchOptions;
  readonly #source: RecordSource;
  readonly #watch: ProgressWatch;
  #handler: PartitionHandler | undefined;

  constructor(options: BenchOptions = {}) {
    this.#options = options;
    this.broker = options.broker ?? memoryBroker({ topics: { ...topics, WORK: 1 } });
    const source = this.broker.source({ groupId, topics: ['WORK'] });
    this.#source = options.source?.(source) ?? source;
    this.#watch = new ProgressWatch({
      deadlineMs: 60_000,
      progress: this.progress,
      standsStill: () => false,
      now: () => Date.now(),
    });
  }

  get handler(): PartitionHandler {
    if (this.#handler === undefined) throw new Error('not assigned');
    return this.#handler;
  }

  async open(): Promise<this> {
    const { ledger, sink, maxOpen = 32 } = this.#options;
    const ownLedger = ledger === undefined ? this.sink.ledger : ledger(this.sink.ledger);
    const topic = marketDataTopic({ topic: 'IN', workTopic: 'WORK', ledger: ownLedger });
    await this.#source.run({
      onAssigned: (epoch, places) => {
        for (const place of places) {
          this.#handler = new WorkPartition(topic, {
            ...{ place, epoch, groupId, maxOpen, maxMessageBytes: 100_000 },
            source: this.#source,
            sink: sink?.(this.broker.sink()) ?? this.broker.sink(),
            watch: this.#watch,
            quarantine: new Quarantine({ after: 2, starts: 3 }),
            now: () => Date.now(),
            deliver: (delivery) => this.deliveries.push(delivery as Delivery<MarketDataRequest, Asset>),
            emit: (event) => this.events.push(event),
          });
        }
      },
      onRecord: (record) => this.#handler?.onRecord(record),
      onRevoked: () => void this.#handler?.close(),
      onFatal: (error) => {
        throw error;
      },
    });
    return this;
  }

  /** Shares out a request of two assets a batch, or some of its batches. */
  async share(batches: number, missing = Array.from({ length: batches }, (_, batch) => batch), key = 'r') {
    await shareOut({
      ...{ topic: 'WORK', pipeline: 'market-data', key, inputs: assetsOf(batches * 2), batchSize: 2, missing },
      sink: this.broker.sink(),
    });
    await settle();
  }

  /** The batches that were handed out, in order. */
  get handedOut(): number[] {
    return this.deliveries.map(batchOf);
  }

  delivery(batch: number): Delivery<MarketDataRequest, Asset> {
    const found = this.deliveries.findLast((each) => batchOf(each) === batch);
    if (found === undefined) throw new Error(`batch ${String(batch)} was not handed out`);
    return found;
  }

  /** Does a part as a pipeline would: writes its batch, unless that is left out, and acknowledges. */
  async answer(
    batch: number,
    outcomeOf: (input: Asset) => Outcome<Asset, Quote> = okOf,
    isWritten = true,
  ): Promise<void> {
    const delivery = this.delivery(batch);
    const outcomes = delivery.inputs.map(outcomeOf);
    if (isWritten) await this.sink.write({ index: batch, request: delivery.id, outcomes });
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'failed' ? [{ ...outcome, batch: 0 }] : []));
    const counts = { ok: outcomes.length, fresh: 0, failed: 0, skipped: 0 };
    const noTime = { min: 0, median: 0, p95: 0, max: 0 };
    const completion = marketDataCompleted(
      {
        ...{ outcomes, counts, failures, batches: [], batchTimeMs: noTime, totalTimeMs: 0, recordsPerSecond: 0 },
        ...{ written: { inserted: 0, updated: 0, unchanged: 0, transactions: 0 }, finishedAt: new Date() },
      },
      delivery,
    );
    // As answerDeliveries does.
    await delivery.ack(completion).catch((error: unknown) => delivery.nack(error as never));
    await settle();
  }

  /** What the ledger has of a batch. */
  outcomesOf(batch: number, key = 'r') {
    return this.sink.ledger.read(key, batch)?.outcomes.map((outcome) => {
      if (outcome.status === 'failed') return `${outcome.error.code}: ${outcome.error.message}`;
      return outcome.status === 'skipped' ? outcome.reason : outcome.status;
    });
  }

  /** How far the group has got; the way to find out takes the partition over. */
  async committed(partition = 0): Promise<number> {
    const { committed } = await this.broker.sink().own('WORK', partition, groupId);
    return Number(committed.offset);
  }

  told(type: WorkerEvent['type']): WorkerEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  async close(): Promise<void> {
    await this.#source.stop();
    await this.#handler?.close();
    this.#watch.close();
  }
}

export const okOf = (input: Asset): Outcome<Asset, Quote> => ({ status: 'ok', input, value: quoteOf(input) });

function batchOf({ share }: Delivery<unknown, unknown>): number {
  return share?.role === 'part' ? share.firstBatch : -1;
}
