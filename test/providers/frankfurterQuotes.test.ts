import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../src/model/errors.ts';
import type { Asset, AssetType } from '../../src/model/records.ts';
import type { FrankfurterOptions } from '../../src/providers/frankfurter/frankfurterOptions.ts';
import { frankfurterQuotes } from '../../src/providers/frankfurterQuotes.ts';
import { providerContract, type ProviderScenario } from '../../src/testing/providerContract.ts';
import { fixture, loopbackServer, openCall, replay, type Handler, type Recording } from './support/loopbackServer.ts';

/** 2026-07-18, a Saturday. */
const now = () => Date.UTC(2026, 6, 18, 8);

const asset = (symbol: string, assetType: AssetType = 'FOREX'): Asset => ({ symbol, assetType });

const recorded = (name: string): Recording => fixture('frankfurter', name);

async function ask(answer: Recording | Handler, assets: readonly Asset[], options: FrankfurterOptions = {}) {
  await using server = await loopbackServer(answer);
  const provider = frankfurterQuotes({ baseUrl: server.baseUrl, now, ...options });
  const answers = await provider.fetch(assets, openCall().call).catch((error: unknown) => error);
  const error = PipelineError.isInstance(answers) ? answers : undefined;
  const list = error === undefined ? (answers as Awaited<ReturnType<typeof provider.fetch>>) : [];
  return { answers: list, error, urls: server.requests.map(({ url }) => url), requests: server.requests };
}

/** Answers any currencies as Frankfurter does: NOP is refused by name, XXX left out. */
const serve: Handler = ({ url, headers }, response) => {
  const query = new URL(url, 'http://x').searchParams;
  const [base, quotes] = [query.get('base')!, query.get('quotes')!.split(',')];
  if ([base, ...quotes].includes('NOP')) {
    replay(recorded('unknown-quote-422'))({ url, headers }, response);
    return;
  }
  const rows = quotes
    .filter((quote) => quote !== 'XXX')
    .flatMap((quote) => ['2026-07-16', '2026-07-17'].map((date) => ({ date, base, quote, rate: 1.25 })));
  replay({ status: 200, body: rows })({ url, headers }, response);
};

/** Answers about something else, whatever it is asked. */
const serveOther: Recording = {
  status: 200,
  body: ['2026-07-16', '2026-07-17'].map((date) => ({ date, base: 'USD', quote: 'SEK', rate: 10.5 })),
};

/** There is no key to refuse. */
const scenarios: Record<Exclude<ProviderScenario, 'unauthorized'>, Recording | Handler> = {
  mismatched: serveOther,
  serves: serve,
  hangs: () => undefined,
  'rate-limited': recorded('too-many-429'),
  down: recorded('bad-gateway-502'),
  malformed: recorded('html-200'),
};

describe.each(['USD/NOP', 'NOPUSD', 'USD/XXX'])('the provider contract, with %s as unknown', (unknown) => {
  const cases = providerContract(
    async (scenario) => {
      const server = await loopbackServer(scenarios[scenario as keyof typeof scenarios]);
      return {
        provider: frankfurterQuotes({ baseUrl: server.baseUrl }),
        known: [asset('EUR/USD'), asset('USDGBP'), asset('USD/JPY'), asset('eurchf')],
        unknown: asset(unknown),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
    { scenarios: Object.keys(scenarios) as ProviderScenario[] },
  );

  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('on the wire', () => {
  it('asks for all pairs of one base currency in one request, from two weeks back, without a key', async () => {
    const assets = ['EUR/USD', 'USDGBP', 'EURJPY', 'eur/usd'].map((symbol) => asset(symbol));
    const { urls, requests, answers } = await ask(serve, assets);
    expect(urls).toEqual([
      '/v2/rates?base=EUR&quotes=USD,JPY&from=2026-07-04',
      '/v2/rates?base=USD&quotes=GBP&from=2026-07-04',
    ]);
    expect(requests[0]!.headers.authorization).toBeUndefined();
    expect(answers).toMatchObject(assets);
  });

  it('costs one credit per base currency', () => {
    const { cost } = frankfurterQuotes();
    expect(cost([asset('EUR/USD'), asset('EURGBP'), asset('USD/JPY')])).toBe(2);
    expect(cost([asset('AAPL', 'STOCK')])).toBe(1);
    expect(cost([asset('AAPL', 'STOCK'), asset('EUR/USD')])).toBe(1);
  });

  it('can take the rates of one central bank', async () => {
    const { urls } = await ask(serve, [asset('EUR/USD')], { sources: ['ECB', 'BOC'] });
    expect(urls).toEqual(['/v2/rates?base=EUR&quotes=USD&from=2026-07-04&providers=ECB%2CBOC']);
  });

  it('never asks for what is no pair of currencies', async () => {
    const assets = [
      asset('AAPL', 'STOCK'),
      asset('BTC/USD', 'CRYPTO'),
      asset('EUR'),
      asset('EUR/USDT'),
      asset('E,RUSD'),
    ];
    const { urls, answers } = await ask(serve, assets);
    expect(urls).toEqual([]);
    expect(answers.map((answer) => PipelineError.isInstance(answer) && answer.code)).toEqual([
      'asset_type_unknown',
      'asset_type_unknown',
      'symbol_invalid',
      'symbol_invalid',
      'symbol_invalid',
    ]);
    expect(String(answers[0])).toContain('frankfurter: AAPL: only currency pairs (FOREX) are served, this is STOCK');
  });

  it('asks again without a currency that refused the request by its name, once', async () => {
    const { urls, answers } = await ask(serve, [asset('EUR/NOP'), asset('EUR/USD')]);
    expect(urls.map((url) => new URL(url, 'http://x').searchParams.get('quotes'))).toEqual(['NOP,USD', 'USD']);
    expect(answers).toMatchObject([{ code: 'symbol_unknown' }, { symbol: 'EUR/USD' }]);
  });

  it('goes on with the other base currencies when one is unknown', async () => {
    const { urls, answers } = await ask(serve, [asset('NOPUSD'), asset('EUR/USD')]);
    expect(urls).toHaveLength(2);
    expect(answers).toMatchObject([{ code: 'symbol_unknown' }, { symbol: 'EUR/USD' }]);
  });
});

describe('answers', () => {
  it('are the last rate and its change from the one before, in whatever order, digits kept', async () => {
    const { answers } = await ask(recorded('quotes'), [asset('EUR/USD'), asset('EURGBP')]);
    expect(answers).toEqual([
      {
        symbol: 'EUR/USD',
        assetType: 'FOREX',
        price: '1.144300',
        change: '0.000000',
        percentChange: '0.00000',
        high: '1.144300',
        low: '1.144300',
      },
      {
        symbol: 'EURGBP',
        assetType: 'FOREX',
        price: '0.8596',
        change: '-0.0005',
        percentChange: '-0.05813',
        high: '0.8596',
        low: '0.8596',
      },
    ]);
  });

  // Issue 10, item 3.
  it.each([
    ['quote currency', 'USD/EUR', { base: 'USD', quote: 'GBP' }, 'asked for USD/EUR, the answer is about USD/GBP'],
    ['base currency', 'USD/EUR', { base: 'GBP', quote: 'EUR' }, 'asked for USD/EUR, the answer is about GBP/EUR'],
    ['pair, the other way round', 'USD/EUR', { base: 'EUR', quote: 'USD' }, 'the answer is about EUR/USD'],
  ])('are not taken from rates of another %s', async (_, symbol, pair, message) => {
    const body = ['2026-07-16', '2026-07-17'].map((date) => ({ date, ...pair, rate: 0.7512 }));
    const { answers, urls } = await ask({ status: 200, body }, [asset(symbol)]);
    expect(answers).toMatchObject([{ code: 'symbol_mismatch', retryable: false }]);
    expect(String(answers[0])).toContain(`frankfurter: ${symbol}: `);
    expect(String(answers[0])).toContain(message);
    expect(urls).toHaveLength(1);
  });

  // Issue 10, item 3.
  it('are taken from rates of the pair, whatever else is there, in whatever letter case', async () => {
    const rates = (quote: string) =>
      ['2026-07-16', '2026-07-17'].map((date) => ({ date, base: 'usd', quote, rate: 0.7512 }));
    const body = [...rates('eur'), ...rates('SEK')];
    const { answers } = await ask({ status: 200, body }, [asset('USD/EUR'), asset('USDJPY')]);
    expect(answers).toMatchObject([{ symbol: 'USD/EUR', price: '0.7512' }, { code: 'symbol_mismatch' }]);
  });

  // Issue 10, item 3.
  it('are not taken from rates that do not name their pair', async () => {
    const body = ['2026-07-16', '2026-07-17'].map((date) => ({ date, rate: 0.7512 }));
    const { answers } = await ask({ status: 200, body }, [asset('USD/EUR')]);
    expect(answers).toMatchObject([{ code: 'response_malformed', retryable: false }]);
    expect(String(answers[0])).toContain('frankfurter: USD/EUR: the answer does not name its pair');
  });

  // Issue 10, item 3.
  it('know none of the currencies when there is no list', async () => {
    const { answers, urls } = await ask({ status: 200, body: 'null' }, [asset('EUR/USD')]);
    expect(answers).toMatchObject([{ code: 'symbol_unknown', retryable: false }]);
    expect(urls).toHaveLength(1);
  });

  it('know none of the currencies when the list is empty', async () => {
    const { answers } = await ask(recorded('nothing-known'), [asset('EUR/USD')]);
    expect(answers).toMatchObject([{ code: 'symbol_unknown', retryable: false }]);
  });

  const row = { date: '2026-07-17', base: 'EUR', quote: 'BAD', rate: 1.5 };

  it.each([
    [[row], 'no change to tell'],
    [[{ ...row, date: '2026-07-16', rate: 0 }, row], 'no change to tell'],
    [[row, { ...row, rate: null }], '2026-07-17: rate: expected a decimal number, got null'],
    [[row, { ...row, rate: -1 }], '2026-07-17: rate: expected no value below zero, got "-1"'],
    [[row, { ...row, rate: 'NaN' }], 'rate: expected a decimal number, got "NaN"'],
    [[row, { ...row, date: '2026-02-30' }], 'date: expected a date, got "2026-02-30"'],
    [[row, { ...row, date: undefined }], 'date: expected a date, got null'],
  ])('fail a pair alone: %j', async (rows, message) => {
    const good = ['2026-07-16', '2026-07-17'].map((date) => ({ ...row, date, quote: 'USD' }));
    const body = [...rows, ...good, 'rubbish', { date: 1 }];
    const { answers } = await ask({ status: 200, body }, [asset('EURBAD'), asset('EURUSD')]);
    expect(answers).toMatchObject([{ code: 'value_invalid' }, { symbol: 'EURUSD', price: '1.5' }]);
    expect(String(answers[0])).toContain('frankfurter: EURBAD: ');
    expect(String(answers[0])).toContain(message);
  });
});

describe('refusals of the call', () => {
  it.each([
    ['too-many-429', { code: 'rate_limited', name: 'RateLimitError', retryAfterMs: 20_000 }],
    ['too-many-200', { code: 'rate_limited', name: 'RateLimitError' }],
    ['text-429', { code: 'rate_limited', name: 'RateLimitError' }],
    ['forbidden-403', { code: 'provider_unavailable', retryable: true }],
    ['conflicting-422', { code: 'provider_rejected', retryable: false }],
    // Which currency is meant is not said: none may be taken for unknown.
    ['unknown-unnamed-422', { code: 'provider_rejected', retryable: false }],
    ['not-found-404', { code: 'provider_rejected', retryable: false }],
    ['message-200', { code: 'provider_rejected', retryable: false }],
    ['server-error-500', { code: 'provider_unavailable', retryable: true }],
    ['unavailable-503', { code: 'provider_unavailable', retryAfterMs: 7000 }],
    ['html-200', { code: 'response_malformed', retryable: false }],
    ['empty-200', { code: 'response_malformed', retryable: true }],
    ['truncated-200', { code: 'response_malformed', retryable: true }],
    ['broken-200', { code: 'response_malformed', retryable: true }],
  ])('%s', async (name, expected) => {
    const { error, urls } = await ask(recorded(name), [asset('EUR/USD'), asset('EUR/GBP')]);
    expect(error).toMatchObject(expected);
    expect(error!.message).toMatch(/^frankfurter: (?:HTTP \d{3}|too many)/);
    expect(urls).toHaveLength(1);
  });
});

describe('options', () => {
  it.each([
    [{ baseUrl: 'ftp://host' }, 'baseUrl'],
    [{ sources: ['ECB&base=USD'] }, 'sources.0'],
    [{ sources: [] }, 'sources'],
    [{ maxBatchSize: 201 }, 'maxBatchSize'],
    [{ maxResponseBytes: 0 }, 'maxResponseBytes'],
  ])('refuses %j', (options, field) => {
    expect(() => frankfurterQuotes(options)).toThrow(`frankfurterQuotes: ${field}: `);
  });
});
