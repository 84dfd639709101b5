/** What the program that this library replaces does wrong in one run: each once, by the numbers of its list. */
import { sql } from '@databases/pg';
import { lastValueFrom, of, toArray } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { memoryBus } from '../../src/memory/memoryBus.ts';
import { memorySink } from '../../src/memory/memorySink.ts';
import { PipelineError } from '../../src/model/errors.ts';
import type { CompletionEvent } from '../../src/model/events/completion.ts';
import { rejectedRequest } from '../../src/model/events/rejectedRequest.ts';
import { serializeEvent } from '../../src/model/events/serializeEvent.ts';
import type { Asset, IndexQuote, Quote } from '../../src/model/records.ts';
import { parseMarketDataRequest } from '../../src/model/requests/marketDataRequest.ts';
import { parseMarketIndexDataRequest } from '../../src/model/requests/marketIndexDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';
import { marketData } from '../../src/pipelines/marketData.ts';
import { marketIndexData } from '../../src/pipelines/marketIndexData.ts';
import { marketDataSink } from '../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../src/postgres/sinks/marketIndexSink.ts';
import { simulatedQuotes } from '../../src/providers/simulated/simulatedQuotes.ts';
import { twelveDataQuotes } from '../../src/providers/twelveDataQuotes.ts';
import { yahooRapidApiIndexes } from '../../src/providers/yahooRapidApiIndexes.ts';
import {
  quoteBody,
  startMarketServer,
  twelveDataBody,
  unknownSymbol,
  yahooBody,
  type MarketServer,
} from '../support/marketServer.ts';
import { openTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';

const canary = 'canary-api-key-5f1c';

const asset = (symbol: string, asset_type = 'STOCK') => ({ symbol, asset_type });
const openDatabase = async () => track(await openTestDatabase({ shape: 'S1', migrated: true }));

/** Twelve Data on loopback: what it does not know is listed. */
const startTwelveData = async (unknown: readonly string[] = []) =>
  track(
    await startMarketServer(({ symbols }) => ({
      body: twelveDataBody(symbols, (symbol) => (unknown.includes(symbol) ? unknownSymbol : quoteBody(symbol))),
    })),
  );

const quotesFrom = ({ baseUrl }: MarketServer) =>
  limited(twelveDataQuotes({ apiKey: canary, baseUrl }), creditLimiter({ credits: 1_000 }));

const indexesFrom = ({ baseUrl }: MarketServer) =>
  limited(
    yahooRapidApiIndexes({ apiKey: canary, host: 'yahoo.test', baseUrl }),
    creditLimiter({ credits: Infinity, maxConcurrent: 4 }),
  );

interface PriceRow {
  readonly symbol: string;
  readonly asset_type: string;
  readonly price: string;
}

async function pricesIn(database: TestDatabase): Promise<PriceRow[]> {
  const table = sql.ident(database.schema, 'market_data');
  const query = sql`select symbol, asset_type, price::text from ${table} order by symbol, asset_type`;
  return (await database.pool.query(query)) as PriceRow[];
}

describe('one run does what the original did not', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('1: names an unknown symbol as failed, and lets no other request wait for it', async () => {
    await using database = await openDatabase();
    await using server = await startTwelveData(['NOPE']);
    const pipeline = marketData({ fetcher: quotesFrom(server), sink: marketDataSink({ database }) });
    const requests = [[asset('AAPL'), asset('NOPE'), asset('MSFT')], [asset('IBM')], [asset('GOOG')]];
    const deliveries = await Promise.all(
      requests.map((assets) => lastValueFrom(fromRequest(parseMarketDataRequest({ assets })))),
    );
    const events = await lastValueFrom(of(...deliveries).pipe(pipeline, toArray()));
    const byTotal = events.toSorted((a, b) => b.totalAssets - a.totalAssets);
    expect(byTotal[0]).toMatchObject({ status: 'partial', failed: [{ symbol: 'NOPE', reason: 'symbol_unknown' }] });
    expect(byTotal[0]?.assets?.map(({ symbol }) => symbol)).toEqual(['AAPL', 'MSFT']);
    expect(events.filter(({ status }) => status === 'complete')).toHaveLength(2);
    expect(await pricesIn(database)).toHaveLength(4);
  });

  it('2: serves 30 assets at 8 credits a minute without a refusal', async () => {
    vi.useFakeTimers();
    const calls: string[] = [];
    const quota = { credits: 8, windowMs: 60_000 };
    const sink = memorySink<Asset, Quote>();
    const pipeline = marketData({
      fetcher: limited(simulatedQuotes({ latencyMs: 50, quota }), creditLimiter(quota)),
      sink,
      events: { next: (event) => event.type === 'provider-call' && calls.push(event.call.result) },
    });
    const assets = Array.from({ length: 30 }, (_, index) => asset(`S${String(index)}`));
    const completed = lastValueFrom(fromRequest(parseMarketDataRequest({ assets })).pipe(pipeline));
    await vi.runAllTimersAsync();
    expect(await completed).toMatchObject({ status: 'complete', totalAssets: 30, failed: [] });
    expect(sink.rows.size).toBe(30);
    expect(calls).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  it('3: answers when the indexes are refused, and lists no stale one as updated', async () => {
    await using database = await openDatabase();
    const monthly = { message: 'You have exceeded the MONTHLY quota for Requests on your current plan, BASIC.' };
    await using server = track(await startMarketServer(() => ({ status: 429, body: monthly })));
    const sink = marketIndexSink({ database });
    const value: IndexQuote = {
      ...{ symbol: '^GSPC', price: '1', priceChange: '1', percentChange: '1' },
      ...{ priceHigh: '1', priceLow: '1' },
    };
    const stale = {
      status: 'ok',
      input: { symbol: '^GSPC' },
      value,
      receivedAtMs: performance.now() - 3_600_000,
    } as const;
    await sink.write({ index: 0, outcomes: [stale] }, { signal: new AbortController().signal });

    const pipeline = marketIndexData({ fetcher: indexesFrom(server), sink });
    const request = parseMarketIndexDataRequest({ symbols: ['^GSPC', '^NDX'] });
    const event = await lastValueFrom(fromRequest(request).pipe(pipeline));
    expect(event).toMatchObject({ status: 'failed', totalSymbols: 2 });
    expect(event.skipped.map(({ symbol, reason }) => `${symbol} ${reason}`)).toEqual(['^GSPC quota', '^NDX quota']);
    expect(event).not.toHaveProperty('symbols');
  });

  it('4: names an unknown index, and fetches neither it nor the others again', async () => {
    await using database = await openDatabase();
    await using server = track(
      await startMarketServer(({ symbols }) => ({ body: yahooBody(symbols.filter((symbol) => symbol !== 'XONE')) })),
    );
    const pipeline = marketIndexData({ fetcher: indexesFrom(server), sink: marketIndexSink({ database }) });
    const request = parseMarketIndexDataRequest({ symbols: ['^GSPC', 'XONE', 'GC=F', '^DJI', '^IXIC'] });
    for (let run = 0; run < 2; run += 1) {
      const event = await lastValueFrom(fromRequest(request).pipe(pipeline));
      expect(event).toMatchObject({ status: 'partial', failed: [{ symbol: 'XONE', reason: 'symbol_unknown' }] });
      expect(event.symbols?.map(({ symbol }) => symbol)).toEqual(['^GSPC', 'GC=F', '^DJI', '^IXIC']);
    }
    // The others are fresh, and the unknown one is remembered.
    expect(server.requests.map(({ symbols }) => symbols)).toEqual([['^GSPC', 'XONE', 'GC=F', '^DJI', '^IXIC']]);
  });

  it('5 and 6: serves a pair without its slash, and a commodity, by the names of the provider', async () => {
    await using database = await openDatabase();
    await using server = await startTwelveData();
    const pipeline = marketData({ fetcher: quotesFrom(server), sink: marketDataSink({ database }) });
    const assets = [asset('EURUSD', 'FOREX'), asset('XAU', 'COMMODITY'), asset('BTC', 'CRYPTO')];
    const event = await lastValueFrom(fromRequest(parseMarketDataRequest({ assets })).pipe(pipeline));
    expect(event.status).toBe('complete');
    expect(server.requests[0]?.symbols).toEqual(['EUR/USD', 'XAU/USD', 'BTC/USD']);
    expect(await pricesIn(database)).toEqual([
      { symbol: 'BTC', asset_type: 'CRYPTO', price: '228.340000' },
      { symbol: 'EURUSD', asset_type: 'FOREX', price: '228.340000' },
      { symbol: 'XAU', asset_type: 'COMMODITY', price: '228.340000' },
    ]);
  });

  it('7: fetches a stored symbol again once it is old, each asset type for itself', async () => {
    await using database = await openDatabase();
    let close = '1.5';
    await using server = track(
      await startMarketServer(({ symbols }) => ({
        body: twelveDataBody(symbols, (symbol) => quoteBody(symbol, close)),
      })),
    );
    const sink = marketDataSink({ database });
    const run = (maxAgeMs: number, ...assets: object[]) =>
      lastValueFrom(
        fromRequest(parseMarketDataRequest({ assets })).pipe(
          marketData({ fetcher: quotesFrom(server), sink, maxAgeMs }),
        ),
      );
    await run(45_000, asset('SOL'));
    close = '2.5';
    await run(45_000, asset('SOL'), asset('SOL', 'CRYPTO'));
    expect(server.requests.map(({ symbols }) => symbols)).toEqual([['SOL'], ['SOL/USD']]);
    const event = await run(0, asset('SOL'));
    expect(event.assets).toMatchObject([{ symbol: 'SOL', price: '2.500000' }]);
    expect((await pricesIn(database)).map(({ price }) => price)).toEqual(['2.500000', '2.500000']);
  });

  it('8: fetches and writes a duplicate once', async () => {
    await using database = await openDatabase();
    await using server = await startTwelveData();
    const pipeline = marketData({ fetcher: quotesFrom(server), sink: marketDataSink({ database }) });
    const request = parseMarketDataRequest({ assets: [asset('AAPL'), asset('IBM'), asset('AAPL')] });
    const event = await lastValueFrom(fromRequest(request).pipe(pipeline));
    expect(event).toMatchObject({ status: 'complete', totalAssets: 2 });
    expect(server.requests.map(({ symbols }) => symbols)).toEqual([['AAPL', 'IBM']]);
    expect(await pricesIn(database)).toHaveLength(2);
  });

  it('9: answers what is no request, and serves the good assets beside a bad one', async () => {
    const notRequests = ['hello', '[]', '{}', '{"assets":7}', Uint8Array.of(0xff), null];
    const answers = notRequests.map((message) => {
      try {
        return parseMarketDataRequest(message);
      } catch (error) {
        return rejectedRequest('market-data', PipelineError.from(error), 'r');
      }
    });
    expect(answers).toEqual(
      notRequests.map(() => expect.objectContaining({ status: 'failed', errorType: 'request_malformed' }) as unknown),
    );

    const pipeline = marketData({
      fetcher: limited(simulatedQuotes(), creditLimiter({ credits: 8 })),
      sink: memorySink(),
    });
    const request = parseMarketDataRequest({ assets: [asset('AAPL'), { symbol: 'IBM' }, { asset_type: 'STOCK' }] });
    const event = await lastValueFrom(fromRequest(request).pipe(pipeline));
    expect(event).toMatchObject({ status: 'partial', totalAssets: 3, assets: [{ symbol: 'AAPL' }] });
    expect(event.failed.map(({ stage, reason }) => `${stage} ${reason}`)).toEqual([
      'validate asset_type_unknown',
      'validate symbol_invalid',
    ]);
  });

  it('12 and 13: shows the key to the provider alone, outside of the URL, and encodes a symbol once', async () => {
    await using database = await openDatabase();
    await using server = track(
      await startMarketServer(() => ({ status: 401, body: { message: `bad key ${canary}` } })),
    );
    const seen: unknown[] = [];
    const pipeline = marketIndexData({
      fetcher: indexesFrom(server),
      sink: marketIndexSink({ database }),
      events: { next: (event) => seen.push(event) },
    });
    const request = parseMarketIndexDataRequest({ symbols: ['^GSPC'] });
    const event = await lastValueFrom(fromRequest(request).pipe(pipeline));
    expect(event).toMatchObject({ status: 'failed', errorType: 'unauthorized' });
    expect(server.requests[0]?.url).toContain('symbols=%5EGSPC');
    expect(server.requests[0]?.url).not.toContain(canary);
    expect(server.requests[0]?.headers['x-rapidapi-key']).toBe(canary);
    expect(serializeEvent(event) + JSON.stringify(seen)).not.toContain(canary);
  });

  it('14: makes one request and one transaction a batch, over a few connections', async () => {
    await using database = await openDatabase();
    await using server = await startTwelveData();
    const pipeline = marketData({ fetcher: quotesFrom(server), sink: marketDataSink({ database }) });
    const assets = Array.from({ length: 500 }, (_, index) => asset(`S${String(index)}`));
    const event = await lastValueFrom(fromRequest(parseMarketDataRequest({ assets })).pipe(pipeline));
    expect(event).toMatchObject({ status: 'complete', totalBatches: 5, totalAssets: 500, totalTransactions: 5 });
    expect(server.requests).toHaveLength(5);
    expect(server.connections()).toBeLessThanOrEqual(4);
  });

  it('15: tells what failed, which request it was, and the time without its own start', async () => {
    vi.useFakeTimers();
    const bus = memoryBus<CompletionEvent>();
    const pipeline = marketData({
      fetcher: limited(simulatedQuotes({ latencyMs: 20, unknownRate: 1 }), creditLimiter({ credits: 8 })),
      sink: memorySink<Asset, Quote>(),
    });
    const request = parseMarketDataRequest({ assets: [asset('AAPL')], requestId: 'client-7' });
    const delivery = fromRequest(request, { publisher: bus });
    await vi.advanceTimersByTimeAsync(10_000);
    const completed = lastValueFrom(delivery.pipe(pipeline));
    await vi.runAllTimersAsync();
    const event = await completed;
    expect(event).toMatchObject({ status: 'failed', requestId: 'client-7', processingTimeMs: 20 });
    expect(event.failed).toMatchObject([
      { symbol: 'AAPL', asset_type: 'STOCK', stage: 'fetch', reason: 'symbol_unknown' },
    ]);
    expect(bus.events).toEqual([event]);
  });
});
