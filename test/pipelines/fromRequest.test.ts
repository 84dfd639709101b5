import { lastValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { memoryLedger } from '../../src/memory/memoryLedger.ts';
import { OptionsError, PublishError } from '../../src/model/errors.ts';
import type { Asset } from '../../src/model/records.ts';
import { parseHistoricalMarketDataRequest } from '../../src/model/requests/historicalMarketDataRequest.ts';
import { parseMarketDataRequest } from '../../src/model/requests/marketDataRequest.ts';
import { parseMarketIndexDataRequest } from '../../src/model/requests/marketIndexDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';

const market = parseMarketDataRequest({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }], requestId: 'r1' });
const index = parseMarketIndexDataRequest({ symbols: ['^GSPC'] });
const dates = { start_date: '2024-01-31', end_date: '2024-12-31' };
const historical = parseHistoricalMarketDataRequest({ ...dates, assets: [] });

describe('fromRequest', () => {
  it('delivers each kind of request with its batch size and lane', async () => {
    const deliveries = [fromRequest(market), fromRequest(index), fromRequest(historical)];
    const delivered = await Promise.all(
      deliveries.map((delivery) => lastValueFrom<{ batchSize: number; lane: string }>(delivery)),
    );
    expect(delivered.map(({ batchSize, lane }) => [batchSize, lane])).toEqual([
      [100, 'market'],
      [100, 'index'],
      [50, 'historical'],
    ]);
  });

  it('makes a key of its own each time, and none of the id that a client chose', async () => {
    const ids = await Promise.all([1, 2].map(async () => (await lastValueFrom(fromRequest(market))).id));
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toMatch(/^run:market-data:[0-9a-f-]{36}$/);
  });

  it('accepts nothing before it is subscribed, and hands out what was accepted first', async () => {
    let at = 1_000;
    const ledger = memoryLedger<Asset, never>({ now: () => at });
    const key = 'run:market-data:r1';
    const first = fromRequest(market, { ledger, key, batchSize: 7 });
    expect(await lastValueFrom(first)).toMatchObject({ batchSize: 7, acceptedAt: new Date(1_000) });
    at = 2_000;
    expect(await lastValueFrom(fromRequest(market, { ledger, key }))).toMatchObject({
      batchSize: 7,
      acceptedAt: new Date(1_000),
    });
  });

  it('tells the time of acceptance by its own clock, whatever that of the ledger says', async () => {
    const ledger = memoryLedger<Asset, never>();
    const accepted = { inputs: market.inputs, batchSize: 100, acceptedAt: new Date(0), ageMs: 250 };
    const skewed = { ...ledger, accept: async () => accepted };
    const { acceptedAt } = await lastValueFrom(fromRequest(market, { ledger: skewed, now: () => 5_000 }));
    expect(acceptedAt).toEqual(new Date(4_750));
  });

  it('rejects through its nack, and through the publisher of its ack', async () => {
    const error = new PublishError('bus: closed');
    const publisher = { publish: () => Promise.reject(error) };
    const delivery = await lastValueFrom(fromRequest(market, { publisher }));
    await expect(delivery.ack({} as never)).rejects.toBe(error);
    await expect(delivery.nack(error)).rejects.toBe(error);
  });

  it('refuses options that make no sense', () => {
    expect(() => fromRequest(market, { batchSize: 0 })).toThrow(OptionsError);
    expect(() => fromRequest(market, { key: 'k' })).toThrow(
      'fromRequest: key: nothing remembers it without a ledger, got "k"',
    );
    expect(() => fromRequest(market, { ledger: {} as never })).toThrow(
      'fromRequest: ledger: expected a ledger, got an object',
    );
  });
});
