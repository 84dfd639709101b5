import { Subject, type Subscription } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { kafkaSink } from '../../../src/kafka/kafkaSink.ts';
import { fromRequests } from '../../../src/kafka/requests/fromRequests.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import type { MarketDataCompleted } from '../../../src/model/events/marketDataCompleted.ts';
import { parseEvent } from '../../../src/model/events/serializeEvent.ts';
import type { Fetcher } from '../../../src/model/ports.ts';
import type { SourceRecord } from '../../../src/model/recordPorts.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import type { RunEvent } from '../../../src/model/runEvents.ts';
import type { WorkerEvent } from '../../../src/model/workerEvents.ts';
import { marketData } from '../../../src/pipelines/marketData.ts';
import { kafkaBroker } from '../../support/kafka.ts';
import { track } from '../../support/track.ts';
import { openKafka, type KafkaBench } from '../harness.ts';
import { lastHeader } from '../records/records.ts';
import { message, requestTopic } from './bench.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];
const close = (opened: { close(): Promise<void> }): Promise<void> => opened.close();
const priceOf = (symbol: string): string => `${symbol.slice(1)}.2500`;

/** Answers every symbol with a price that tells which it is. */
const fetcher: Fetcher<Asset, Quote> = {
  name: 'test',
  fetch: async (inputs) =>
    inputs.map((asset) => ({
      status: 'ok',
      provider: 'test',
      receivedAtMs: performance.now(),
      value: { ...asset, price: priceOf(asset.symbol), change: '0.1', percentChange: '0.1', high: '9.5', low: '1.5' },
    })),
};

interface Topics {
  readonly topic: string;
  readonly completionTopic: string;
  readonly deadLetterTopic: string;
}

/** A worker that answers with these prices. */
class Answering {
  readonly announced: string[] = [];
  readonly waits: string[] = [];
  #onAnnounced: () => void = () => undefined;
  readonly #subscription: Subscription;

  constructor(kafka: KafkaBench, sink: ReturnType<typeof kafkaSink>, topics: Topics) {
    const events = new Subject<RunEvent>();
    const prices = memorySink<Asset, Quote>();
    this.#subscription = fromRequests({
      source: kafka.source(topics.topic, [topics.topic]),
      sink,
      groupId: topics.topic,
      topics: [requestTopic({ ...topics, ledger: prices.ledger, batchSize: 1_000 })],
      events: { next: (event) => this.#hear(event) },
    })
      .pipe(marketData({ fetcher, sink: prices, events }))
      .subscribe();
  }

  #hear(event: WorkerEvent): void {
    if (event.type === 'partition-waiting') this.waits.push(event.error.message);
    if (event.type !== 'request-announced') return;
    this.announced.push(event.status);
    this.#onAnnounced();
  }

  async answered(count: number): Promise<void> {
    while (this.announced.length < count) await new Promise<void>((resolve) => (this.#onAnnounced = resolve));
  }

  async stop(): Promise<void> {
    this.#subscription.unsubscribe();
    await Promise.resolve();
  }
}

async function openTopics(kafka: KafkaBench, bytes: { completion?: number; deadLetter?: number }): Promise<Topics> {
  return {
    topic: await kafka.createTopic(1),
    completionTopic: await kafka.createTopic(1, { maxRecordBytes: bytes.completion }),
    deadLetterTopic: await kafka.createTopic(1, { maxRecordBytes: bytes.deadLetter }),
  };
}

interface Part extends MarketDataCompleted {
  readonly bytes: number;
  readonly id: string;
}

const partOf = (record: SourceRecord): Part => ({
  ...(parseEvent(String(record.value)) as MarketDataCompleted),
  bytes: record.value?.byteLength ?? 0,
  id: String(lastHeader(record, 'ce_id')),
});

const symbolsOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `S${index}`);
const pricesIn = (parts: readonly Part[]): (string | undefined)[][] =>
  parts.flatMap(({ assets = [] }) => assets.map(({ symbol, price }) => [symbol, price]));
const pricesFor = (symbols: readonly string[]): string[][] => symbols.map((symbol) => [symbol, priceOf(symbol)]);

// issue 10, item 5
describe.skipIf(broker === undefined)('a completion that its topic does not take', () => {
  it('comes in smaller parts, and holds up nobody (field case 6)', async () => {
    await using kafka = track(await openKafka(brokers));
    const topics = await openTopics(kafka, { completion: 10_000 });
    await using sink = track(kafkaSink({ brokers }), close);
    await using worker = track(new Answering(kafka, sink, topics), (each) => each.stop());
    const send = (value: string) => sink.send([{ topic: topics.topic, partition: 0, value }]);
    await send(message(...symbolsOf(200)));
    await worker.answered(1);
    await send(message('S7'));
    await worker.answered(2);
    const parts = (await kafka.records(topics.completionTopic)).map(partOf);
    const first = parts.filter(({ totalAssets }) => totalAssets === 200);
    expect(Math.max(...parts.map(({ bytes }) => bytes))).toBeLessThan(10_000);
    expect(pricesIn(first)).toEqual(pricesFor(symbolsOf(200)));
    expect(first.map(({ status, part, parts: all }) => [status, part, all])).toEqual(
      first.map((_, index) => ['complete', index + 1, first.length]),
    );
    const [last] = parts.slice(first.length);
    expect([last?.status, last?.part, pricesIn(parts.slice(first.length))]).toEqual([
      'complete',
      undefined,
      pricesFor(['S7']),
    ]);
    expect(worker.waits).toEqual([]);
  }, 40_000);

  it('of 22,000 symbols has every price in one of its parts, and all of them in one transaction (field case 7)', async () => {
    await using kafka = track(await openKafka(brokers));
    const topics = await openTopics(kafka, {});
    await using sink = track(kafkaSink({ brokers }), close);
    await using worker = track(new Answering(kafka, sink, topics), (each) => each.stop());
    await sink.send([{ topic: topics.topic, partition: 0, value: message(...symbolsOf(22_000)) }]);
    await worker.answered(1);
    const records = await kafka.records(topics.completionTopic);
    const parts = records.map(partOf);
    expect(Math.max(...parts.map(({ bytes }) => bytes))).toBeLessThanOrEqual(900_000);
    expect(pricesIn(parts)).toEqual(pricesFor(symbolsOf(22_000)));
    expect(parts.map(({ id }) => id.split('#')[1])).toEqual(parts.map((_, index) => `${index + 1}`));
    // One transaction: one mark of its end behind all parts, so their offsets follow each other. Before them may lie
    // those of an attempt that was aborted, when the broker was slow.
    const first = Number(records[0]?.offset);
    expect(records.map(({ offset }) => Number(offset))).toEqual(records.map((_, index) => first + index));
  }, 60_000);

  it('has a dead letter that is cut to what its topic takes', async () => {
    await using kafka = track(await openKafka(brokers));
    const topics = await openTopics(kafka, { deadLetter: 10_000 });
    await using sink = track(kafkaSink({ brokers }), close);
    await using worker = track(new Answering(kafka, sink, topics), (each) => each.stop());
    await sink.send([{ topic: topics.topic, partition: 0, value: `no request ${'x'.repeat(300_000)}` }]);
    await worker.answered(1);
    const [letter] = await kafka.records(topics.deadLetterTopic);
    expect(letter?.value?.byteLength).toBeGreaterThan(1_000);
    expect(String(lastHeader(letter ?? {}, 'fintrack_dlt-value-bytes'))).toBe('300011');
    expect((await kafka.records(topics.completionTopic)).map(partOf)).toMatchObject([{ status: 'failed' }]);
    expect(worker.waits).toEqual([]);
  }, 40_000);
});
