// What a user of the package writes: scripts/checkPackage.mjs compiles it against the packed declarations, with the
// compilers and settings that users have, and runs it, where npm has installed it and where pnpm has.
import { lastValueFrom, map, type Observable } from 'rxjs';
import {
  batch,
  creditLimiter,
  defineOptions,
  fromPull,
  limited,
  mergeMapBounded,
  PipelineError,
  recordedQuotes,
  summarize,
  throttledFetch,
  writeTo,
  z,
  type Asset,
  type Provider,
  type Quote,
  type Sink,
} from 'fintrack-pipelines';
import { kafkaSink, kafkaSource } from 'fintrack-pipelines/kafka';
import { recordMetrics, Registry } from 'fintrack-pipelines/metrics';
import {
  connectDatabase,
  fromTable,
  inTransaction,
  marketDataSink,
  sql,
  type Transaction,
} from 'fintrack-pipelines/postgres';
import * as testing from 'fintrack-pipelines/testing';

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

export const registry = new Registry();

export const run = () =>
  lastValueFrom(
    fromPull<Asset>([{ symbol: 'AAPL', assetType: 'STOCK' }]).pipe(
      batch({ batchSize: 100 }),
      throttledFetch({ fetcher }),
      writeTo({ sink }),
      recordMetrics({ registry, pipeline: 'own' }),
      summarize(),
    ),
  );

// Its declaration names a type of a dependency of ours.
export const newest = sql`select symbol from market_data order by updated_at desc limit 10`;

export const remove = (symbol: string) => {
  const work = (transaction: Transaction) => transaction.query(sql`delete from market_data where symbol = ${symbol}`);
  return inTransaction({ database, work });
};

export const watched = fromTable({ database, query: newest, key: ['symbol'], toItem: ({ symbol }) => String(symbol) });

export const resolveOptions = defineOptions<{ pageSize?: number | undefined }>('own')({
  pageSize: z.int().min(1).default(1000),
});

export const doubled: Observable<number> = fromPull([1, 2, 3]).pipe(
  mergeMapBounded((value) => [value * 2], { concurrency: 2 }),
  map((value) => value + 1),
);

export { kafkaSink, kafkaSource, recordedQuotes, testing };
