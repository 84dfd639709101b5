import { describe, expect, it } from 'vitest';
import { failedRequest } from '../../../src/model/events/failedRequest.ts';
import { PipelineError } from '../../../src/model/errors.ts';
import { marketDataCompletedSchema } from '../../../src/model/events/marketDataCompleted.ts';
import { marketIndexDataCompletedSchema } from '../../../src/model/events/marketIndexDataCompleted.ts';
import { parseMarketDataRequest } from '../../../src/model/requests/marketDataRequest.ts';
import { parseMarketIndexDataRequest } from '../../../src/model/requests/marketIndexDataRequest.ts';

const error = new PipelineError('timeout', 'no progress');

describe('failedRequest', () => {
  it('names every symbol that was asked for once, and whom it was for', () => {
    const request = parseMarketDataRequest({
      assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }, { symbol: 'MSFT' }],
      account_id: 'user123',
      requestId: 'mine',
    });
    const event = failedRequest(request, error, { key: 'key', stage: 'fetch' });
    expect(marketDataCompletedSchema.parse(event)).toMatchObject({
      status: 'failed',
      requestId: 'mine',
      account_id: 'user123',
      totalAssets: 2,
      errorType: 'timeout',
      failed: [
        { symbol: 'MSFT', stage: 'validate', reason: 'asset_type_unknown' },
        { symbol: 'AAPL', asset_type: 'STOCK', stage: 'fetch', reason: 'timeout', message: 'no progress' },
      ],
    });
    expect(event).not.toHaveProperty('assets');
  });

  it('counts the symbols of an index request, under its ledger key where it has no id of its own', () => {
    const event = failedRequest(parseMarketIndexDataRequest({ symbols: ['^GSPC'] }), error, {
      key: 'key',
      stage: 'fetch',
    });
    expect(marketIndexDataCompletedSchema.parse(event)).toMatchObject({ totalSymbols: 1, requestId: 'key' });
    expect(event.failed).toEqual([{ symbol: '^GSPC', stage: 'fetch', reason: 'timeout', message: 'no progress' }]);
  });
});
