import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Asset, MonthlyRange } from '../../../src/model/records.ts';
import { recordedIndexes } from '../../../src/providers/recorded/recordedIndexes.ts';
import { recordedMonthly } from '../../../src/providers/recorded/recordedMonthly.ts';
import { recordedMonths } from '../../../src/providers/recorded/recordedPrices.ts';
import { recordedQuotes } from '../../../src/providers/recorded/recordedQuotes.ts';
import { providerContract, type ContractCase, type ProviderScenario } from '../../../src/testing/providerContract.ts';
import { openCall } from '../support/loopbackServer.ts';

const stocks = ['MSFT', 'AMZN', 'IBM', 'GOOG', 'AAPL'];
const scenarios: ProviderScenario[] = ['serves', 'hangs'];
const latencyMs = (scenario: ProviderScenario): number => (scenario === 'hangs' ? 600_000 : 0);
const closed = { [Symbol.asyncDispose]: async () => {} };

const stock = (symbol: string): Asset => ({ symbol, assetType: 'STOCK' });
const range = (symbol: string, startDate: string, endDate: string): MonthlyRange => ({
  ...stock(symbol),
  startDate,
  endDate,
});

const contracts: Record<string, readonly ContractCase[]> = {
  recordedQuotes: providerContract(
    async (scenario) => ({
      provider: recordedQuotes({ latencyMs: latencyMs(scenario) }),
      known: stocks.map(stock),
      unknown: stock('^GSPC'),
      ...closed,
    }),
    { scenarios },
  ),
  recordedMonthly: providerContract(
    async (scenario) => ({
      provider: recordedMonthly({ latencyMs: latencyMs(scenario) }),
      known: stocks.map((symbol) => range(symbol, '2009-01-31', '2009-12-31')),
      unknown: range('__proto__', '2009-01-31', '2009-12-31'),
      ...closed,
    }),
    { scenarios },
  ),
};

describe.each(Object.keys(contracts))('%s keeps the provider contract', (name) => {
  it.each(contracts[name]!)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

/** The rows of a file of vega-datasets, read in another way than the generator does. */
function csv(name: string): string[] {
  const file = new URL(`../../../node_modules/vega-datasets/data/${name}`, import.meta.url);
  return readFileSync(file, 'utf8').trim().split('\n').slice(1);
}

function rowsOf(symbol: string): string[] {
  return (recordedMonths(symbol) ?? []).map(({ date, price }) => {
    const month = new Date(date).toLocaleString('en-US', { month: 'short', timeZone: 'UTC' });
    return `${month} 1 ${date.slice(0, 4)},${price}`;
  });
}

describe('the recorded prices', () => {
  it('are those of vega-datasets, digit for digit', () => {
    const ours = stocks.flatMap((symbol) => rowsOf(symbol).map((row) => `${symbol},${row}`));
    expect(ours).toEqual(csv('stocks.csv'));
    expect(ours).toHaveLength(560);
    expect(rowsOf('^GSPC')).toEqual(csv('sp500.csv'));
  });
});

describe('recordedQuotes', () => {
  it('makes a quote of the last month closes, exactly', async () => {
    const { call } = openCall();
    expect(await recordedQuotes().fetch([stock('MSFT'), stock('GOOG')], call)).toEqual([
      {
        symbol: 'MSFT',
        assetType: 'STOCK',
        price: '28.8',
        change: '0.13',
        percentChange: '0.45344',
        high: '30.34',
        low: '19.84',
      },
      {
        symbol: 'GOOG',
        assetType: 'STOCK',
        price: '560.19',
        change: '33.39',
        percentChange: '6.33827',
        high: '619.98',
        low: '395.97',
      },
    ]);
  });

  it('knows a symbol only as what it is', async () => {
    const { call } = openCall();
    expect(await recordedQuotes().fetch([{ symbol: 'AAPL', assetType: 'CRYPTO' }], call)).toMatchObject([
      { code: 'symbol_unknown' },
    ]);
    expect(await recordedIndexes().fetch([{ symbol: 'AAPL' }], call)).toMatchObject([{ code: 'symbol_unknown' }]);
  });
});

describe('recordedIndexes', () => {
  it('serves the S&P 500 for one credit', async () => {
    const provider = recordedIndexes();
    expect(provider.cost([{ symbol: '^GSPC' }, { symbol: '^NDX' }])).toBe(1);
    expect(await provider.fetch([{ symbol: '^GSPC' }], openCall().call)).toEqual([
      {
        symbol: '^GSPC',
        price: '1140.45',
        priceChange: '35.96',
        percentChange: '3.25580',
        priceHigh: '1140.45',
        priceLow: '872.81',
      },
    ]);
  });
});

describe('recordedMonthly', () => {
  it('has no months before a listing, which is no error', async () => {
    const wanted = [range('GOOG', '2004-01-31', '2004-08-31'), range('GOOG', '1999-01-31', '2003-12-31')];
    expect(await recordedMonthly().fetch(wanted, openCall().call)).toMatchObject([
      { recordCount: 1, prices: [{ date: '2004-08-01', price: '102.37' }] },
      { recordCount: 0, prices: [] },
    ]);
  });
});

it('refuses a wrong latency', () => {
  expect(() => recordedQuotes({ latencyMs: -1 })).toThrow('recordedQuotes: latencyMs: ');
});
