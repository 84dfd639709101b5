import { describe, expect, it } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { PipelineError } from '../../src/model/errors.ts';
import type { Asset, AssetType } from '../../src/model/records.ts';
import { twelveDataQuotes, type TwelveDataOptions } from '../../src/providers/twelveDataQuotes.ts';
import { providerContract, type ProviderScenario } from '../../src/testing/providerContract.ts';
import { fixture, loopbackServer, openCall, replay, type Handler, type Recording } from './support/loopbackServer.ts';

const apiKey = 'planted-key';
/** 2026-11-24, 08:00:20 UTC. */
const nowMs = Date.UTC(2026, 10, 24, 8, 0, 20);

const asset = (symbol: string, assetType: AssetType = 'STOCK'): Asset => ({ symbol, assetType });

const recorded = (name: string): Recording => fixture('twelve-data', name);

/** Asks a server that gives this answer. */
async function ask(answer: Recording | Handler, assets: readonly Asset[], options: Partial<TwelveDataOptions> = {}) {
  await using server = await loopbackServer(answer);
  const provider = twelveDataQuotes({ apiKey, baseUrl: server.baseUrl, now: () => nowMs, ...options });
  const { call, reports } = openCall();
  const answers = await provider.fetch(assets, call).catch((error: unknown) => error);
  const error = PipelineError.isInstance(answers) ? answers : undefined;
  const list = error === undefined ? (answers as Awaited<ReturnType<typeof provider.fetch>>) : [];
  for (const told of [error, ...list]) expect(String(told instanceof Error ? told.stack : '')).not.toContain(apiKey);
  return { answers: list, error, reports, requests: server.requests };
}

/** Answers any symbols as Twelve Data does: one flat, several keyed, NOPE with an error. */
const serve: Handler = ({ url }, response) => {
  const symbols = new URL(url, 'http://x').searchParams.get('symbol')!.split(',');
  const answer = (symbol: string): unknown =>
    symbol === 'NOPE' ? recorded('quote-unknown').body : { ...(recorded('quote-one').body as object), symbol };
  const body =
    symbols.length === 1 ? answer(symbols[0]!) : Object.fromEntries(symbols.map((each) => [each, answer(each)]));
  replay({ status: 200, body })({ url, headers: {} }, response);
};

/** Answers about something else, whatever it is asked. */
const serveOther: Handler = ({ url, headers }, response) => {
  const symbols = new URL(url, 'http://x').searchParams.get('symbol')!.split(',');
  const other = { ...(recorded('quote-one').body as object), symbol: 'BTC/EUR' };
  const body = symbols.length === 1 ? other : Object.fromEntries(symbols.map((each) => [each, other]));
  replay({ status: 200, body })({ url, headers }, response);
};

const scenarios: Record<ProviderScenario, Recording | Handler> = {
  mismatched: serveOther,
  serves: serve,
  hangs: () => undefined,
  'rate-limited': recorded('minute-credits-200'),
  down: recorded('unavailable-503'),
  unauthorized: recorded('unauthorized-200'),
  malformed: recorded('html-200'),
};

describe('the provider contract', () => {
  const cases = providerContract(async (scenario) => {
    const server = await loopbackServer(scenarios[scenario]);
    return {
      provider: twelveDataQuotes({ apiKey, baseUrl: server.baseUrl }),
      known: [asset('AAPL'), asset('BTC', 'CRYPTO'), asset('EURUSD', 'FOREX'), asset('XAU', 'COMMODITY')],
      unknown: asset('NOPE'),
      secrets: [apiKey],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });

  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('on the wire', () => {
  it('asks for many symbols in one request, the key in a header only, each symbol encoded once', async () => {
    const assets = [
      asset('AAPL'),
      asset('BTC', 'CRYPTO'),
      asset('ETH/EUR', 'CRYPTO'),
      asset('EUR/USD', 'FOREX'),
      asset('GBPUSD', 'FOREX'),
      asset('XAU', 'COMMODITY'),
    ];
    const { requests, answers } = await ask(serve, assets);
    expect(requests.map(({ url }) => url)).toEqual([
      '/quote?symbol=AAPL,BTC%2FUSD,ETH%2FEUR,EUR%2FUSD,GBP%2FUSD,XAU%2FUSD',
    ]);
    expect(requests[0]!.headers.authorization).toBe(`apikey ${apiKey}`);
    expect(answers.map((answer) => 'symbol' in answer && [answer.symbol, answer.assetType])).toEqual(
      assets.map(({ symbol, assetType }) => [symbol, assetType]),
    );
  });

  it('fits a batch of 120 into 2 kB', async () => {
    const assets = Array.from({ length: 120 }, (_, index) => asset(`SYM${String(index).padStart(4, '0')}`, 'CRYPTO'));
    const { requests, answers } = await ask(serve, assets);
    expect(requests).toHaveLength(1);
    expect(requests[0]!.url.length).toBeLessThan(2048);
    expect(answers.every((answer) => !PipelineError.isInstance(answer))).toBe(true);
  });

  it('joins base URL and path with one slash', async () => {
    const { requests } = await ask(serve, [asset('AAPL')], { path: 'v9/quote' });
    expect(requests[0]!.url).toBe('/v9/quote?symbol=AAPL');
  });

  it('asks once for assets that are the same to the provider, pays once, and serves both', async () => {
    const assets = [asset('BTC/USD', 'FOREX'), asset('BTC', 'CRYPTO')];
    const { requests, answers } = await ask(serve, assets);
    expect(requests[0]!.url).toBe('/quote?symbol=BTC%2FUSD');
    expect(answers).toMatchObject(assets);
    expect(twelveDataQuotes({ apiKey }).cost(assets)).toBe(1);
  });

  it('does not send what cannot be a symbol', async () => {
    const assets = [asset('A,B'), asset('EUR', 'FOREX'), asset(''), asset('\ud800'), asset('A B')];
    const { requests, answers } = await ask(serve, assets);
    expect(requests).toEqual([]);
    expect(answers.map((answer) => PipelineError.isInstance(answer) && answer.code)).toEqual(
      assets.map(() => 'symbol_invalid'),
    );
    const mixed = await ask(serve, [asset('A,B'), asset('AAPL')]);
    expect(mixed.requests[0]!.url).toBe('/quote?symbol=AAPL');
    expect(mixed.answers[1]).toMatchObject({ symbol: 'AAPL' });
  });

  it('does not take its key to another host', async () => {
    await using other = await loopbackServer(serve);
    const { error } = await ask({ status: 302, headers: { location: `${other.baseUrl}/quote` }, body: '' }, [
      asset('AAPL'),
    ]);
    expect(error).toMatchObject({ code: 'provider_rejected', message: 'twelve-data: HTTP 302: ' });
    expect(other.requests).toEqual([]);
  });
});

describe('answers', () => {
  it('reads one symbol from the flat form, digits kept, and reports the credits', async () => {
    const { answers, reports } = await ask(recorded('quote-one'), [asset('AAPL')]);
    expect(answers).toEqual([
      {
        symbol: 'AAPL',
        assetType: 'STOCK',
        price: '228.34000',
        change: '2.47000',
        percentChange: '1.09355',
        high: '229.12000',
        low: '225.10000',
      },
    ]);
    expect(reports).toEqual([{ used: 3, left: 5 }]);
  });

  it('reads a batch with an error inside', async () => {
    const { answers } = await ask(recorded('quote-batch'), [asset('AAPL'), asset('NOPE'), asset('EURUSD', 'FOREX')]);
    expect(answers).toMatchObject([
      { symbol: 'AAPL', price: '228.34000' },
      { code: 'symbol_unknown', retryable: false },
      { symbol: 'EURUSD', assetType: 'FOREX', price: '1.12570' },
    ]);
    expect(String(answers[1])).toContain('twelve-data: NOPE: HTTP 200, code 404: **symbol** or **figi**');
  });

  it('finds a symbol under a key of another letter case', async () => {
    const { answers } = await ask(recorded('quote-batch'), [asset('aapl'), asset('eur/usd', 'FOREX')]);
    expect(answers).toMatchObject([
      { symbol: 'aapl', price: '228.34000' },
      { symbol: 'eur/usd', price: '1.12570' },
    ]);
  });

  it('names a symbol that is missing from a batch', async () => {
    const { answers } = await ask(recorded('quote-batch'), [asset('AAPL'), asset('LOST'), asset('__proto__')]);
    expect(answers).toMatchObject([{ symbol: 'AAPL' }, { code: 'response_malformed' }, { code: 'response_malformed' }]);
    expect(String(answers[1])).toBe('ProviderError: twelve-data: LOST: not in the answer');
  });

  it('takes one symbol in the keyed form too', async () => {
    const keyed = { status: 200, body: { AAPL: recorded('quote-one').body } };
    const { answers } = await ask(keyed, [asset('AAPL')]);
    expect(answers).toMatchObject([{ price: '228.34000' }]);
  });

  it('keeps the digits of prices that come as numbers', async () => {
    const body =
      '{"symbol":"AAPL","close":1234567890123.456789,"change":-0.10,"percent_change":1e-7,"high":2.50,"low":"1"}';
    const { answers } = await ask({ status: 200, body }, [asset('AAPL')]);
    expect(answers).toMatchObject([
      { price: '1234567890123.456789', change: '-0.10', percentChange: '0.0000001', high: '2.50', low: '1' },
    ]);
  });

  it.each([
    ['close', 'NaN'],
    ['close', null],
    ['close', ''],
    ['close', '-1.00'],
    ['close', undefined],
    ['high', 'Infinity'],
    ['low', '-0.01'],
    ['change', undefined],
    ['percent_change', null],
    ['close', { a: 1 }],
  ])('fails a symbol alone whose %s is %j', async (field, value) => {
    const good = (recorded('quote-batch').body as Record<string, object>)['AAPL'];
    const bad = { ...good, symbol: 'BAD', [field]: value };
    const { answers } = await ask({ status: 200, body: { AAPL: good, BAD: bad } }, [asset('BAD'), asset('AAPL')]);
    expect(answers).toMatchObject([
      { code: 'value_invalid', retryable: false },
      { symbol: 'AAPL', price: '228.34000' },
    ]);
    expect(String(answers[0])).toContain(`twelve-data: BAD: ${field}: expected`);
  });

  it('passes on a price that only a column can refuse', async () => {
    const good = recorded('quote-one').body as object;
    const { answers } = await ask({ status: 200, body: { ...good, close: '1e30' } }, [asset('AAPL')]);
    expect(answers).toMatchObject([{ price: `1${'0'.repeat(30)}` }]);
  });
});

// Issue 10, item 3.
describe('answers about something else', () => {
  const quote = recorded('quote-one').body as object;
  const serveBody = (body: unknown) => ({ status: 200, body });
  const mismatch = { code: 'symbol_mismatch', retryable: false };

  it.each([
    ['another ticker', quote, asset('MSFT'), 'twelve-data: MSFT: asked for MSFT, the answer is about AAPL'],
    ['another quote currency', { ...quote, symbol: 'BTC/EUR' }, asset('BTC', 'CRYPTO'), 'asked for BTC/USD'],
    ['another base currency', { ...quote, symbol: 'GBP/USD' }, asset('EURUSD', 'FOREX'), 'about GBP/USD'],
    ['another share class', { ...quote, symbol: 'BRK.A' }, asset('BRK.B'), 'about BRK.A'],
    ['the key of another', { MSFT: { ...quote, symbol: 'MSFT' } }, asset('AAPL'), 'about MSFT'],
    ['a name that is no text', { ...quote, symbol: 7 }, asset('AAPL'), 'about 7'],
  ])('%s', async (_, body, wanted, message) => {
    const { answers, requests } = await ask(serveBody(body), [wanted]);
    expect(answers).toMatchObject([mismatch]);
    expect(String(answers[0])).toContain(message);
    expect(requests).toHaveLength(1);
  });

  it('in a batch fail the symbol alone', async () => {
    const body = { AAPL: quote, MSFT: quote };
    const { answers, requests } = await ask(serveBody(body), [asset('AAPL'), asset('MSFT')]);
    expect(answers).toMatchObject([{ symbol: 'AAPL', price: '228.34000' }, mismatch]);
    expect(requests).toHaveLength(1);
  });

  it.each([
    ['aapl', 'AAPL'],
    ['BRK.B', 'BRK-B'],
    ['BRK/B', 'BRK.B'],
    ['TSCO:LSE', 'TSCO'],
    ['TSCO', 'TSCO:LSE'],
  ])('are not those for %s that name %s', async (symbol, named) => {
    const { answers } = await ask(serveBody({ ...quote, symbol: named }), [asset(symbol)]);
    expect(answers).toMatchObject([{ symbol, price: '228.34000' }]);
  });

  it('are not those under the key of a batch without its exchange', async () => {
    const body = { TSCO: { ...quote, symbol: 'TSCO' }, AAPL: quote };
    const { answers } = await ask(serveBody(body), [asset('TSCO:LSE'), asset('AAPL')]);
    expect(answers).toMatchObject([{ symbol: 'TSCO:LSE' }, { symbol: 'AAPL' }]);
  });

  it('serve none of several when they name no symbol, and the one they name where they do', async () => {
    const both = [asset('AAPL'), asset('MSFT')];
    expect((await ask(serveBody(quote), both)).answers).toMatchObject([
      { symbol: 'AAPL' },
      { code: 'response_malformed', message: 'twelve-data: MSFT: not in the answer' },
    ]);
    const unnamed = { ...quote, symbol: undefined };
    expect((await ask(serveBody(unnamed), both)).answers).toMatchObject([
      { code: 'response_malformed', retryable: false },
      { code: 'response_malformed', retryable: false },
    ]);
    expect((await ask(serveBody(unnamed), both.slice(0, 1))).answers).toMatchObject([
      { code: 'response_malformed', message: 'twelve-data: AAPL: the answer does not name its symbol' },
    ]);
  });
});

describe('refusals of the call', () => {
  const minute = { code: 'rate_limited', name: 'RateLimitError', retryable: true, retryAfterMs: 40_250 };
  const day = { code: 'quota_exhausted', retryable: false, retryAfterMs: (15 * 3600 + 59 * 60 + 40) * 1000 };

  it.each([
    ['minute-credits-200', minute],
    ['minute-credits-429', minute],
    ['text-429', { ...minute, retryAfterMs: 9000 }],
    ['day-credits-200', day],
    ['day-credits-429', day],
    ['unauthorized-200', { code: 'unauthorized', retryable: false }],
    ['unauthorized-401', { code: 'unauthorized', retryable: false }],
    ['forbidden-403', { code: 'unauthorized', retryable: false }],
    ['too-long-414', { code: 'provider_rejected', retryable: false }],
    ['server-error-500', { code: 'provider_unavailable', retryable: true }],
    ['bad-gateway-502', { code: 'provider_unavailable', retryable: true }],
    ['unavailable-503', { code: 'provider_unavailable', retryable: true, retryAfterMs: 7000 }],
    ['html-200', { code: 'response_malformed', retryable: false }],
    ['text-200', { code: 'response_malformed', retryable: false }],
    ['empty-200', { code: 'response_malformed', retryable: true }],
    ['truncated-200', { code: 'response_malformed', retryable: true }],
    ['not-in-plan-403', { code: 'not_in_plan', retryable: false }],
    // Which symbol is meant is not said: none of them may be taken for unknown.
    ['quote-unknown', { code: 'provider_rejected', retryable: false }],
  ])('%s', async (name, expected) => {
    const { error } = await ask(recorded(name), [asset('AAPL'), asset('MSFT')]);
    expect(error).toMatchObject(expected);
    expect(error!.message).toMatch(/^twelve-data: HTTP \d{3}/);
    expect(error!.message.length).toBeLessThan(300);
  });

  it('reports the credits of a refusal too', async () => {
    const { reports } = await ask(recorded('minute-credits-200'), [asset('AAPL')]);
    expect(reports).toEqual([{ used: 12, left: 0 }]);
  });

  it('shows status and words, with the key blotted out', async () => {
    const { error } = await ask(recorded('unauthorized-200'), [asset('AAPL')]);
    expect(error!.message).toMatch(/^twelve-data: HTTP 200, code 401: .*not specified: \*\*\*\. You can get/);
  });

  it.each([
    ['quote-unknown', 'symbol_unknown'],
    ['quote-unknown-400', 'symbol_unknown'],
    ['not-in-plan-404', 'not_in_plan'],
    ['not-in-plan-403', 'not_in_plan'],
  ])('%s is about the symbol when only one was asked for', async (name, code) => {
    const { answers } = await ask(recorded(name), [asset('NOPE')]);
    expect(answers).toMatchObject([{ code, retryable: false }]);
  });

  it('is recognized when it stands under every symbol of a batch', async () => {
    const refused = recorded('minute-credits-200').body;
    const all = await ask({ status: 200, body: { A: refused, B: refused } }, [asset('A'), asset('B')]);
    expect(all.error).toMatchObject(minute);
    const good = { ...(recorded('quote-batch').body as Record<string, object>)['AAPL'], symbol: 'A' };
    const some = await ask({ status: 200, body: { A: good, B: refused } }, [asset('A'), asset('B')]);
    expect(some.answers).toMatchObject([{ symbol: 'A' }, minute]);
  });

  it('is a body that is no JSON inside', async () => {
    const { error } = await ask({ status: 200, body: `{"AAPL" ${apiKey} }` }, [asset('AAPL')]);
    expect(error).toMatchObject({ code: 'response_malformed', retryable: true });
    expect(error!.cause).toBeUndefined();
    expect(error!.message).toBe('twelve-data: HTTP 200: no valid JSON: {"AAPL" *** }');
  });

  it('is a body of 50 MB, whose connection is dropped', async () => {
    let sent = 0;
    const endless: Handler = (_, response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(1 << 20, ' ');
      const send = (): void => {
        while (!response.destroyed && sent < 50) {
          sent += 1;
          if (!response.write(chunk)) {
            response.once('drain', send);
            return;
          }
        }
        response.end();
      };
      send();
    };
    const { error } = await ask(endless, [asset('AAPL')]);
    expect(error).toMatchObject({ code: 'response_too_large', retryable: false });
    expect(error!.message).toBe('twelve-data: HTTP 200: response longer than 4194304 bytes');
    expect(sent).toBeLessThan(50);
  });

  it('is a server that is not there', async () => {
    const server = await loopbackServer(serve);
    await server[Symbol.asyncDispose]();
    const provider = twelveDataQuotes({ apiKey, baseUrl: server.baseUrl });
    await expect(provider.fetch([asset('AAPL')], openCall().call)).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
      message: 'twelve-data: no answer: ECONNREFUSED',
    });
  });
});

// Issue 10, item 6.
describe('a 401 with the page of a load balancer', () => {
  it('passes: the next request is served, and so is this one by its retries', async () => {
    let isLost = true;
    const lost: Recording = {
      status: 401,
      headers: { 'content-type': 'text/html' },
      body: '<html><head><title>401 Authorization Required</title></head></html>',
    };
    await using server = await loopbackServer((request, response) => {
      const answer = isLost ? replay(lost) : serve;
      isLost = server.requests.length < 2;
      answer(request, response);
    });
    const provider = twelveDataQuotes({ apiKey, baseUrl: server.baseUrl });
    const { signal } = new AbortController();
    const open = (maxRetries: number) =>
      limited(provider, creditLimiter({ credits: Infinity }), { maxRetries, random: () => 0 });
    const fetcher = open(0);
    const [first] = await fetcher.fetch([asset('AAPL')], { signal });
    expect(first).toMatchObject({ status: 'failed', error: { code: 'provider_unavailable', retryable: true } });
    isLost = false;
    expect(await fetcher.fetch([asset('AAPL')], { signal })).toMatchObject([{ status: 'ok' }]);
    isLost = true;
    expect(await open(1).fetch([asset('AAPL')], { signal })).toMatchObject([{ status: 'ok' }]);
    expect(server.requests).toHaveLength(4);
  });
});

describe('options', () => {
  it.each([
    [{ apiKey: '' }, 'apiKey'],
    [{ apiKey: 'planted-key\n' }, 'apiKey'],
    [{ apiKey, baseUrl: 'https://user:planted-key@host' }, 'baseUrl'],
    [{ apiKey, baseUrl: 'ftp://host' }, 'baseUrl'],
    [{ apiKey, maxBatchSize: 121 }, 'maxBatchSize'],
    [{ apiKey, maxResponseBytes: 0 }, 'maxResponseBytes'],
  ])('refuses %j', (options, field) => {
    expect(() => twelveDataQuotes(options)).toThrow(`twelveDataQuotes: ${field}: `);
    expect(() => twelveDataQuotes(options)).not.toThrow(apiKey);
  });

  it('looks the global fetch up when it calls', async () => {
    const provider = twelveDataQuotes({ apiKey });
    const real = globalThis.fetch;
    try {
      globalThis.fetch = async (input) =>
        new Response(JSON.stringify({ ...(recorded('quote-one').body as object), open: input }));
      expect(await provider.fetch([asset('AAPL')], openCall().call)).toMatchObject([{ price: '228.34000' }]);
    } finally {
      globalThis.fetch = real;
    }
  });
});
