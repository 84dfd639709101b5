import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../src/model/errors.ts';
import type { AssetType, MonthlyRange } from '../../src/model/records.ts';
import { massiveMonthly, type MassiveOptions } from '../../src/providers/massiveMonthly.ts';
import { providerContract, type ProviderScenario } from '../../src/testing/providerContract.ts';
import { fixture, loopbackServer, openCall, replay, type Handler, type Recording } from './support/loopbackServer.ts';

const apiKey = 'planted-key';
/** 2024-03-20, 08:00 UTC. */
const now = () => Date.UTC(2024, 2, 20, 8);

function range(symbol: string, startDate: string, endDate: string, assetType: AssetType = 'STOCK'): MonthlyRange {
  return { symbol, assetType, startDate, endDate };
}

const recorded = (name: string): Recording => fixture('massive', name);

async function ask(
  answer: Recording | Handler,
  ranges: readonly MonthlyRange[],
  options: Partial<MassiveOptions> = {},
) {
  await using server = await loopbackServer(answer);
  const provider = massiveMonthly({ apiKey, baseUrl: server.baseUrl, now, ...options });
  const answers = await provider.fetch(ranges, openCall().call).catch((error: unknown) => error);
  const error = PipelineError.isInstance(answers) ? answers : undefined;
  const list = error === undefined ? (answers as Awaited<ReturnType<typeof provider.fetch>>) : [];
  for (const told of [error, ...list]) expect(String(told instanceof Error ? told.stack : '')).not.toContain(apiKey);
  const urls = server.requests.map(({ url }) => url);
  return { answers: list, error, urls, requests: server.requests, cost: provider.cost(ranges) };
}

const tickerOf = (url: string): string => decodeURIComponent(url.split('/')[4]!);
const datesOf = (url: string): string => url.split(/[/?]/).slice(8, 10).join(' ');

/** Knows every ticker but NOPE, and its months in the range asked for. */
const serve: Handler = ({ url, headers }, response) => {
  const [from, to] = datesOf(url).split(' ') as [string, string];
  const results = Array.from({ length: 36 }, (_, month) => Date.UTC(2022, month, 1, 5))
    .map((t) => ({ c: 184.4, t }))
    .filter(({ t }) => t >= Date.parse(from) && t < Date.parse(to) + 86_400_000);
  const body = { ticker: tickerOf(url), status: 'OK', resultsCount: results.length, results };
  replay(tickerOf(url) === 'NOPE' ? recorded('nothing-known') : { status: 200, body })({ url, headers }, response);
};

const scenarios: Record<ProviderScenario, Recording | Handler> = {
  mismatched: recorded('other-ticker'),
  serves: serve,
  hangs: () => undefined,
  'rate-limited': recorded('too-many-429'),
  down: recorded('bad-gateway-502'),
  unauthorized: recorded('unknown-key-401'),
  malformed: recorded('html-200'),
};

describe('the provider contract', () => {
  const cases = providerContract(async (scenario) => {
    const server = await loopbackServer(scenarios[scenario]);
    return {
      provider: massiveMonthly({ apiKey, baseUrl: server.baseUrl, now }),
      known: [
        range('AAPL', '2024-01-31', '2024-03-31'),
        range('BTC', '2024-01-31', '2024-03-31', 'CRYPTO'),
        range('EURUSD', '2024-01-31', '2024-03-31', 'FOREX'),
      ],
      unknown: range('NOPE', '2024-01-31', '2024-03-31'),
      secrets: [apiKey],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });

  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('on the wire', () => {
  it('asks for one ticker a request, the key in a header only', async () => {
    const { urls, requests, cost } = await ask(serve, [range('BRK.B', '2024-01-31', '2024-03-20')]);
    expect(urls).toEqual([
      '/v2/aggs/ticker/BRK.B/range/1/month/2024-01-01/2024-03-20?adjusted=true&sort=asc&limit=50000',
    ]);
    expect(requests[0]!.headers.authorization).toBe(`Bearer ${apiKey}`);
    expect(cost).toBe(1);
    expect(massiveMonthly({ apiKey }).maxBatchSize).toBe(1);
  });

  it.each<[string, AssetType, string]>([
    ['AAPL', 'STOCK', 'AAPL'],
    ['BACpA', 'STOCK', 'BACpA'],
    ['BTC', 'CRYPTO', 'X:BTCUSD'],
    ['eth/eur', 'CRYPTO', 'X:ETHEUR'],
    ['X:BTCUSD', 'CRYPTO', 'X:BTCUSD'],
    ['EURUSD', 'FOREX', 'C:EURUSD'],
    ['gbp/usd', 'FOREX', 'C:GBPUSD'],
    ['C:EURUSD', 'FOREX', 'C:EURUSD'],
    ['XAU', 'COMMODITY', 'C:XAUUSD'],
    ['XAG/EUR', 'COMMODITY', 'C:XAGEUR'],
    ['A/B?C', 'STOCK', 'A/B?C'],
  ])('%s, a %s, is asked for as %s', async (symbol, assetType, ticker) => {
    const { urls } = await ask(serve, [range(symbol, '2024-01-31', '2024-03-20', assetType)]);
    expect(urls.map(tickerOf)).toEqual([ticker]);
  });

  it.each<[string, AssetType]>([
    ['A,B', 'STOCK'],
    ['..', 'STOCK'],
    ['', 'STOCK'],
    ['EUR', 'FOREX'],
  ])('never sends %j as a %s', async (symbol, assetType) => {
    const { urls, answers, cost } = await ask(serve, [range(symbol, '2024-01-31', '2024-03-20', assetType)]);
    expect(urls).toEqual([]);
    expect(answers).toMatchObject([{ code: 'symbol_invalid' }]);
    expect(cost).toBe(1);
  });

  it('takes in the last months, so that a ticker without bars in its range is not taken for unknown', async () => {
    const { urls, answers } = await ask(serve, [
      range('NEW', '2010-01-31', '2010-12-31'),
      range('AAPL', '2024-03-20', '2024-03-20'),
      range('NOPE', '2010-01-31', '2010-12-31'),
    ]);
    expect(urls.map(datesOf)).toEqual(['2010-01-01 2024-03-19', '2024-01-01 2024-03-20', '2010-01-01 2024-03-19']);
    expect(answers).toMatchObject([
      { symbol: 'NEW', recordCount: 0, prices: [] },
      { symbol: 'AAPL', recordCount: 1 },
      { code: 'symbol_unknown', message: 'massive: NOPE: unknown ticker, or not traded since 2010-01-31' },
    ]);
  });

  it('asks for a long range in several requests, and pays for each', async () => {
    const { urls, answers, cost } = await ask(serve, [range('AAPL', '2023-01-15', '2023-12-31')], {
      maxMonthsPerCall: 5,
    });
    expect(urls.map(datesOf)).toEqual(['2023-01-01 2023-05-31', '2023-06-01 2023-10-31', '2023-11-01 2023-12-31']);
    expect(cost).toBe(3);
    expect(answers).toMatchObject([{ recordCount: 12 }]);
  });

  it("does not ask for what is before the plan's history", async () => {
    const wanted = [range('AAPL', '2022-02-28', '2024-03-20'), range('AAPL', '2022-03-01', '2024-03-20')];
    const { urls, answers, cost } = await ask(serve, wanted, { historyMonths: 24 });
    expect(urls.map(datesOf)).toEqual(['2022-03-01 2024-03-20']);
    expect(answers).toMatchObject([{ code: 'not_in_plan' }, { recordCount: 25 }]);
    expect(String(answers[0])).toContain("massive: AAPL: the plan's history begins in 2022-03, asked for 2022-02");
    expect(cost).toBe(2);
  });
});

describe('answers', () => {
  it('keep the digits of JSON numbers, and the months of the range', async () => {
    const { answers } = await ask(recorded('months'), [range('AAPL', '2024-01-31', '2024-02-29')]);
    expect(answers).toEqual([
      {
        symbol: 'AAPL',
        assetType: 'STOCK',
        recordCount: 2,
        prices: [
          { date: '2024-01-01', price: '184.4000' },
          { date: '2024-02-01', price: '180.75' },
        ],
      },
    ]);
  });

  it('may be delayed, and hold an exponent', async () => {
    expect((await ask(recorded('delayed'), [range('AAPL', '2024-01-31', '2024-01-31')])).answers).toMatchObject([
      { prices: [{ date: '2024-01-01', price: '184.40' }] },
    ]);
    expect((await ask(recorded('months'), [range('AAPL', '2024-03-01', '2024-03-31')])).answers).toMatchObject([
      { prices: [{ date: '2024-03-01', price: '171.48' }] },
    ]);
  });

  it.each([
    ['midnight UTC, in January', Date.UTC(2024, 0, 1), '2024-01-01'],
    ['midnight in New York, in winter', Date.UTC(2024, 0, 1, 5), '2024-01-01'],
    ['midnight in New York, in summer', Date.UTC(2023, 6, 1, 4), '2023-07-01'],
  ])('have their months by %s', async (_, t, date) => {
    const body = { ticker: 'A', status: 'OK', resultsCount: 1, results: [{ c: 1.5, t }] };
    const { answers } = await ask({ status: 200, body }, [range('A', '2023-01-31', '2024-03-31')]);
    expect(answers).toMatchObject([{ prices: [{ date }] }]);
  });

  it.each([
    [{ c: null, t: 1_704_085_200_000 }, '2024-01-01: c: expected a decimal number, got null'],
    [{ c: -1, t: 1_704_085_200_000 }, 'c: expected no value below zero, got "-1"'],
    [{ c: 1 }, 't: expected a time in milliseconds, got null'],
    [{ c: 1, t: 'soon' }, 't: expected a time in milliseconds, got "soon"'],
    [{ c: 1, t: 1e20 }, 't: expected a time in milliseconds'],
  ])('fail an asset alone with a bar of %j', async (bar, message) => {
    const body = { ticker: 'A', status: 'OK', resultsCount: 1, results: [bar] };
    const { answers } = await ask({ status: 200, body }, [range('A', '2024-01-31', '2024-01-31')]);
    expect(answers).toMatchObject([{ code: 'value_invalid' }]);
    expect(String(answers[0])).toContain(`massive: A: `);
    expect(String(answers[0])).toContain(message);
  });

  it.each([
    ['timeframe-403', 'not_in_plan'],
    ['not-entitled-403', 'not_in_plan'],
    ['not-entitled-200', 'not_in_plan'],
    ['not-found-404', 'symbol_unknown'],
    ['nothing-known', 'symbol_unknown'],
  ])('%s is about the ticker', async (name, code) => {
    const { answers } = await ask(recorded(name), [range('NOPE', '2024-01-31', '2024-01-31')]);
    expect(answers).toMatchObject([{ code, retryable: false }]);
    expect(String(answers[0])).toContain('massive: NOPE: ');
  });
});

// Issue 10, item 3.
describe('answers about something else', () => {
  const bar = { c: 1.5, t: Date.UTC(2024, 0, 1, 5) };
  const wanted = range('BRK.B', '2024-01-31', '2024-03-20');
  const good = { ticker: 'BRK.B', status: 'OK', resultsCount: 1, results: [bar] };

  it.each([
    ['ticker', { ticker: 'BRK.A' }, 'massive: BRK.B: asked for BRK.B, the answer is about BRK.A'],
    ['ticker, without bars', { ticker: 'AAPL', results: [] }, 'about AAPL'],
    [
      'range',
      { results: [{ ...bar, t: Date.UTC(2019, 0, 1, 5) }] },
      'asked for 2024-01 to 2024-03, the answer is about 2019-01',
    ],
    [
      'interval',
      { results: [bar, { ...bar, t: Date.UTC(2024, 0, 2, 5) }] },
      'asked for months, the answer is about 2024-01-01',
    ],
  ])('are of another %s', async (_, other, message) => {
    const { answers, urls } = await ask({ status: 200, body: { ...good, ...other } }, [wanted]);
    expect(answers).toMatchObject([{ code: 'symbol_mismatch', retryable: false }]);
    expect(String(answers[0])).toContain(message);
    expect(urls).toHaveLength(1);
  });

  it.each<[string, AssetType, string]>([
    ['BTC', 'CRYPTO', 'X:ETHUSD'],
    ['BTC', 'CRYPTO', 'X:BTCEUR'],
    ['EUR/USD', 'FOREX', 'C:GBPUSD'],
    ['EUR/USD', 'FOREX', 'EURUSD'],
  ])('%s, a %s, is not %s', async (symbol, assetType, ticker) => {
    const { answers } = await ask({ status: 200, body: { ...good, ticker } }, [{ ...wanted, symbol, assetType }]);
    expect(answers).toMatchObject([{ code: 'symbol_mismatch' }]);
  });

  it.each(['BRK.B', 'brk-b', 'BRK/B'])('are not those of %s', async (ticker) => {
    const { answers } = await ask({ status: 200, body: { ...good, ticker } }, [wanted]);
    expect(answers).toMatchObject([{ symbol: 'BRK.B', recordCount: 1 }]);
  });

  it('name no ticker', async () => {
    const { answers } = await ask({ status: 200, body: { ...good, ticker: undefined } }, [wanted]);
    expect(answers).toMatchObject([{ code: 'response_malformed', retryable: false }]);
    expect(String(answers[0])).toContain('massive: BRK.B: the answer does not name its ticker');
  });

  it.each([
    { status: 'OK', results: null },
    { status: 'OK', results: [] },
    { status: 'OK' },
    { status: 'DELAYED', ticker: 'BRK.B', resultsCount: 0 },
  ])('have no bars: %j is an unknown ticker, paid once', async (body) => {
    const { answers, urls } = await ask({ status: 200, body }, [wanted]);
    expect(answers).toMatchObject([{ code: 'symbol_unknown', retryable: false }]);
    expect(urls).toHaveLength(1);
  });

  it.each([{ status: 'OK', resultsCount: 3 }, { results: 'none', status: 'OK' }, {}])(
    'are no answer: %j, which would be the same again',
    async (body) => {
      const { error, urls } = await ask({ status: 200, body }, [wanted]);
      expect(error).toMatchObject({ code: 'response_malformed', retryable: false });
      expect(urls).toHaveLength(1);
    },
  );
});

describe('refusals of the call', () => {
  it.each([
    ['too-many-429', { code: 'rate_limited', name: 'RateLimitError' }],
    ['too-many-200', { code: 'rate_limited', name: 'RateLimitError' }],
    ['text-429', { code: 'rate_limited', retryAfterMs: 9000 }],
    ['unknown-key-401', { code: 'unauthorized', message: 'massive: HTTP 401: Unknown API Key ***' }],
    ['unknown-key-200', { code: 'unauthorized', retryable: false }],
    ['forbidden-403', { code: 'provider_unavailable', retryable: true }],
    ['bad-date-400', { code: 'provider_rejected', retryable: false }],
    ['wrong-path-404', { code: 'provider_rejected', retryable: false }],
    ['error-200', { code: 'provider_rejected', retryable: false }],
    ['server-error-500', { code: 'provider_unavailable', retryable: true }],
    ['unavailable-503', { code: 'provider_unavailable', retryAfterMs: 7000 }],
    ['html-200', { code: 'response_malformed', retryable: false }],
    ['text-200', { code: 'response_malformed', retryable: false }],
    ['empty-200', { code: 'response_malformed', retryable: true }],
    ['truncated-200', { code: 'response_malformed', retryable: true }],
    ['broken-200', { code: 'response_malformed', retryable: true }],
  ])('%s', async (name, expected) => {
    const { error } = await ask(recorded(name), [range('A', '2024-01-31', '2024-01-31')]);
    expect(error).toMatchObject(expected);
    expect(error!.message).toMatch(/^massive: HTTP \d{3}: /);
  });
});

describe('options', () => {
  it.each([
    [{ apiKey: 'planted-key\n' }, 'apiKey'],
    [{ apiKey, baseUrl: 'https://user:planted-key@host' }, 'baseUrl'],
    [{ apiKey, historyMonths: 0 }, 'historyMonths'],
    [{ apiKey, maxMonthsPerCall: 1613 }, 'maxMonthsPerCall'],
    [{ apiKey, maxResponseBytes: 0 }, 'maxResponseBytes'],
  ])('refuses %j', (options, field) => {
    expect(() => massiveMonthly(options)).toThrow(`massiveMonthly: ${field}: `);
    expect(() => massiveMonthly(options)).not.toThrow(apiKey);
  });
});
