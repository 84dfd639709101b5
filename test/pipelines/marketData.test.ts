import { sql } from '@databases/pg';
import { lastValueFrom, tap } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { memoryBus } from '../../src/memory/memoryBus.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { CompletionEvent } from '../../src/model/events/completion.ts';
import { marketDataCompletedSchema } from '../../src/model/events/marketDataCompleted.ts';
import { parseEvent, serializeEvent } from '../../src/model/events/serializeEvent.ts';
import type { Asset, Quote } from '../../src/model/records.ts';
import { parseMarketDataRequest } from '../../src/model/requests/marketDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';
import { marketData } from '../../src/pipelines/marketData.ts';
import { marketDataSink } from '../../src/postgres/sinks/marketDataSink.ts';
import { twelveDataQuotes } from '../../src/providers/twelveDataQuotes.ts';
import { quoteBody, startMarketServer, twelveDataBody, type Answer } from '../support/marketServer.ts';
import { openTestDatabase, shapes } from '../support/postgres.ts';
import { track } from '../support/track.ts';

const asset = (symbol: string) => ({ symbol, asset_type: 'STOCK' });
const symbolsFrom = (length: number) => Array.from({ length }, (_, index) => `S${String(index)}`);

/** Prices by symbol that no table, or no sense, can hold. */
const badPrices: Readonly<Record<string, unknown>> = {
  NAN: 'NaN',
  NULL: null,
  EMPTY: '',
  HUGE: '1e30',
  NEGATIVE: '-1.5',
  TEXT: 'n/a',
};

describe.each(shapes)('marketData on tables of shape %s', (shape) => {
  const open = async (answer: (symbols: readonly string[]) => Answer | Promise<Answer>) => {
    const database = track(await openTestDatabase({ shape, migrated: true }));
    const server = track(await startMarketServer(({ symbols }) => answer(symbols)));
    const sink = marketDataSink({ database });
    const options = { apiKey: 'k', baseUrl: server.baseUrl };
    const fetcher = limited(twelveDataQuotes(options), creditLimiter({ credits: 100_000, maxConcurrent: 1 }));
    const table = sql.ident(database.schema, 'market_data');
    return {
      ...{ server, sink, database, pipeline: marketData({ fetcher, sink, concurrency: 1 }) },
      rows: async () =>
        (await database.pool.query(sql`select symbol, price::text from ${table} order by symbol`)) as {
          symbol: string;
          price: string;
        }[],
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  };
  const served = (symbols: readonly string[]) => ({ body: twelveDataBody(symbols, (symbol) => quoteBody(symbol)) });

  it('yields, and publishes, an event that satisfies the wire', async () => {
    await using opened = await open(served);
    const publisher = memoryBus<CompletionEvent>();
    const request = parseMarketDataRequest({ assets: [asset('AAPL')], account_id: 'user123' });
    const event = await lastValueFrom(
      fromRequest(request, { publisher, key: 'key-1', ledger: opened.sink.ledger }).pipe(opened.pipeline),
    );
    expect(event).toMatchObject({
      ...{ status: 'complete', totalBatches: 1, totalAssets: 1, totalTransactions: 1 },
      ...{ account_id: 'user123', requestId: 'key-1', failed: [], skipped: [] },
      assets: [
        {
          ...{ symbol: 'AAPL', asset_type: 'STOCK', assetType: 'STOCK', change: '2.470000' },
          ...{ high: '229.120000', low: '225.100000' },
          // The digits that the columns of the shape keep.
          ...(shape === 'S1'
            ? { price: '228.340000', percentChange: '1.09355' }
            : { price: '228.3400', percentChange: '1.0936' }),
        },
      ],
    });
    expect(publisher.events).toEqual([event]);
    expect(marketDataCompletedSchema.parse(parseEvent(serializeEvent(event)))).toEqual(event);
  });

  it('fails symbols with a bad price, or too long for the table, and writes everything else', async () => {
    await using opened = await open((symbols) => ({
      body: twelveDataBody(symbols, (symbol) =>
        symbol in badPrices ? { ...quoteBody(symbol), close: badPrices[symbol] } : quoteBody(symbol),
      ),
    }));
    const bad = Object.keys(badPrices);
    const request = parseMarketDataRequest({ assets: ['AAPL', ...bad, 'ELEVENCHARS', 'MSFT'].map(asset) });
    const event = await lastValueFrom(fromRequest(request).pipe(opened.pipeline));
    expect(event.status).toBe('partial');
    expect(event.assets?.map(({ symbol }) => symbol)).toEqual(['AAPL', 'MSFT']);
    expect(new Set(event.failed.map(({ symbol }) => symbol))).toEqual(new Set([...bad, 'ELEVENCHARS']));
    expect(event.failed.find(({ symbol }) => symbol === 'ELEVENCHARS')).toMatchObject({
      stage: 'validate',
      reason: 'symbol_too_long',
    });
    expect(event.failed.find(({ symbol }) => symbol === 'HUGE')).toMatchObject({
      stage: 'write',
      reason: 'value_out_of_range',
    });
    expect((await opened.rows()).map(({ symbol }) => symbol)).toEqual(['AAPL', 'MSFT']);
    expect(opened.server.requests[0]?.symbols).not.toContain('ELEVENCHARS');
  });

  it('answers an empty list with no batch', async () => {
    await using opened = await open(served);
    const event = await lastValueFrom(fromRequest(parseMarketDataRequest({ assets: [] })).pipe(opened.pipeline));
    expect(event).toMatchObject({
      status: 'complete',
      totalBatches: 0,
      totalAssets: 0,
      totalTransactions: 0,
      assets: [],
    });
  });

  it('fails a broken batch alone', async () => {
    await using opened = await open((symbols) =>
      symbols.includes('S100') ? { status: 400, body: '<html>Bad Request</html>' } : served(symbols),
    );
    const request = parseMarketDataRequest({ assets: symbolsFrom(250).map(asset) });
    const event = await lastValueFrom(fromRequest(request).pipe(opened.pipeline));
    expect(event).toMatchObject({ status: 'partial', totalBatches: 3, totalAssets: 250, totalTransactions: 3 });
    expect(event.failed.map(({ symbol }) => symbol)).toEqual(symbolsFrom(200).slice(100));
    expect(await opened.rows()).toHaveLength(150);
  });

  it('stops when its signal aborts, and goes on under the same key where it stopped', async () => {
    const stop = new AbortController();
    await using opened = await open((symbols) => {
      // Two batches are planned at once, so that either comes first: the second call tells that one is served (issue 10, 25).
      if (opened.server.requests.length === 2) stop.abort();
      return served(symbols);
    });
    const { sink, pipeline } = opened;
    const request = parseMarketDataRequest({ assets: symbolsFrom(250).map(asset) });
    const run = (signal?: AbortSignal) =>
      lastValueFrom(fromRequest(request, { key: 'run-1', ledger: sink.ledger, signal }).pipe(pipeline));

    const stopped = await run(stop.signal);
    expect(stopped.status).toBe('partial');
    const done = stopped.assets?.map(({ symbol }) => symbol) ?? [];
    const notTried = stopped.skipped.map(({ symbol }) => symbol);
    expect(done).toHaveLength(100);
    for (const symbol of opened.server.requests[1]?.symbols ?? ['no second call']) expect(notTried).toContain(symbol);
    expect(new Set([...done, ...notTried])).toEqual(new Set(symbolsFrom(250)));
    expect(done.length + notTried.length).toBe(250);
    expect(new Set(stopped.skipped.map(({ reason }) => reason))).toEqual(new Set(['canceled']));

    const resumed = await run();
    expect(resumed).toMatchObject({ status: 'complete', totalBatches: 3, totalAssets: 250, failed: [], skipped: [] });
    expect(resumed.assets).toHaveLength(250);
    const paid = opened.server.requests.flatMap(({ symbols }) => symbols);
    expect(paid.filter((symbol) => done.includes(symbol))).toHaveLength(done.length);
  });

  it('takes finished batches from the ledger although their prices are old by now', async () => {
    await using opened = await open(served);
    const old = marketData({
      fetcher: limited(
        twelveDataQuotes({ apiKey: 'k', baseUrl: opened.server.baseUrl }),
        creditLimiter({ credits: 1_000 }),
      ),
      sink: opened.sink,
      maxAgeMs: 0,
    });
    const request = parseMarketDataRequest({ assets: symbolsFrom(150).map(asset) });
    const options = { key: 'run-2', ledger: opened.sink.ledger };
    const first = await lastValueFrom(fromRequest(request, options).pipe(old));
    const again = await lastValueFrom(fromRequest(request, options).pipe(old));
    expect(opened.server.requests).toHaveLength(2);
    expect(again.assets).toEqual(first.assets);
    expect(again).toMatchObject({ status: 'complete', totalBatches: 2, totalTransactions: 2 });
  });

  it('shows every batch to whoever observes, once it is stored', async () => {
    await using opened = await open(served);
    const seen: Batch<Asset, Quote>[] = [];
    const observed = marketData({
      fetcher: limited(
        twelveDataQuotes({ apiKey: 'k', baseUrl: opened.server.baseUrl }),
        creditLimiter({ credits: 1_000 }),
      ),
      sink: opened.sink,
      observe: tap((batch) => seen.push(batch)),
    });
    const request = parseMarketDataRequest({ assets: symbolsFrom(150).map(asset) });
    await lastValueFrom(fromRequest(request).pipe(observed));
    expect(seen.map(({ outcomes, written }) => [outcomes.length, written?.inserted]).sort()).toEqual([
      [100, 100],
      [50, 50],
    ]);
  });

  it('refuses a key that comes again with another list', async () => {
    await using opened = await open(served);
    const options = { key: 'run-3', ledger: opened.sink.ledger };
    await lastValueFrom(fromRequest(parseMarketDataRequest({ assets: [asset('A')] }), options).pipe(opened.pipeline));
    const other = fromRequest(parseMarketDataRequest({ assets: [asset('B')] }), options).pipe(opened.pipeline);
    await expect(lastValueFrom(other)).rejects.toMatchObject({ code: 'request_conflict' });
  });
});
