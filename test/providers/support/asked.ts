import { frankfurterMonthly } from '../../../src/providers/frankfurterMonthly.ts';
import { frankfurterQuotes } from '../../../src/providers/frankfurterQuotes.ts';
import { massiveMonthly } from '../../../src/providers/massiveMonthly.ts';
import { twelveDataMonthly } from '../../../src/providers/twelveDataMonthly.ts';
import { twelveDataQuotes } from '../../../src/providers/twelveDataQuotes.ts';
import { yahooRapidApiIndexes } from '../../../src/providers/yahooRapidApiIndexes.ts';
import { openCall } from './loopbackServer.ts';

type Fetch = typeof globalThis.fetch;

const key = { apiKey: 'planted-key' };
const stock = { symbol: 'AAPL', assetType: 'STOCK' } as const;
const pair = { symbol: 'EURUSD', assetType: 'FOREX' } as const;
const months = { startDate: '2024-01-01', endDate: '2026-03-31' };
const { call } = openCall();

/** How to ask each provider, and a recorded answer that serves. */
export const asked: Record<
  string,
  { folder: string; name: string; ask: (fetch: Fetch) => Promise<readonly unknown[]> }
> = {
  twelveDataQuotes: {
    folder: 'twelve-data',
    name: 'quote-batch',
    ask: (fetch) => twelveDataQuotes({ ...key, fetch }).fetch([stock, pair], call),
  },
  twelveDataMonthly: {
    folder: 'twelve-data',
    name: 'months-one',
    ask: (fetch) => twelveDataMonthly({ ...key, fetch }).fetch([{ ...stock, ...months }], call),
  },
  yahooRapidApiIndexes: {
    folder: 'yahoo-rapidapi',
    name: 'quotes',
    ask: (fetch) => yahooRapidApiIndexes({ ...key, host: 'yahoo.test', fetch }).fetch([{ symbol: '^GSPC' }], call),
  },
  frankfurterQuotes: {
    folder: 'frankfurter',
    name: 'quotes',
    ask: (fetch) => frankfurterQuotes({ fetch }).fetch([pair], call),
  },
  frankfurterMonthly: {
    folder: 'frankfurter',
    name: 'days',
    ask: (fetch) => frankfurterMonthly({ fetch }).fetch([{ ...pair, ...months }], call),
  },
  massiveMonthly: {
    folder: 'massive',
    name: 'months',
    ask: (fetch) => massiveMonthly({ ...key, fetch }).fetch([{ ...stock, ...months }], call),
  },
};
