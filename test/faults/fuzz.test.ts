import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { kafkaSink } from '../../src/kafka/kafkaSink.ts';
import type { KafkaSourceOptions } from '../../src/kafka/kafkaSource.ts';
import { kafkaTopics } from '../../src/kafka/kafkaTopics.ts';
import type { SinkRecord } from '../../src/model/recordPorts.ts';
import type { WorkerEvent } from '../../src/model/workerEvents.ts';
import { marketDataSink } from '../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../src/postgres/sinks/monthlyPriceSink.ts';
import { findFaults } from '../kafka/fuzz/findFaults.ts';
import { fuzzTopics, fuzzWorker, type LaneTopics } from '../kafka/fuzz/fuzzWorker.ts';
import { anyMessage, malformed, type FuzzMessage } from '../kafka/fuzz/messages.ts';
import { openKafka } from '../kafka/harness.ts';
import { kafkaBroker } from '../support/kafka.ts';
import { openTestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';
import { within } from '../support/within.ts';
import { lanes, topics as standard, type Lane } from '../support/workers/requests.ts';

const count = Number(process.env['FUZZ'] ?? 300);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const patienceMs = 60_000;

const broker = await kafkaBroker();
const kafka = await openKafka(broker?.brokers ?? ['127.0.0.1:1']).catch(() => undefined);
afterAll(() => kafka?.[Symbol.asyncDispose]());

/** Topics that no other test has. */
async function createTopics(): Promise<Record<Lane, LaneTopics>> {
  await using topics = track(kafkaTopics({ brokers: kafka!.brokers }), (each) => each.close());
  const namesOf = (): LaneTopics => {
    const topic = `fuzz-${randomUUID()}`;
    return { topic, completionTopic: `${topic}-out`, deadLetterTopic: `${topic}-dlt`, workTopic: `${topic}-work` };
  };
  const names = { market: namesOf(), index: namesOf(), historical: namesOf() };
  const all = Object.values(names).flatMap((lane) => Object.values(lane) as string[]);
  await topics.create(all.map((topic) => ({ topic, partitions: 2 })));
  return names;
}

/** A worker with topics of its own, real sinks, and a look at what became of how many records. */
async function openWorker(options: Partial<KafkaSourceOptions> = {}) {
  const bench = kafka!;
  const database = await openTestDatabase({ shape: 'S1', migrated: true });
  const sinks = {
    market: marketDataSink({ database }),
    index: marketIndexSink({ database }),
    historical: monthlyPriceSink({ database }),
  };
  const names = await createTopics();
  const topics = fuzzTopics(sinks, names);
  const groupId = randomUUID();
  const read = lanes.flatMap((lane) => [names[lane].topic, names[lane].workTopic]);
  const sink = kafkaSink({ brokers: bench.brokers });
  const source = bench.open({
    groupId,
    topics: read,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    ...options,
  });
  const counts = { requests: 0, works: 0 };
  /** What went wrong on the way, for people. */
  const troubles: string[] = [];
  const looks = new Set<() => void>();
  const next = (event: WorkerEvent): void => {
    if (event.type === 'request-announced') counts.requests += 1;
    const isWork = event.type === 'dead-lettered' && lanes.some((lane) => names[lane].workTopic === event.place.topic);
    if (isWork || event.type === 'part-done') counts.works += 1;
    if (event.type === 'request-retried' || event.type === 'partition-waiting' || event.type === 'interrupted') {
      troubles.push(`${event.type}: ${event.error.message}`);
    }
    for (const look of looks) look();
  };
  let end: unknown;
  const subscription = fuzzWorker({ source, sink, groupId, topics, sinks, events: { next } }).subscribe({
    error: (error: unknown) => (end = error),
  });

  return track(
    {
      names,
      /** Sends the messages, to the topics that stand for the usual ones. */
      send: (messages: readonly FuzzMessage[]) =>
        sink.send(messages.map((message) => ({ ...message, topic: own(names, message.topic) }))),
      until: async (requests: number, works: number) => {
        const isSo = new Promise<void>((resolve) => {
          const look = (): void => {
            if (counts.requests >= requests && counts.works >= works) resolve();
          };
          looks.add(look);
          look();
        });
        await within(patienceMs, isSo);
        return { ...counts, end, ...(counts.requests < requests || counts.works < works ? { troubles } : {}) };
      },
      /** Stops, and answers what is wrong. */
      faults: async () => {
        subscription.unsubscribe();
        await source.stop();
        const faults = await Promise.all(
          lanes.map(async (lane) => {
            const { topic, completionTopic, deadLetterTopic, workTopic } = names[lane];
            const [requests, completions, deadLetters, works] = await Promise.all(
              [topic, completionTopic, deadLetterTopic, workTopic].map((name) => bench.records(name)),
            );
            return findFaults({
              topic: topics[lane],
              requests: requests!,
              completions: completions!,
              deadLetters: deadLetters!,
              works: works!,
            });
          }),
        );
        return faults.flat();
      },
      /** Where the group has not come to the end, before anybody reads the topics. */
      open: async () => {
        const found = await bench.admin.fetchOffsets({ groupId, topics: read });
        const ends = await Promise.all(read.map((topic) => bench.admin.fetchTopicOffsets(topic)));
        return read.flatMap((topic, at) =>
          ends[at]!.flatMap(({ partition, offset }) => {
            const committed = found
              .find((each) => each.topic === topic)
              ?.partitions.find((each) => each.partition === partition);
            const isThere = committed?.offset === offset || (committed?.offset === '-1' && offset === '0');
            return isThere ? [] : [`${topic}-${partition}: at ${committed?.offset} of ${offset}`];
          }),
        );
      },
    },
    async () => {
      subscription.unsubscribe();
      await source.stop();
      await sink.close();
      await database[Symbol.asyncDispose]();
    },
  );
}

function own(names: Record<Lane, LaneTopics>, topic: string): string {
  const lane = lanes.find((each) => standard[each].request === topic || standard[each].work === topic)!;
  return standard[lane].request === topic ? names[lane].topic : names[lane].workTopic;
}

const isWork = ({ topic }: Pick<SinkRecord, 'topic'>): boolean => lanes.some((lane) => standard[lane].work === topic);

const message = (lane: Lane, text: string | Uint8Array | null): FuzzMessage => ({
  topic: standard[lane].request,
  key: null,
  value: text === null ? null : Buffer.from(text),
  headers: [],
});

describe.skipIf(broker === undefined)('a worker with real servers', () => {
  it(`answers whatever comes (FUZZ=${count} FUZZ_SEED=${seed})`, async () => {
    await using worker = await openWorker();
    const messages = [
      ...malformed.flatMap((value) => lanes.map((lane) => message(lane, value))),
      ...fc.sample(anyMessage, { numRuns: count, seed }),
    ];
    await worker.send(messages);
    const works = messages.filter(isWork).length;

    const requests = messages.length - works;
    const { works: done, ...others } = await worker.until(requests, works);
    expect(others).toEqual({ requests, end: undefined });
    expect(done).toBeGreaterThanOrEqual(works);
    await expect.poll(() => worker.open(), { timeout: 10_000 }).toEqual([]);
    expect(await worker.faults()).toEqual([]);
  });

  it('answers what reaches the database as it can', async () => {
    await using worker = await openWorker();
    const symbols = [
      "'; drop table market_data; --".replaceAll(' ', ''),
      '$1',
      '%s',
      '\\u0041',
      '\\\\',
      '"',
      '\u{1F600}',
      'S'.repeat(255),
    ];
    const assets = symbols.map((symbol) => ({ symbol, asset_type: 'STOCK' }));
    const dates = [
      ['0000-01-01', '9999-12-31'],
      ['0001-01-01', '0001-01-02'],
      ['2025-01-31', '9999-12-31'],
      ['1900-01-01', '2026-01-01'],
    ];
    const requests = [
      message('market', JSON.stringify({ assets, accountId: 'a\u0000b', requestId: '\uD800\u0000' })),
      message('index', JSON.stringify({ symbols, account_id: '\uDFFF' })),
      ...dates.map(([start_date, end_date]) => message('historical', JSON.stringify({ assets, start_date, end_date }))),
    ];
    await worker.send(requests);

    expect(await worker.until(requests.length, 0)).toEqual({ requests: requests.length, works: 0, end: undefined });
    expect(await worker.faults()).toEqual([]);
  });

  it('reads what is as large as a broker takes it, whatever it fetches at once', async () => {
    await using worker = await openWorker({ maxBytesPerPartition: 1_000 });
    const symbols = Array.from({ length: 100_000 }, (_, index) => `S${index}`);
    const requests = [
      message('market', `{"padding":"${'x'.repeat(900_000)}","symbols":["AAPL"],"assetType":"STOCK"}`),
      message('market', `{"padding":"${'x'.repeat(1_040_000)}","symbols":["MSFT"],"assetType":"STOCK"}`),
      message('index', `${'['.repeat(500_000)}${']'.repeat(500_000)}`),
      message('index', '['.repeat(1_000_000)),
      message('index', `{"symbols":[${'1,'.repeat(450_000)}1]}`),
      // What is refused fills several records.
      message(
        'historical',
        JSON.stringify({
          symbols: symbols.slice(0, 9_000).map((symbol) => `${symbol} ${'x'.repeat(70)}`),
          start_date: '2025-01-31',
          end_date: '2025-03-31',
        }),
      ),
      message('market', JSON.stringify({ symbols: symbols.slice(0, 90_000), assetType: 'BOND' })),
      message('market', JSON.stringify({ symbols: ['LAST'], assetType: 'STOCK' })),
    ];
    for (const request of requests) await worker.send([request]);

    expect(await worker.until(requests.length, 0)).toEqual({ requests: requests.length, works: 0, end: undefined });
    await expect.poll(() => worker.open(), { timeout: 10_000 }).toEqual([]);
    expect(await worker.faults()).toEqual([]);
  });
});
