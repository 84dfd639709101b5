import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../src/model/errors.ts';
import { yahooRapidApiIndexes, type YahooRapidApiOptions } from '../../src/providers/yahooRapidApiIndexes.ts';
import { providerContract, type ProviderScenario } from '../../src/testing/providerContract.ts';
import { fixture, loopbackServer, openCall, replay, type Handler, type Recording } from './support/loopbackServer.ts';

const apiKey = 'planted-key';
const resetMs = 2_163_603_000;

const recorded = (name: string): Recording => fixture('yahoo-rapidapi', name);

async function ask(
  answer: Recording | Handler,
  symbols: readonly string[],
  options: Partial<YahooRapidApiOptions> = {},
) {
  await using server = await loopbackServer(answer);
  const provider = yahooRapidApiIndexes({ apiKey, host: 'yahoo.test', baseUrl: server.baseUrl, ...options });
  const { call, reports } = openCall();
  const answers = await provider
    .fetch(
      symbols.map((symbol) => ({ symbol })),
      call,
    )
    .catch((error: unknown) => error);
  const error = PipelineError.isInstance(answers) ? answers : undefined;
  expect(String(error?.stack)).not.toContain(apiKey);
  const list = error === undefined ? (answers as Awaited<ReturnType<typeof provider.fetch>>) : [];
  return { answers: list, error, reports, requests: server.requests };
}

/** The records of the recorded answer; their numbers as JavaScript reads them. */
function records(): readonly object[] {
  const body = JSON.parse(recorded('quotes').body as string) as { quoteResponse: { result: object[] } };
  return body.quoteResponse.result;
}

const serve: Handler = ({ url }, response) => {
  const symbols = new URL(url, 'http://x').searchParams.get('symbols')!.split(',');
  const [record] = records();
  const result = symbols.filter((symbol) => symbol !== 'NOPE').map((symbol) => ({ ...record, symbol }));
  replay({ status: 200, body: { quoteResponse: { result: result.reverse(), error: null } } })(
    { url, headers: {} },
    response,
  );
};

/** Answers about something else, whatever it is asked. */
const serveOther: Recording = {
  status: 200,
  body: { quoteResponse: { result: [{ ...records()[0], symbol: '^N225' }], error: null } },
};

const scenarios: Record<ProviderScenario, Recording | Handler> = {
  mismatched: serveOther,
  serves: serve,
  hangs: () => undefined,
  'rate-limited': recorded('per-second-429'),
  down: recorded('bad-gateway-502'),
  unauthorized: recorded('not-subscribed-403'),
  malformed: recorded('html-200'),
};

describe('the provider contract', () => {
  const cases = providerContract(async (scenario) => {
    const server = await loopbackServer(scenarios[scenario]);
    return {
      provider: yahooRapidApiIndexes({ apiKey, host: server.baseUrl }),
      known: ['^GSPC', '^NDX', 'GC=F', 'CL=F'].map((symbol) => ({ symbol })),
      unknown: { symbol: 'NOPE' },
      secrets: [apiKey],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });

  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('on the wire', () => {
  it('asks for many symbols in one request, each encoded once, key and host in headers', async () => {
    const { requests } = await ask(serve, ['^GSPC', 'GC=F', '^GSPC']);
    expect(requests.map(({ url }) => url)).toEqual(['/market/v2/get-quotes?region=US&symbols=%5EGSPC,GC%3DF']);
    expect(requests[0]!.headers).toMatchObject({ 'x-rapidapi-key': apiKey, 'x-rapidapi-host': 'yahoo.test' });
  });

  it('makes the address of the host, and the header of its name', async () => {
    await using server = await loopbackServer(serve);
    const provider = yahooRapidApiIndexes({ apiKey, host: server.baseUrl, path: 'quotes' });
    await provider.fetch([{ symbol: '^GSPC' }], openCall().call);
    expect(server.requests[0]!.url).toBe('/quotes?region=US&symbols=%5EGSPC');
    expect(server.requests[0]!.headers['x-rapidapi-host']).toBe(server.baseUrl.slice('http://'.length));
  });

  it('costs one call, however many symbols', () => {
    const provider = yahooRapidApiIndexes({ apiKey, host: 'yahoo.test' });
    expect(provider.cost(Array.from({ length: 50 }, (_, index) => ({ symbol: `^I${index}` })))).toBe(1);
    expect(provider.maxBatchSize).toBe(50);
  });

  it('does not send what cannot be a symbol', async () => {
    const { requests, answers } = await ask(serve, ['A,B', '']);
    expect(requests).toEqual([]);
    expect(answers).toMatchObject([{ code: 'symbol_invalid' }, { code: 'symbol_invalid' }]);
  });
});

describe('answers', () => {
  it('keeps the digits of JSON numbers, and names what is unknown', async () => {
    const { answers, reports } = await ask(recorded('quotes'), ['GC=F', '^gspc', 'XONE', 'ABSENT']);
    expect(answers).toMatchObject([
      {
        symbol: 'GC=F',
        price: '123456789012345.6789',
        priceChange: '-15',
        percentChange: '-0.0000001',
        priceHigh: '2024.9',
        priceLow: '2000.00',
      },
      {
        symbol: '^gspc',
        price: '4099.380',
        priceChange: '38.159912',
        percentChange: '0.9396169',
        priceHigh: '4099.43',
      },
      { code: 'symbol_unknown' },
      { code: 'symbol_unknown' },
    ]);
    expect(String(answers[3])).toBe('ProviderError: yahoo-rapidapi: ABSENT: unknown symbol');
    expect(reports).toEqual([{ used: 88, left: 412, resetMs }]);
  });

  it('knows none of the symbols when the list is empty', async () => {
    const { answers } = await ask(recorded('nothing-known'), ['^GSPC', 'GC=F']);
    expect(answers).toMatchObject([{ code: 'symbol_unknown' }, { code: 'symbol_unknown' }]);
  });

  it.each([
    ['regularMarketPrice', null],
    ['regularMarketPrice', 'NaN'],
    ['regularMarketPrice', -1],
    ['regularMarketDayHigh', undefined],
    ['regularMarketChange', ''],
  ])('fails an index alone whose %s is %j', async (field, value) => {
    const result = records();
    const body = {
      quoteResponse: { result: [{ ...result[0], symbol: 'BAD', [field]: value }, result[0]], error: null },
    };
    const { answers } = await ask({ status: 200, body }, ['BAD', '^GSPC']);
    expect(answers).toMatchObject([{ code: 'value_invalid' }, { symbol: '^GSPC' }]);
    expect(String(answers[0])).toContain(`yahoo-rapidapi: BAD: ${field}: expected`);
  });
});

// Issue 10, item 3.
describe('answers about something else', () => {
  const found = (...named: unknown[]) => ({
    status: 200,
    body: { quoteResponse: { result: named.map((symbol) => ({ ...records()[0], symbol })), error: null } },
  });
  const mismatch = { code: 'symbol_mismatch', retryable: false };

  it('are those for another symbol', async () => {
    const { answers, requests } = await ask(found('^DJI'), ['^GSPC']);
    expect(answers).toMatchObject([mismatch]);
    expect(String(answers[0])).toContain('yahoo-rapidapi: ^GSPC: asked for ^GSPC, the answer is about ^DJI');
    expect(requests).toHaveLength(1);
  });

  it('are those for another listing or share class', async () => {
    expect((await ask(found('000001.SZ'), ['000001.SS'])).answers).toMatchObject([mismatch]);
    expect((await ask(found('BRK-A'), ['BRK-B'])).answers).toMatchObject([mismatch]);
  });

  it('stand in the place of one symbol and leave the others alone', async () => {
    const { answers } = await ask(found('^GSPC', '^DJI'), ['^NDX', '^GSPC']);
    expect(answers).toMatchObject([mismatch, { symbol: '^GSPC', price: '4099.38' }]);
  });

  it.each([
    ['BRK.B', 'BRK-B'],
    ['^gspc', '^GSPC'],
    ['DX-Y.NYB', 'DX-Y'],
  ])('are not those for %s that name %s', async (symbol, named) => {
    expect((await ask(found(named), [symbol])).answers).toMatchObject([{ symbol, price: '4099.38' }]);
  });

  it('name no symbol', async () => {
    const { answers } = await ask(found(null), ['^GSPC']);
    expect(answers).toMatchObject([{ code: 'response_malformed', retryable: false }]);
    expect(String(answers[0])).toContain('yahoo-rapidapi: ^GSPC: the answer does not name its symbol');
  });

  it.each([{ quoteResponse: { result: null, error: null } }, { quoteResponse: { result: [] } }, { quoteResponse: {} }])(
    'are none: %j is an unknown symbol, paid once',
    async (body) => {
      const { answers, requests } = await ask({ status: 200, body }, ['^GSPC']);
      expect(answers).toMatchObject([{ code: 'symbol_unknown', retryable: false }]);
      expect(requests).toHaveLength(1);
    },
  );
});

describe('refusals of the call', () => {
  it.each([
    ['per-second-429', { code: 'rate_limited', name: 'RateLimitError', retryAfterMs: 1000 }],
    ['per-second-200', { code: 'rate_limited', name: 'RateLimitError', retryAfterMs: 1000 }],
    ['edge-429', { code: 'rate_limited', name: 'RateLimitError', retryAfterMs: 60_000 }],
    ['monthly-429', { code: 'quota_exhausted', retryable: false, retryAfterMs: resetMs }],
    ['monthly-200', { code: 'quota_exhausted', retryable: false, retryAfterMs: resetMs }],
    [
      'invalid-crumb-401',
      { code: 'provider_unavailable', retryable: true, message: 'yahoo-rapidapi: HTTP 401: Invalid Crumb' },
    ],
    ['not-subscribed-403', { code: 'unauthorized' }],
    [
      'invalid-crumb-200',
      { code: 'provider_unavailable', retryable: true, message: 'yahoo-rapidapi: HTTP 200: Invalid Crumb' },
    ],
    ['not-subscribed-200', { code: 'unauthorized' }],
    ['message-200', { code: 'provider_rejected', retryable: false }],
    ['text-200', { code: 'response_malformed', retryable: false }],
    ['unavailable-503', { code: 'provider_unavailable', retryAfterMs: 7000 }],
    ['not-found-404', { code: 'provider_rejected', retryable: false }],
    ['refused-200', { code: 'provider_rejected', retryable: false }],
    ['bad-gateway-502', { code: 'provider_unavailable', retryable: true }],
    ['html-200', { code: 'response_malformed', retryable: false }],
    ['truncated-200', { code: 'response_malformed', retryable: true }],
    ['broken-200', { code: 'response_malformed', retryable: true }],
    ['empty-200', { code: 'response_malformed', retryable: true }],
  ])('%s', async (name, expected) => {
    const { error } = await ask(recorded(name), ['^GSPC', 'GC=F']);
    expect(error).toMatchObject(expected);
    expect(error!.message).toMatch(/^yahoo-rapidapi: HTTP \d{3}: /);
  });

  it('are reported with the quota they tell of', async () => {
    const { reports } = await ask(recorded('monthly-429'), ['^GSPC']);
    expect(reports).toEqual([{ used: 500, left: 0, resetMs }]);
  });
});

describe('options', () => {
  it.each([
    [{ apiKey: 'planted-key\r\n', host: 'yahoo.test' }, 'yahooRapidApiIndexes: apiKey: '],
    [{ apiKey, host: '' }, 'yahooRapidApiIndexes: host: '],
    [{ apiKey, host: 'https://user:planted-key@yahoo.test' }, 'host: expected a host name'],
    [{ apiKey, host: 'no host' }, 'host: expected a host name'],
  ])('refuses %j', (options, message) => {
    expect(() => yahooRapidApiIndexes(options)).toThrow(message);
    expect(() => yahooRapidApiIndexes(options)).not.toThrow(apiKey);
  });
});
