// What a user of the package writes: scripts/checkPackage.mjs compiles it against the packed declarations, with the
// compilers and settings that users have.
import { lastValueFrom, map, type Observable } from 'rxjs';
import {
  batch,
  creditLimiter,
  fromPull,
  limited,
  mergeMapBounded,
  PipelineError,
  recordedQuotes,
  summarize,
  throttledFetch,
  writeTo,
  type Asset,
  type Provider,
  type Quote,
  type Sink,
} from 'fintrack-pipelines';
import { kafkaSink, kafkaSource } from 'fintrack-pipelines/kafka';
import { recordMetrics } from 'fintrack-pipelines/metrics';
import { connectDatabase, fromTable, marketDataSink } from 'fintrack-pipelines/postgres';
import * as testing from 'fintrack-pipelines/testing';
import { Registry } from 'prom-client';

const own: Provider<Asset, Quote> = {
  name: 'own',
  maxBatchSize: 10,
  cost: (assets) => assets.length,
  fetch: (assets) =>
    Promise.resolve(assets.map(({ symbol }) => new PipelineError('symbol_unknown', `own: ${symbol} is unknown`))),
};

const database = connectDatabase({ url: 'postgres://localhost/prices' });
const sink: Sink<Asset, Quote> = marketDataSink({ database });
const fetcher = limited(own, creditLimiter({ credits: 8, windowMs: 60_000 }));

export const summary = lastValueFrom(
  fromPull<Asset>([{ symbol: 'AAPL', assetType: 'STOCK' }]).pipe(
    batch({ batchSize: 100 }),
    throttledFetch({ fetcher }),
    writeTo({ sink }),
    recordMetrics({ registry: new Registry(), pipeline: 'own' }),
    summarize(),
  ),
);

export const doubled: Observable<number> = fromPull([1, 2, 3]).pipe(
  mergeMapBounded((value) => [value * 2], { concurrency: 2 }),
  map((value) => value + 1),
);

export { fromTable, kafkaSink, kafkaSource, recordedQuotes, testing };
