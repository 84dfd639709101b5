import { Registry } from 'prom-client';
import { EMPTY } from 'rxjs';
import * as main from '../../src/index.ts';
import * as kafka from '../../src/kafka/index.ts';
import * as metrics from '../../src/metrics/index.ts';
import * as postgres from '../../src/postgres/index.ts';
import * as testing from '../../src/testing/index.ts';

export const entries = { main, kafka, metrics, postgres, testing };

/** What JavaScript can do: the options are whatever they are. */
type Untyped = (options?: unknown) => unknown;

export interface OptionsRow {
  readonly call: Untyped;
  /** Right options, without those that may be left out; undefined where all may be. */
  readonly required?: object | undefined;
}

const asset: main.Asset = { symbol: 'AAPL', assetType: 'STOCK' };
const request = main.parseMarketDataRequest({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }] });
const provider = main.recordedQuotes();
const limiter = main.creditLimiter({ credits: 8 });
const fetcher = main.limited(provider, limiter);
const sink = main.memorySink();
const broker = main.memoryBroker();
const records = broker.sink();
const database = postgres.connectDatabase({ url: 'postgres://localhost/prices' });
const registry = new Registry();
const apiKey = 'key';
const key = { provider: 'own', apiKey };
const brokers = ['localhost:9092'];
const topics = kafka.kafkaTopics({ brokers });
const delivery = { id: 'a', inputs: [asset], batchSize: 1, signal: new AbortController().signal };
const signal = delivery.signal;
const event = main.rejectedRequest('market-data', new main.RequestError('timeout', 'too late'), 'request-1');
const record = {} as main.SourceRecord;
const table = { table: 'market_data' };
const scenario: testing.Scenario = {
  ...{ workers: 1, partitions: 1, batchSize: 1, splitAbove: 1, maxOpen: 1, credits: 1, windowMs: 1_000 },
  requests: [],
  faults: [],
};

const takes = (call: unknown, required?: object): OptionsRow => ({ call: call as Untyped, required });

/** The functions that take options, by entry point and name. Others are in `withoutOptions`. */
export const optionsTable: Readonly<Record<keyof typeof entries, Readonly<Record<string, OptionsRow>>>> = {
  main: {
    historicalMarketData: takes(main.historicalMarketData, { fetcher, sink }),
    marketData: takes(main.marketData, { fetcher, sink }),
    marketIndexData: takes(main.marketIndexData, { fetcher, sink }),
    answerByPipeline: takes(main.answerByPipeline, {}),
    answerDeliveries: takes(main.answerDeliveries, { run: () => EMPTY, toCompletion: () => event }),
    gatherBatches: takes(main.gatherBatches, { delivery, sink }),
    fromRequest: takes((options: never) => main.fromRequest(request, options)),
    plan: takes((options: never) => main.plan(request, options), { fetcher, sink }),
    fromCsv: takes(main.fromCsv, { input: 'symbol' }),
    creditLimiter: takes(main.creditLimiter, { credits: 8 }),
    jsonFileStore: takes(main.jsonFileStore, { path: 'quota.json' }),
    limited: takes((options: never) => main.limited(provider, limiter, options)),
    frankfurterMonthly: takes(main.frankfurterMonthly),
    frankfurterQuotes: takes(main.frankfurterQuotes),
    massiveMonthly: takes(main.massiveMonthly, { apiKey }),
    twelveDataMonthly: takes(main.twelveDataMonthly, { apiKey }),
    twelveDataQuotes: takes(main.twelveDataQuotes, { apiKey }),
    yahooRapidApiIndexes: takes(main.yahooRapidApiIndexes, { apiKey, host: 'yahoo.example.com' }),
    recordedIndexes: takes(main.recordedIndexes),
    recordedMonthly: takes(main.recordedMonthly),
    recordedQuotes: takes(main.recordedQuotes),
    simulatedIndexes: takes(main.simulatedIndexes),
    simulatedMonthly: takes(main.simulatedMonthly),
    simulatedQuotes: takes(main.simulatedQuotes),
    requestText: takes(main.requestText, { provider: 'own', url: 'http://localhost', signal }),
    memoryBroker: takes(main.memoryBroker),
    memoryBus: takes(main.memoryBus),
    memoryLedger: takes(main.memoryLedger),
    memorySink: takes(main.memorySink),
    serializeCompletion: takes((options: never) => main.serializeCompletion(event, options)),
    parseHistoricalMarketDataRequest: takes((options: never) => main.parseHistoricalMarketDataRequest('{}', options)),
    batch: takes(main.batch),
    planBatch: takes(main.planBatch, { sink }),
    publishCompletion: takes(main.publishCompletion, { publisher: main.memoryBus() }),
    reportProgress: takes(main.reportProgress, { request: 'request-1' }),
    summarize: takes(main.summarize),
    throttledFetch: takes(main.throttledFetch, { fetcher }),
    writeTo: takes(main.writeTo, { sink }),
  },
  postgres: {
    connectDatabase: takes(postgres.connectDatabase, { url: 'postgres://localhost/prices' }),
    startEmbeddedPostgres: takes(postgres.startEmbeddedPostgres),
    checkTables: takes(postgres.checkTables, { database }),
    createReferenceTables: takes(postgres.createReferenceTables, { database }),
    migrate: takes(postgres.migrate, { database }),
    tableShape: takes(postgres.tableShape, { database, ...table }),
    marketDataSink: takes(postgres.marketDataSink, { database }),
    marketIndexSink: takes(postgres.marketIndexSink, { database }),
    monthlyPriceSink: takes(postgres.monthlyPriceSink, { database }),
    patientSink: takes(postgres.patientSink, { sink }),
    postgresLedger: takes(postgres.postgresLedger, { database }),
    removeExpired: takes(postgres.removeExpired, { database }),
    requestDetails: takes(postgres.requestDetails, { database, key: 'a' }),
    requestStates: takes(postgres.requestStates, { database }),
    postgresKeyRefusals: takes(postgres.postgresKeyRefusals, { database, ...key }),
    postgresQuotaStore: takes(postgres.postgresQuotaStore, { database, ...key }),
    postgresWindow: takes(postgres.postgresWindow, { database, ...key, credits: 8 }),
    fromTable: takes(postgres.fromTable, { database, ...table }),
    inTransaction: takes(postgres.inTransaction, { database, work: () => Promise.resolve() }),
    withRetry: takes((options: never) => postgres.withRetry(database, () => Promise.resolve(), options)),
  },
  kafka: {
    kafkaSink: takes(kafka.kafkaSink, { brokers }),
    kafkaSource: takes(kafka.kafkaSource, { brokers, groupId: 'workers', topics: ['A'] }),
    fromRequests: takes(kafka.fromRequests, {
      source: broker.source({ groupId: 'workers', topics: ['A'] }),
      sink: records,
      groupId: 'workers',
      topics: [kafka.marketDataTopic()],
    }),
    historicalMarketDataTopic: takes(kafka.historicalMarketDataTopic),
    marketDataTopic: takes(kafka.marketDataTopic),
    marketIndexDataTopic: takes(kafka.marketIndexDataTopic),
    completionRecords: takes((options: never) => kafka.completionRecords(event, options), { topic: 'A', key: 'a' }),
    deadLetterRecord: takes(
      (options: never) => kafka.deadLetterRecord(record, new main.RequestError('timeout', 'too late'), options),
      { topic: 'A', groupId: 'workers' },
    ),
    recordPublisher: takes(kafka.recordPublisher, { sink: records, topic: 'A' }),
    kafkaTopics: takes(kafka.kafkaTopics, { brokers }),
    prepareTopics: takes(kafka.prepareTopics, { topics, requestTopics: [kafka.marketDataTopic()] }),
    skipUndecodable: takes(kafka.skipUndecodable, {
      ...{ topic: 'A', partition: 0, offset: 0n, groupId: 'workers' },
      openSource: () => null,
      sink: records,
      topics,
    }),
    redrive: takes(kafka.redrive, { topic: 'A', groupId: 'workers', openSource: () => null, sink: records, topics }),
  },
  metrics: {
    recordMetrics: takes(metrics.recordMetrics, { registry, pipeline: 'own' }),
    recordWorkerMetrics: takes(metrics.recordWorkerMetrics, { registry, topics: [] }),
  },
  testing: {
    providerContract: takes((options: never) => testing.providerContract(() => Promise.reject(new Error()), options)),
    expectWindow: takes((options: never) => testing.expectWindow([], options), { limit: 8, windowMs: 60_000 }),
    memoryWindow: takes(testing.memoryWindow, { credits: 8 }),
    quotaServer: takes(testing.quotaServer, { credits: 8 }),
    simulate: takes(testing.simulate, { seed: 1, scenario }),
    findViolation: takes(testing.findViolation),
  },
};

/** The arguments besides options: a call with each of them, the others right, and the name that the message has to say. */
export const argumentsTable: Readonly<Record<string, Untyped>> = {
  'fromRequest: request': (value) => main.fromRequest(value as never),
  'plan: request': (value) => main.plan(value as never, { fetcher, sink }),
  'limited: provider': (value) => main.limited(value as never, limiter),
  'limited: limiter': (value) => main.limited(provider, value as never),
  'firstOf: fetchers.1': (value) => main.firstOf(fetcher, value as never),
  host: (value) => main.hostToBaseUrl(value as never),
  'withRetry: database': (value) => postgres.withRetry(value as never, () => Promise.resolve()),
  'withRetry: attempt': (value) => postgres.withRetry(database, value as never),
  'providerContract: open': (value) => testing.providerContract(value as never),
  'quotaStoreContract: open': (value) => testing.quotaStoreContract(value as never),
  'recordContract: open': (value) => testing.recordContract(value as never),
  'sinkContract: open': (value) => testing.sinkContract(value as never),
};

/** The memory bound stands by itself, without our errors: its functions throw at once, too, a TypeError or a RangeError. */
export const flowTable: Readonly<Record<string, Untyped>> = {
  'fromPages: source': (value) => main.fromPages(value as never),
  'fromPull: source': (value) => main.fromPull(value as never),
  'mergeMapBounded: project': (value) => main.mergeMapBounded(value as never, { concurrency: 1 }),
  'mergeMapBounded: options': (value) => main.mergeMapBounded(() => EMPTY, value as never),
  'mergeMapBounded: concurrency': (value) => main.mergeMapBounded(() => EMPTY, { concurrency: value as never }),
  'Gate: limit': (value) => new main.Gate(value as never),
};

/** The exports that take no options: errors, data that is read or made, and what options are checked with. */
export const withoutOptions: readonly string[] = [
  ...['PipelineError', 'OptionsError', 'RequestError', 'ProviderError', 'RateLimitError', 'SinkError', 'PublishError'],
  ...['BrokerError', 'FencedError', 'FlowError', 'Emitter', 'Registry', 'apart', 'memoryQuotaStore', 'sql'],
  ...['readJson', 'classifyAnswer', 'refusalError', 'isSameSymbol', 'fitsNumeric', 'isDecimal', 'parseDecimal'],
  ...['callback', 'defineOptions', 'port', 'batchMs', 'isUnfinished', 'countOutcomes', 'databaseError', 'ledgerKeyOf'],
  ...['failedRequest', 'rejectedRequest', 'parseEvent', 'serializeEvent', 'parseMarketDataRequest'],
  ...['parseMarketIndexDataRequest', 'historicalMarketDataCompleted', 'marketDataCompleted'],
  ...['marketIndexDataCompleted', 'firstOf', 'hostToBaseUrl', 'quotaStoreContract', 'recordContract', 'sinkContract'],
  ...['fromPages', 'fromPull', 'mergeMapBounded', 'Gate', 'memoryStore', 'simpleProvider'],
];
