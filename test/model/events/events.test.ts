import { describe, expect, it } from 'vitest';
import { PipelineError, ProviderError, RequestError, SinkError } from '../../../src/model/errors.ts';
import {
  historicalMarketDataCompleted,
  historicalMarketDataCompletedSchema,
} from '../../../src/model/events/historicalMarketDataCompleted.ts';
import { marketDataCompleted, marketDataCompletedSchema } from '../../../src/model/events/marketDataCompleted.ts';
import {
  marketIndexDataCompleted,
  marketIndexDataCompletedSchema,
} from '../../../src/model/events/marketIndexDataCompleted.ts';
import { rejectedRequest } from '../../../src/model/events/rejectedRequest.ts';
import { parseEvent, serializeEvent } from '../../../src/model/events/serializeEvent.ts';
import { countOutcomes, type Outcome } from '../../../src/model/outcome.ts';
import type { Asset, IndexQuote, MarketIndex, MonthlyPrices, MonthlyRange, Quote } from '../../../src/model/records.ts';
import { parseHistoricalMarketDataRequest } from '../../../src/model/requests/historicalMarketDataRequest.ts';
import { parseMarketDataRequest } from '../../../src/model/requests/marketDataRequest.ts';
import { parseMarketIndexDataRequest } from '../../../src/model/requests/marketIndexDataRequest.ts';
import type { Summary } from '../../../src/model/summary.ts';

const acceptedAt = new Date('2026-11-24T10:00:00.000Z');
const aapl: Asset = { symbol: 'AAPL', assetType: 'STOCK' };
const quote: Quote = {
  ...aapl,
  price: '228.34000',
  change: '2.47000',
  percentChange: '1.09355',
  high: '229.1',
  low: '225',
};

function summaryOf<I, T>(outcomes: Outcome<I, T>[]): Summary<I, T> {
  const counts = countOutcomes(outcomes);
  return {
    outcomes,
    counts,
    batches: outcomes.length === 0 ? [] : [{ index: 0, ...counts, processingTimeMs: 40, errorRate: 0 }],
    written: { inserted: counts.ok, updated: 0, unchanged: 0, transactions: 1 },
    batchTimeMs: { min: 40, median: 40, p95: 40, max: 40 },
    totalTimeMs: 50,
    recordsPerSecond: 20,
    failures: outcomes.flatMap((outcome) => (outcome.status === 'failed' ? [{ ...outcome, batch: 0 }] : [])),
    finishedAt: new Date('2026-11-24T10:00:00.045Z'),
  };
}

const ok: Outcome<Asset, Quote> = { status: 'ok', input: aapl, value: quote };
const unknown: Outcome<Asset, Quote> = {
  status: 'failed',
  input: { symbol: 'NOPE', assetType: 'STOCK' },
  stage: 'fetch',
  error: new ProviderError('symbol_unknown', 'twelve-data: NOPE is unknown'),
};
const skipped: Outcome<Asset, Quote> = {
  status: 'skipped',
  input: { symbol: 'IBM', assetType: 'STOCK' },
  reason: 'quota',
};

describe('the market data completion', () => {
  const request = parseMarketDataRequest({ assets: [], account_id: 'user123' });
  const complete = (outcomes: Outcome<Asset, Quote>[], asked = request) =>
    marketDataCompleted(summaryOf(outcomes), { id: 'key-1', request: asked, acceptedAt });

  it('is complete when every asset was served', () => {
    expect(complete([ok])).toEqual({
      status: 'complete',
      totalBatches: 1,
      totalAssets: 1,
      totalTransactions: 1,
      processingTimeMs: 45,
      assets: [
        {
          ...{ symbol: 'AAPL', asset_type: 'STOCK', assetType: 'STOCK' },
          ...{ price: '228.34000', percentChange: '1.09355', change: '2.47000', high: '229.1', low: '225' },
        },
      ],
      failed: [],
      skipped: [],
      account_id: 'user123',
      requestId: 'key-1',
    });
  });

  it('is complete for an empty list', () => {
    expect(complete([])).toMatchObject({ status: 'complete', totalBatches: 0, totalAssets: 0, assets: [] });
  });

  it('is partial when some failed or were skipped, and names each symbol once', () => {
    const event = complete([ok, unknown, skipped]);
    expect(event).toMatchObject({
      status: 'partial',
      totalAssets: 3,
      failed: [
        {
          ...{ symbol: 'NOPE', asset_type: 'STOCK', stage: 'fetch' },
          ...{ reason: 'symbol_unknown', message: 'twelve-data: NOPE is unknown' },
        },
      ],
      skipped: [{ symbol: 'IBM', asset_type: 'STOCK', reason: 'quota' }],
    });
    expect(event.assets?.map(({ symbol }) => symbol)).toEqual(['AAPL']);
  });

  it('says when a quota comes back, and what skipped everything', () => {
    const until = new Date('2026-11-25T00:00:00Z');
    const event = complete([ok, { ...skipped, until }]);
    expect(event.skipped).toEqual([
      { symbol: 'IBM', asset_type: 'STOCK', reason: 'quota', until: '2026-11-25T00:00:00.000Z' },
    ]);
    expect(marketDataCompletedSchema.parse(parseEvent(serializeEvent(event))).skipped).toEqual(event.skipped);
    const codes = (['quota', 'deadline', 'canceled'] as const).map((reason) => complete([{ ...skipped, reason }]));
    expect(codes.map(({ errorType }) => errorType)).toEqual(['quota_exhausted', 'timeout', 'canceled']);
  });

  it('has the error fields and no assets key when nothing was served', () => {
    const event = complete([unknown]);
    expect(event).toMatchObject({
      status: 'failed',
      error: 'twelve-data: NOPE is unknown',
      errorType: 'symbol_unknown',
      batchId: 'key-1#1',
      failedBatch: 1,
    });
    expect(event).not.toHaveProperty('assets');
  });

  it('is failed when everything was skipped', () => {
    expect(complete([skipped])).toMatchObject({ status: 'failed', error: 'every symbol was skipped', failedBatch: 0 });
  });

  it('names what the request itself had wrong', () => {
    const asked = parseMarketDataRequest({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }, { symbol: 'MSFT' }] });
    expect(complete([ok], asked)).toMatchObject({
      status: 'partial',
      totalAssets: 2,
      failed: [{ symbol: 'MSFT', stage: 'validate', reason: 'asset_type_unknown' }],
    });
  });

  it('echoes the request id of the client', () => {
    expect(complete([ok], { ...request, requestId: 'mine' }).requestId).toBe('mine');
  });

  it('satisfies its schema in every status', () => {
    for (const outcomes of [[], [ok], [ok, unknown, skipped], [unknown], [skipped]]) {
      expect(marketDataCompletedSchema.parse(parseEvent(serializeEvent(complete(outcomes))))).toMatchObject({
        requestId: 'key-1',
      });
    }
  });
});

describe('the index completion', () => {
  it('names the values under the names of the wire', () => {
    const input: MarketIndex = { symbol: '^GSPC' };
    const value: IndexQuote = {
      ...input,
      price: '4099.38',
      priceChange: '38.159912',
      percentChange: '0.93',
      priceHigh: '4099.43',
      priceLow: '4084.73',
    };
    const request = parseMarketIndexDataRequest({ symbols: ['^GSPC'], accountId: 'u' });
    const event = marketIndexDataCompleted(summaryOf([{ status: 'fresh', input, value }]), {
      id: 'k',
      request,
      acceptedAt,
    });
    expect(event).toMatchObject({
      status: 'complete',
      totalSymbols: 1,
      accountId: 'u',
      symbols: [
        {
          symbol: '^GSPC',
          price: '4099.38',
          price_change: '38.159912',
          percent_change: '0.93',
          price_high: '4099.43',
          price_low: '4084.73',
        },
      ],
    });
    expect(marketIndexDataCompletedSchema.parse(event)).toEqual(event);
  });
});

describe('the historical completion', () => {
  const dates = { start_date: '2024-01-31', end_date: '2026-11-24' };
  const complete = (assets: { symbol: string; asset_type: string }[]) => {
    const request = parseHistoricalMarketDataRequest({ ...dates, assets }, { now: () => acceptedAt.getTime() });
    const outcomes = request.inputs.map((input): Outcome<MonthlyRange, MonthlyPrices> => {
      const { symbol, assetType } = input;
      return { status: 'ok', input, value: { symbol, assetType, recordCount: 35, prices: [] } };
    });
    return historicalMarketDataCompleted(summaryOf(outcomes), { id: 'k', request, acceptedAt });
  };

  it('counts the records and names the range', () => {
    const event = complete([
      { symbol: 'AAPL', asset_type: 'STOCK' },
      { symbol: 'IBM', asset_type: 'STOCK' },
    ]);
    expect(event).toMatchObject({
      ...dates,
      status: 'complete',
      record_count: 70,
      asset_type: 'STOCK',
      symbols: ['AAPL', 'IBM'],
    });
    expect(event.assets?.[0]).toEqual({ symbol: 'AAPL', asset_type: 'STOCK', assetType: 'STOCK' });
    expect(historicalMarketDataCompletedSchema.parse(event)).toEqual(event);
  });

  it('names no type when there are several', () => {
    const event = complete([
      { symbol: 'AAPL', asset_type: 'STOCK' },
      { symbol: 'BTC', asset_type: 'CRYPTO' },
    ]);
    expect(event).not.toHaveProperty('asset_type');
  });
});

describe('rejectedRequest', () => {
  it('tells the client of each pipeline why', () => {
    const error = new RequestError('request_malformed', 'request: expected JSON, got "x"');
    const schemas = {
      'market-data': marketDataCompletedSchema,
      'market-index-data': marketIndexDataCompletedSchema,
      'historical-market-data': historicalMarketDataCompletedSchema,
    } as const;
    for (const pipeline of ['market-data', 'market-index-data', 'historical-market-data'] as const) {
      const event = rejectedRequest(pipeline, error, 'r1');
      expect(event).toMatchObject({
        status: 'failed',
        error: error.message,
        errorType: 'request_malformed',
        failedBatch: 0,
      });
      expect(event).not.toHaveProperty('assets');
      expect(schemas[pipeline].safeParse(event).success).toBe(true);
    }
  });
});

describe('serializeEvent', () => {
  it('writes prices as numbers with exactly the digits of their text', () => {
    const price = '123456789012345.678900';
    const request = parseMarketDataRequest({ assets: [] });
    const event = marketDataCompleted(summaryOf([{ ...ok, value: { ...quote, price } }]), {
      id: 'k',
      request,
      acceptedAt,
    });
    const text = serializeEvent(event);
    expect(text).toContain(`"price":${price},`);
    expect(text).toContain('"totalAssets":1');
    expect(parseEvent(text)).toEqual(event);
  });

  it('never shows the cause of an error', () => {
    const error = new SinkError('database_error', 'refused', { cause: new Error('canary') });
    expect(serializeEvent(rejectedRequest('market-data', PipelineError.from(error), 'k'))).not.toContain('canary');
  });
});
