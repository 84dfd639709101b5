/** A sink of your own: prices as lines of a CSV file. `writeTo` turns a rejected write into failed outcomes. */
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { from, lastValueFrom } from 'rxjs';
import {
  batch,
  creditLimiter,
  limited,
  recordedQuotes,
  summarize,
  throttledFetch,
  writeTo,
  type Asset,
  type Quote,
  type Sink,
} from 'fintrack-pipelines';

const csvSink = (path: string): Sink<Asset, Quote> => ({
  name: 'csv',
  async write({ outcomes }) {
    const quotes = outcomes.flatMap((outcome) => (outcome.status === 'ok' ? [outcome.value] : []));
    await appendFile(path, quotes.map(({ symbol, price }) => `${symbol},${price}\n`).join(''));
    return { inserted: quotes.length, updated: 0, unchanged: 0, failed: [] };
  },
});

const folder = await mkdtemp(join(tmpdir(), 'prices-'));
const path = join(folder, 'prices.csv');
const assets: Asset[] = ['AAPL', 'IBM'].map((symbol) => ({ symbol, assetType: 'STOCK' }));

const { written } = await lastValueFrom(
  from(assets).pipe(
    batch({ batchSize: 100 }),
    throttledFetch({ fetcher: limited(recordedQuotes(), creditLimiter({ credits: 8 })) }),
    writeTo({ sink: csvSink(path) }),
    summarize(),
  ),
);
console.log(written.inserted, 'rows');
// 2 rows
console.log((await readFile(path, 'utf8')).trimEnd());
// AAPL,223.02
// IBM,125.55
await rm(folder, { recursive: true });
