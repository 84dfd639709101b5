import type { BrokerState, CommittedOffset } from '../memory/broker/BrokerState.ts';
import type { Batch } from '../model/batch.ts';
import { decodeAnnounced } from '../model/announcedBitmap.ts';
import type { CompletionEvent, FailedEntry } from '../model/events/completion.ts';
import type { MarketDataCompleted } from '../model/events/marketDataCompleted.ts';
import { parseEvent } from '../model/events/serializeEvent.ts';
import type { Ledger, Sink } from '../model/ports.ts';
import type { SourceRecord, TopicPartition } from '../model/recordPorts.ts';
import type { Asset, Quote } from '../model/records.ts';
import { isUnknown, keyOfAsset } from './assets.ts';
import type { SimulatedRequest } from './Scenario.ts';
import type { SimulatedProcess } from './SimulatedProcess.ts';
import type { SimulatedProvider } from './SimulatedProvider.ts';
import { completionTopic, deadLetterTopic, noRequest, requestTopic } from './topics.ts';
import type { World } from './World.ts';

/** A request as it was sent. */
export interface SentRequest extends SimulatedRequest {
  readonly key: string;
  readonly offset: bigint;
  readonly sentMs: number;
}

type LedgerSink = Sink<Asset, Quote> & { readonly ledger: Ledger<Asset, Quote> };

/** Keeps what was asked for and what became of it, and finds what must not be. */
export class Books {
  readonly sent: SentRequest[] = [];
  readonly #world: World;
  readonly #broker: BrokerState;
  readonly #provider: SimulatedProvider;
  /** When each process last began to look for a batch in the ledger. */
  readonly #looks = new Map<string, number>();
  /** When an asset of a batch was known to be settled. */
  readonly #settled = new Map<string, number>();
  readonly #offsets = new Map<string, bigint>();

  constructor(world: World, broker: BrokerState, provider: SimulatedProvider) {
    this.#world = world;
    this.#broker = broker;
    this.#provider = provider;
  }

  get batches(): number {
    const { batchSize } = this.#world.scenario;
    return this.sent.reduce((sum, { assets }) => sum + Math.ceil(assets.length / batchSize), 0);
  }

  get isAllAnswered(): boolean {
    return this.#records().length >= this.sent.length;
  }

  /** The sink of a process, seen from outside. */
  watch(process: SimulatedProcess, sink: LedgerSink): LedgerSink {
    const { ledger } = sink;
    const now = (): number => this.#world.time.nowMs;
    return {
      ...sink,
      write: async (batch, call) => {
        const result = await sink.write(batch, call);
        for (const outcome of result.stored ?? batch.outcomes) {
          const name = `${batch.request ?? ''}#${batch.index} ${keyOfAsset(outcome.input)}`;
          if (isSettled(outcome) && !this.#settled.has(name)) this.#settled.set(name, now());
        }
        return result;
      },
      ledger: {
        ...ledger,
        stored: (key, index) => {
          this.#looks.set(`${process.name} ${key}#${index}`, now());
          return ledger.stored(key, index);
        },
        storedNumbers: (key, numbers) => {
          for (const index of numbers ?? []) this.#looks.set(`${process.name} ${key}#${index}`, now());
          return ledger.storedNumbers(key, numbers);
        },
      },
    };
  }

  /** A process asks for an asset: some request must want it, and not have it by what the process could know. */
  onFetch(process: SimulatedProcess, asset: Asset): void {
    const name = keyOfAsset(asset);
    const isWanted = this.sent.some(({ key, assets }) => {
      const place = assets.indexOf(name);
      const batch = `${key}#${Math.floor(place / this.#world.scenario.batchSize)}`;
      const look = this.#looks.get(`${process.name} ${batch}`);
      return place >= 0 && look !== undefined && (this.#settled.get(`${batch} ${name}`) ?? Infinity) >= look;
    });
    if (!isWanted)
      this.#world.violate(`fetched again: ${name}, by ${process.name}, which could know that it is stored`);
  }

  /** The group has got further: what it leaves behind must be answered. */
  onCommit({ topic, partition }: TopicPartition, { offset, metadata }: CommittedOffset): void {
    if (topic !== requestTopic) return;
    const before = this.#offsets.get(String(partition)) ?? 0n;
    if (offset < before) this.#world.violate(`offset: ${partition} goes back from ${before} to ${offset}`);
    this.#offsets.set(String(partition), offset);
    const announced = decodeAnnounced(offset, metadata);
    const answered = new Set(this.#records().map(({ key }) => textOf(key)));
    for (const sent of this.sent) {
      const isDone = sent.partition === partition && (sent.offset < offset || announced.has(sent.offset));
      if (isDone && !answered.has(sent.key))
        this.#world.violate(`offset: ${sent.key} is left behind without an answer`);
    }
  }

  /** What is wrong in the end. */
  close(rows: ReadonlyMap<string, Quote>): void {
    const completions = this.#completions();
    for (const request of this.sent) {
      const found = completions.filter(({ key }) => key === request.key);
      if (found.length !== 1) this.#world.violate(`${request.key}: ${found.length} completions`);
      for (const { event } of found.slice(0, 1)) this.#check(request, event as MarketDataCompleted, rows);
    }
    this.#checkDeadLetters();
    for (const [key, row] of rows) {
      if (keyOfAsset(row) === key && this.#provider.heard.has(`${key} ${row.price}`)) continue;
      this.#world.violate(`row ${key}: has ${keyOfAsset(row)} ${row.price}, which the provider never said of it`);
    }
  }

  #completions(): { readonly key: string; readonly event: CompletionEvent }[] {
    return this.#records().map(({ key, value }) => ({
      key: textOf(key),
      event: parseEvent(textOf(value)) as CompletionEvent,
    }));
  }

  #records(): readonly SourceRecord[] {
    return this.#broker.recordsOf({ topic: completionTopic, partition: 0 });
  }

  /** What was no request is there once, in the partition that it came from. */
  #checkDeadLetters(): void {
    for (let partition = 0; partition < this.#world.scenario.partitions; partition += 1) {
      const letters = this.#broker.recordsOf({ topic: deadLetterTopic, partition });
      const found = letters.filter(({ value }) => textOf(value) === noRequest).length;
      const expected = this.sent.filter((sent) => sent.partition === partition && sent.assets.length === 0).length;
      if (found !== expected) this.#world.violate(`partition ${partition}: ${found} dead letters of ${expected}`);
    }
  }

  #check(request: SentRequest, event: MarketDataCompleted, rows: ReadonlyMap<string, Quote>): void {
    const { key, assets } = request;
    const served = event.assets ?? [];
    const named = [...served, ...event.failed, ...event.skipped].map(
      ({ symbol, asset_type: type = '' }) => `${symbol} ${type}`,
    );
    if (named.sort().join() !== assets.toSorted().join()) {
      this.#world.violate(`${key}: names ${named.join(', ')} instead of ${assets.join(', ')}`);
    }
    for (const failed of event.failed) this.#checkFailure(request, failed);
    for (const { symbol, reason } of event.skipped) {
      const hasQuota = this.#world.scenario.dailyCredits !== undefined;
      const isDue = reason === 'quota' && (hasQuota || this.#hasMet('exhausted'));
      if (!isDue) this.#world.violate(`${key}: ${symbol} is skipped, ${reason}`);
    }
    for (const { symbol, asset_type: type, price } of served) this.#checkRow(key, `${symbol} ${type}`, price, rows);
  }

  /** A failure must have its reason in what the provider did. */
  #checkFailure({ key, assets, sentMs }: SentRequest, { symbol, asset_type: type, reason, stage }: FailedEntry): void {
    if (assets.length === 0) return;
    const name = `${symbol} ${type ?? ''}`;
    const isDenied = isUnknown(name) || (this.#provider.deniedAtMs.get(name) ?? -1) >= sentMs;
    const isDue =
      stage === 'fetch' &&
      ((reason === 'symbol_unknown' && isDenied) ||
        (reason === 'provider_unavailable' && (this.#hasMet('cut') || this.#isHit('outage'))) ||
        (reason === 'timeout' && (this.#isHit('lost-answer') || this.#isHit('slow') || this.#isHit('pause'))));
    if (!isDue) this.#world.violate(`${key}: ${name} failed at ${stage}, ${reason}`);
  }

  /** Whoever is told of a price finds it in the table, or one that was heard of later. */
  #checkRow(key: string, name: string, price: string | undefined, rows: ReadonlyMap<string, Quote>): void {
    const row = rows.get(name);
    const told = this.#provider.heard.get(`${name} ${price ?? ''}`);
    const stored = row && this.#provider.heard.get(`${name} ${row.price}`);
    if (told === undefined)
      this.#world.violate(`${key}: tells of ${name} ${price ?? ''}, which the provider never said`);
    else if (stored === undefined) this.#world.violate(`${key}: tells of ${name} ${price ?? ''}, and there is no row`);
    else if (stored < told)
      this.#world.violate(`${key}: tells of ${name} ${price ?? ''}, and the row is older: ${row?.price ?? ''}`);
  }

  #isHit(type: Parameters<World['hit']>[0]): boolean {
    return this.#world.hits.has(type);
  }

  #hasMet(how: 'cut' | 'exhausted'): boolean {
    return this.#world.scenario.faults.some((fault) => fault.type === 'provider' && fault.how === how);
  }
}

function textOf(bytes: Uint8Array | null): string {
  return Buffer.from(bytes ?? '').toString();
}

/** Whether nobody has to fetch it again. */
function isSettled(outcome: Batch<Asset, Quote>['outcomes'][number]): boolean {
  if (outcome.status === 'failed') return outcome.error.code !== 'database_unavailable';
  return outcome.status === 'ok' || outcome.status === 'fresh';
}
