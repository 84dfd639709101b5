import { describe, expect, it } from 'vitest';
import type { AssetType, MonthlyRange } from '../../src/model/records.ts';
import { frankfurterMonthly, type FrankfurterMonthlyOptions } from '../../src/providers/frankfurterMonthly.ts';
import { providerContract, type ProviderScenario } from '../../src/testing/providerContract.ts';
import { fixture, loopbackServer, openCall, replay, type Handler, type Recording } from './support/loopbackServer.ts';

function range(symbol: string, startDate: string, endDate: string, assetType: AssetType = 'FOREX'): MonthlyRange {
  return { symbol, assetType, startDate, endDate };
}

const recorded = (name: string): Recording => fixture('frankfurter', name);

async function ask(
  answer: Recording | Handler,
  ranges: readonly MonthlyRange[],
  options: FrankfurterMonthlyOptions = {},
) {
  await using server = await loopbackServer(answer);
  const provider = frankfurterMonthly({ baseUrl: server.baseUrl, ...options });
  const answers = await provider.fetch(ranges, openCall().call);
  return { answers, urls: server.requests.map(({ url }) => url), cost: provider.cost(ranges) };
}

/** One rate a month, on its second day, in the range asked for. */
const serve: Handler = ({ url, headers }, response) => {
  const query = new URL(url, 'http://x').searchParams;
  const [from, to] = [query.get('from')!, query.get('to')!];
  const dates = Array.from({ length: 12 }, (_, month) => `2026-${String(month + 1).padStart(2, '0')}-02`);
  const base = query.get('base')!;
  const rows = query
    .get('quotes')!
    .split(',')
    .filter((quote) => quote !== 'XXX')
    .flatMap((quote) =>
      dates.filter((date) => date >= from && date <= to).map((date) => ({ date, base, quote, rate: 1.25 })),
    );
  replay({ status: 200, body: rows })({ url, headers }, response);
};

/** Answers about something else, whatever it is asked. */
const serveOther: Recording = { status: 200, body: [{ date: '2026-01-02', base: 'EUR', quote: 'SEK', rate: 11.2 }] };

/** There is no key to refuse. */
const scenarios: Record<Exclude<ProviderScenario, 'unauthorized'>, Recording | Handler> = {
  mismatched: serveOther,
  serves: serve,
  hangs: () => undefined,
  'rate-limited': recorded('too-many-429'),
  down: recorded('bad-gateway-502'),
  malformed: recorded('html-200'),
};

describe('the provider contract', () => {
  const cases = providerContract(
    async (scenario) => {
      const server = await loopbackServer(scenarios[scenario as keyof typeof scenarios]);
      return {
        provider: frankfurterMonthly({ baseUrl: server.baseUrl, maxMonthsPerCall: 3 }),
        known: ['EURUSD', 'EUR/GBP', 'USDJPY'].map((symbol) => range(symbol, '2026-01-31', '2026-06-30')),
        unknown: range('EURXXX', '2026-01-31', '2026-03-31'),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
    { scenarios: Object.keys(scenarios) as ProviderScenario[] },
  );

  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('frankfurterMonthly', () => {
  it('takes the last rate of each month, under its date, and cuts each range out', async () => {
    const { answers, urls, cost } = await ask(recorded('days'), [
      range('EURUSD', '2026-01-01', '2026-01-31'),
      range('EUR/USD', '2026-01-15', '2026-03-10'),
    ]);
    expect(urls).toEqual(['/v2/rates?base=EUR&quotes=USD&from=2025-11-01&to=2026-03-10']);
    expect(cost).toBe(1);
    const [january, february] = [
      { date: '2026-01-30', price: '1.1400' },
      { date: '2026-02-27', price: '1.1810' },
    ];
    expect(answers).toEqual([
      { symbol: 'EURUSD', assetType: 'FOREX', recordCount: 1, prices: [january] },
      { symbol: 'EUR/USD', assetType: 'FOREX', recordCount: 2, prices: [january, february] },
    ]);
  });

  it('takes the averages of the months where they are asked for', async () => {
    const wanted = [range('EURUSD', '2026-01-31', '2026-02-28')];
    const { answers, urls } = await ask(recorded('averages'), wanted, { price: 'average' });
    expect(urls).toEqual(['/v2/rates?base=EUR&quotes=USD&from=2025-11-01&to=2026-02-28&group=month']);
    expect(answers).toMatchObject([{ prices: [{ date: '2026-01-01', price: '1.1502' }, { date: '2026-02-01' }] }]);
  });

  it('asks for a long range in several requests, and pays for each', async () => {
    const wanted = [range('EURUSD', '2026-01-31', '2026-06-30'), range('USDJPY', '2026-05-01', '2026-05-31')];
    const { answers, urls, cost } = await ask(serve, wanted, { maxMonthsPerCall: 3 });
    expect(urls.map((url) => url.replace(/.*base=(...).*from=/, '$1 '))).toEqual([
      'EUR 2025-11-01&to=2026-01-31',
      'EUR 2026-02-01&to=2026-04-30',
      'EUR 2026-05-01&to=2026-06-30',
      'USD 2026-03-01&to=2026-05-31',
    ]);
    expect(cost).toBe(4);
    expect(answers).toMatchObject([{ recordCount: 6 }, { recordCount: 1 }]);
  });

  it('has no months for a known currency without rates in the range', async () => {
    const { answers } = await ask(serve, [range('EURUSD', '2027-01-01', '2027-01-03')]);
    expect(answers).toMatchObject([{ symbol: 'EURUSD', recordCount: 0, prices: [] }]);
  });

  // Issue 10, item 3.
  it.each([
    ['pair', { quote: 'GBP' }, 'asked for EUR/USD, the answer is about EUR/GBP'],
    ['range', { date: '2020-01-31' }, 'asked for EUR/USD, the answer is about EUR/USD in 2020-01'],
  ])('takes no rates of another %s', async (_, other, message) => {
    const body = [{ date: '2026-01-30', base: 'EUR', quote: 'USD', rate: 1.14, ...other }];
    const { answers, urls } = await ask({ status: 200, body }, [range('EURUSD', '2026-01-01', '2026-01-31')]);
    expect(answers).toMatchObject([{ code: 'symbol_mismatch', retryable: false }]);
    expect(String(answers[0])).toContain(message);
    expect(urls).toHaveLength(1);
  });

  it('serves currency pairs only', async () => {
    const { answers, urls } = await ask(serve, [range('AAPL', '2026-01-01', '2026-01-31', 'STOCK')]);
    expect(urls).toEqual([]);
    expect(answers).toMatchObject([{ code: 'asset_type_unknown' }]);
  });

  it.each([
    [{ price: 'open' }, 'price'],
    [{ maxMonthsPerCall: 2 }, 'maxMonthsPerCall'],
    [{ maxMonthsPerCall: 1.5 }, 'maxMonthsPerCall'],
  ])('refuses %j', (options, field) => {
    expect(() => frankfurterMonthly(options as FrankfurterMonthlyOptions)).toThrow(`frankfurterMonthly: ${field}: `);
  });
});
