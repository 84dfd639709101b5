/**
 * The whole job on warm servers: 1,000 assets, and 1,000 assets x 12 months, from a loopback provider with 20 ms latency
 * and no quota into a real PostgreSQL, by the completion event's own processingTimeMs. Beside it, in the same run, the way
 * of the program that this library replaces: one symbol, one request, one commit at a time.
 *
 * DATABASE_URL names a scratch database to use; otherwise one is started.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { lastValueFrom } from 'rxjs';
import {
  creditLimiter,
  fromRequest,
  historicalMarketData,
  limited,
  marketData,
  parseHistoricalMarketDataRequest,
  parseMarketDataRequest,
  twelveDataMonthly,
  twelveDataQuotes,
} from 'fintrack-pipelines';
import {
  connectDatabase,
  createReferenceTables,
  marketDataSink,
  migrate,
  monthlyPriceSink,
  startEmbeddedPostgres,
} from 'fintrack-pipelines/postgres';
import pg from 'pg';

const latencyMs = 20;
const assetCount = 1_000;
const rounds = 5;
const oneByOneCount = 50;
const limits = { quotesMs: 400, monthsMs: 800 };

const assets = Array.from({ length: assetCount }, (_, index) => ({ symbol: `S${index}`, asset_type: 'STOCK' }));
const months = Array.from({ length: 12 }, (_, index) => `2025-${String(index + 1).padStart(2, '0')}-01`);

const quote = (symbol, price) => ({
  symbol,
  name: `${symbol} Inc.`,
  exchange: 'NASDAQ',
  currency: 'USD',
  datetime: '2026-11-23',
  close: price,
  open: '226.50000',
  high: '229.12000',
  low: '225.10000',
  change: '2.47000',
  percent_change: '1.09355',
  volume: '48211300',
  previous_close: '225.87000',
  is_market_open: false,
});
const series = (symbol, price) => ({
  meta: { symbol, interval: '1month', currency: 'USD', exchange: 'NASDAQ', type: 'Common Stock' },
  values: months
    .map((datetime) => ({ datetime, open: '1.0', high: '2.0', low: '0.5', close: price, volume: '1' }))
    .reverse(),
  status: 'ok',
});

let round = 0;
const provider = createServer(async (request, response) => {
  await setTimeout(latencyMs);
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const symbols = searchParams.get('symbol').split(',');
  const answer = (symbol) =>
    (pathname === '/quote' ? quote : series)(symbol, `${100 + round}.${symbol.slice(1).padEnd(5, '0')}`);
  const body = symbols.length === 1 ? answer(symbols[0]) : Object.fromEntries(symbols.map((s) => [s, answer(s)]));
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
}).listen(0, '127.0.0.1');
await once(provider, 'listening');
const baseUrl = `http://127.0.0.1:${provider.address().port}`;

const configured = process.env.DATABASE_URL;
const embedded = configured === undefined ? await startEmbeddedPostgres() : undefined;
const url = configured ?? embedded.url;
const database = connectDatabase({ url });
await createReferenceTables({ database });
await migrate({ database });

const limiter = creditLimiter({ credits: 1_000_000, maxConcurrent: 8 });
const quotes = marketData({
  fetcher: limited(twelveDataQuotes({ apiKey: 'bench', baseUrl }), limiter),
  sink: marketDataSink({ database }),
  maxAgeMs: 0,
});
const monthly = historicalMarketData({
  fetcher: limited(twelveDataMonthly({ apiKey: 'bench', baseUrl }), limiter),
  sink: monthlyPriceSink({ database, provider: 'twelve-data' }),
});

const runs = { quotes: [], months: [], oneByOne: [] };
for (round = 0; round <= rounds; round += 1) {
  await clearMonths();
  const quotesDone = await lastValueFrom(fromRequest(parseMarketDataRequest({ assets })).pipe(quotes));
  const monthsDone = await lastValueFrom(
    fromRequest(parseHistoricalMarketDataRequest({ start_date: '2025-01-31', end_date: '2025-12-31', assets })).pipe(
      monthly,
    ),
  );
  expectComplete(quotesDone, monthsDone);
  const oneByOneMs = await oneByOne();
  if (round === 0) continue; // warms up
  runs.quotes.push(quotesDone.processingTimeMs);
  runs.months.push(monthsDone.processingTimeMs);
  runs.oneByOne.push((oneByOneMs / oneByOneCount) * assetCount);
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const row = (name, ms, limitMs) =>
  console.log(
    `${name.padEnd(34)} ${String(Math.round(ms)).padStart(7)} ms  ${(median(runs.oneByOne) / ms).toFixed(1).padStart(6)}x the speed of one by one${limitMs ? `  (limit ${limitMs} ms)` : ''}`,
  );
console.log(`whole job, ${assetCount} assets, ${latencyMs} ms latency, median of ${rounds}`);
row('quotes', median(runs.quotes), limits.quotesMs);
row('12 months', median(runs.months), limits.monthsMs);
row(`one by one (from ${oneByOneCount} quotes)`, median(runs.oneByOne));

provider.close();
provider.closeAllConnections();
await database.close();
await embedded?.stop();
if (median(runs.quotes) > limits.quotesMs || median(runs.months) > limits.monthsMs) process.exitCode = 1;

function expectComplete(...events) {
  for (const { status, failed } of events)
    if (status !== 'complete') throw new Error(`${status}: ${JSON.stringify(failed[0])}`);
}

async function clearMonths() {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    'delete from financial_tracker.market_data_monthly; delete from fintrack_pipelines.fetched_months',
  );
  await client.end();
}

/** One symbol, one request, one connection, one commit at a time. */
async function oneByOne() {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const startedAt = performance.now();
  for (const { symbol } of assets.slice(0, oneByOneCount)) {
    const response = await fetch(`${baseUrl}/quote?symbol=${symbol}`, { headers: { connection: 'close' } });
    const { close, change, percent_change, high, low } = await response.json();
    await client.query(
      `insert into financial_tracker.market_data (symbol, asset_type, price, change, percent_change, high, low, updated_at)
       values ($1, 'STOCK', $2, $3, $4, $5, $6, now()) on conflict (symbol, asset_type) do update
       set price = excluded.price, change = excluded.change, percent_change = excluded.percent_change,
       high = excluded.high, low = excluded.low, updated_at = excluded.updated_at`,
      [symbol, close, change, percent_change, high, low],
    );
  }
  const elapsedMs = performance.now() - startedAt;
  await client.end();
  return elapsedMs;
}
