import { describe, expect, it } from 'vitest';
import {
  historicalMarketDataTopic,
  marketDataTopic,
  marketIndexDataTopic,
} from '../../../src/kafka/requests/requestTopics.ts';
import { memoryLedger } from '../../../src/memory/memoryLedger.ts';
import { OptionsError } from '../../../src/model/errors.ts';
import type { Asset } from '../../../src/model/records.ts';

describe('the standard topics', () => {
  it('have the names, lanes and sizes of the deployment', () => {
    const topics = [marketDataTopic(), marketIndexDataTopic(), historicalMarketDataTopic()];
    expect(
      topics.map((topic) => [
        ...[topic.topic, topic.completionTopic, topic.deadLetterTopic, topic.workTopic],
        ...[topic.pipeline, topic.lane, topic.batchSize],
      ]),
    ).toEqual([
      [
        ...['MARKET_DATA_UPDATE_REQUEST', 'MARKET_DATA_UPDATE_COMPLETE', 'MARKET_DATA_UPDATE_REQUEST-dlt'],
        ...['MARKET_DATA_UPDATE_WORK', 'market-data', 'market', 100],
      ],
      [
        ...['MARKET_INDEX_DATA_UPDATE_REQUEST', 'MARKET_INDEX_DATA_UPDATE_COMPLETE'],
        ...['MARKET_INDEX_DATA_UPDATE_REQUEST-dlt', 'MARKET_INDEX_DATA_UPDATE_WORK'],
        ...['market-index-data', 'index', 100],
      ],
      [
        ...['HISTORICAL_MARKET_DATA_REQUEST', 'HISTORICAL_MARKET_DATA_COMPLETE', 'HISTORICAL_MARKET_DATA_REQUEST-dlt'],
        ...['HISTORICAL_MARKET_DATA_WORK', 'historical-market-data', 'historical', 50],
      ],
    ]);
  });

  it('take other names, lanes and sizes', () => {
    const ledger = memoryLedger<Asset, unknown>();
    const given = { completionTopic: 'B', deadLetterTopic: 'C', lane: 'fast', batchSize: 7, ledger };
    expect(marketDataTopic({ topic: 'A', workTopic: null, ...given })).toMatchObject({ topic: 'A', ...given });
    expect(marketDataTopic({ workTopic: null }).workTopic).toBeUndefined();
    expect(marketDataTopic({ topic: 'A' }).deadLetterTopic).toBe('A-dlt');
    expect(() => marketDataTopic({ topic: 'no topic' })).toThrow(OptionsError);
    expect(() => marketDataTopic({ batchSize: 0 })).toThrow(/batchSize/);
  });

  it('make a request of the inputs of a work record, which come from outside, too', () => {
    const market = marketDataTopic();
    const assets = [{ symbol: 'AAPL', assetType: 'STOCK' }] as const;
    expect(market.inputSchema.parse(assets[0])).toEqual(assets[0]);
    expect(market.inputSchema.safeParse({ symbol: 'A,B', assetType: 'STOCK' }).success).toBe(false);
    expect(market.inputSchema.safeParse({ symbol: 'AAPL', assetType: 'BOND' }).success).toBe(false);
    expect(market.requestOf(assets)).toEqual({ pipeline: 'market-data', inputs: assets, refused: [], account: {} });

    const index = marketIndexDataTopic();
    expect(index.inputSchema.safeParse({ symbol: 7 }).success).toBe(false);
    const indexes = [{ symbol: '^GSPC' }];
    expect(index.requestOf(indexes)).toEqual({
      pipeline: 'market-index-data',
      inputs: indexes,
      refused: [],
      account: {},
    });
  });

  it('read the range of a historical work record from its inputs', () => {
    const topic = historicalMarketDataTopic();
    const ranges = [
      { symbol: 'AAPL', assetType: 'STOCK', startDate: '2024-03-31', endDate: '2024-06-30' },
      { symbol: 'MSFT', assetType: 'STOCK', startDate: '2024-01-31', endDate: '2024-05-31' },
    ] as const;
    expect(ranges.map((range) => topic.inputSchema.parse(range))).toEqual(ranges);
    expect(topic.inputSchema.safeParse({ ...ranges[0], endDate: '2024-02-31' }).success).toBe(false);
    expect(topic.requestOf(ranges)).toMatchObject({ startDate: '2024-01-31', endDate: '2024-06-30', inputs: ranges });
  });

  it('cut a historical request to today by the clock given', () => {
    const topic = historicalMarketDataTopic({ now: () => Date.parse('2026-11-24T12:00:00Z') });
    const message = { start_date: '2024-01-31', end_date: '2030-01-31', assets: [] };
    expect(topic.parse(message).endDate).toBe('2026-11-24');
  });
});
