import assert from 'node:assert/strict';
import { memoryLedger } from '../../../src/memory/memoryLedger.ts';
import { parseHistoricalMarketDataRequest } from '../../../src/model/requests/historicalMarketDataRequest.ts';
import { parseMarketDataRequest } from '../../../src/model/requests/marketDataRequest.ts';
import { batch } from '../../../src/operators/batch.ts';
import { summarize } from '../../../src/operators/summarize.ts';
import { fromRequest } from '../../../src/pipelines/fromRequest.ts';
import { many, optionBound, refused, type InputBounds } from './inputBound.ts';

const stock = (symbol: string) => ({ symbol, asset_type: 'STOCK' });
const now = () => Date.parse('2026-11-24T12:00:00Z');
const historical = (start_date: string, count = 1) =>
  parseHistoricalMarketDataRequest(
    { start_date, end_date: '2026-11-24', assets: many(count, (index) => stock(`S${index}`)) },
    { now },
  );

/** The first day of a month so many months before that of `now`. */
const monthsBack = (months: number) => new Date(Date.UTC(2026, 10 - months)).toISOString().slice(0, 10);

const parsed = parseMarketDataRequest({ assets: [stock('A')] });

export const requestBounds: InputBounds = {
  'entries of a request that are none': refused([10_000, 'entries'], 'request_malformed', (bad) => {
    const assets = [stock('A'), ...many(bad, (index) => ({ symbol: `S${index}` }))];
    assert.equal(parseMarketDataRequest({ assets }).refused.length, bad);
  }),
  'symbol of a request': {
    bound: [255, 'characters'],
    show(bound) {
      const parse = (length: number) => parseMarketDataRequest({ assets: [stock('S'.repeat(length)), stock('A')] });
      assert.equal(parse(bound).inputs.length, 2);
      assert.deepEqual(
        parse(bound + 1).refused.map(({ error }) => error.code),
        ['symbol_invalid'],
      );
    },
  },
  'account and ID of a request': refused([200, 'characters'], 'request_malformed', (length) =>
    parseMarketDataRequest({ assets: [stock('A')], requestId: 'x'.repeat(length) }),
  ),
  'start of a historical request': refused([1_200, 'months back'], 'date_invalid', (months) =>
    historical(monthsBack(months)),
  ),
  'symbols times months of a historical request': {
    bound: [3_000_000, 'months'],
    show: (bound) =>
      refused([bound / 1_200, 'symbols'], 'request_refused', (count) => historical(monthsBack(1_199), count)).show(
        bound / 1_200,
      ),
  },
  'batch of a request': optionBound([10_000, 'symbols'], (batchSize) => batch({ batchSize })),
  'key of a request given to `fromRequest`': optionBound([300, 'characters'], (length) =>
    fromRequest(parsed, { key: 'k'.repeat(length), ledger: memoryLedger() }),
  ),
  'failures kept without outcomes': optionBound([10_000, 'failures'], (maxFailures) =>
    summarize({ outcomes: false, maxFailures }),
  ),
};
