import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../src/model/errors.ts';
import type { AssetType, MonthlyRange } from '../../src/model/records.ts';
import { twelveDataMonthly } from '../../src/providers/twelveDataMonthly.ts';
import { providerContract, type ProviderScenario } from '../../src/testing/providerContract.ts';
import { fixture, loopbackServer, openCall, replay, type Handler, type Recording } from './support/loopbackServer.ts';

const apiKey = 'planted-key';

function range(symbol: string, startDate: string, endDate: string, assetType: AssetType = 'STOCK'): MonthlyRange {
  return { symbol, assetType, startDate, endDate };
}

const recorded = (name: string): Recording => fixture('twelve-data', name);
const bars = (recorded('months-one').body as { values: object[] }).values;

async function ask(answer: Recording | Handler, ranges: readonly MonthlyRange[], maxMonthsPerCall?: number) {
  await using server = await loopbackServer(answer);
  const provider = twelveDataMonthly({ apiKey, baseUrl: server.baseUrl, maxMonthsPerCall });
  const answers = await provider.fetch(ranges, openCall().call);
  return { answers, urls: server.requests.map(({ url }) => url), requests: server.requests };
}

const serve: Handler = ({ url }, response) => {
  const symbols = new URL(url, 'http://x').searchParams.get('symbol')!.split(',');
  const answer = (symbol: string): unknown =>
    symbol === 'NOPE'
      ? recorded('quote-unknown').body
      : { ...(recorded('months-one').body as object), meta: { symbol, interval: '1month' } };
  const body =
    symbols.length === 1 ? answer(symbols[0]!) : Object.fromEntries(symbols.map((each) => [each, answer(each)]));
  replay({ status: 200, body })({ url, headers: {} }, response);
};

/** A series of something else, whatever it is asked. */
const serveOther: Handler = ({ url, headers }, response) => {
  const symbols = new URL(url, 'http://x').searchParams.get('symbol')!.split(',');
  const other = { ...(recorded('months-one').body as object), meta: { symbol: 'GOOG', interval: '1month' } };
  const body = symbols.length === 1 ? other : Object.fromEntries(symbols.map((each) => [each, other]));
  replay({ status: 200, body })({ url, headers }, response);
};

const scenarios: Record<ProviderScenario, Recording | Handler> = {
  mismatched: serveOther,
  serves: serve,
  hangs: () => undefined,
  'rate-limited': recorded('minute-credits-429'),
  down: recorded('bad-gateway-502'),
  unauthorized: recorded('unauthorized-401'),
  malformed: recorded('html-200'),
};

describe('the provider contract', () => {
  const cases = providerContract(async (scenario) => {
    const server = await loopbackServer(scenarios[scenario]);
    return {
      provider: twelveDataMonthly({ apiKey, baseUrl: server.baseUrl }),
      known: ['AAPL', 'MSFT', 'IBM'].map((symbol) => range(symbol, '2026-01-31', '2026-03-31')),
      unknown: range('NOPE', '2026-01-31', '2026-03-31'),
      secrets: [apiKey],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });

  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('twelveDataMonthly', () => {
  it('asks once, from the first of the earliest month to the latest end, and cuts each range out', async () => {
    const { answers, urls, requests } = await ask(recorded('months-batch'), [
      range('AAPL', '2026-02-15', '2026-02-28'),
      range('EURUSD', '2026-01-31', '2026-03-31', 'FOREX'),
    ]);
    expect(urls).toEqual([
      '/time_series?symbol=AAPL,EUR%2FUSD&interval=1month&start_date=2026-01-01&end_date=2026-03-31',
    ]);
    expect(requests[0]!.headers.authorization).toBe(`apikey ${apiKey}`);
    expect(answers).toEqual([
      { symbol: 'AAPL', assetType: 'STOCK', recordCount: 1, prices: [{ date: '2026-02-01', price: '209.95000' }] },
      {
        symbol: 'EURUSD',
        assetType: 'FOREX',
        recordCount: 3,
        prices: [
          { date: '2026-01-01', price: '1.10000' },
          { date: '2026-02-01', price: '1.11000' },
          { date: '2026-03-01', price: '1.12570' },
        ],
      },
    ]);
  });

  it('reads one symbol from the flat form, oldest first', async () => {
    const { answers, urls } = await ask(recorded('months-one'), [range('AAPL', '2026-01-31', '2026-03-31')]);
    expect(urls).toEqual(['/time_series?symbol=AAPL&interval=1month&start_date=2026-01-01&end_date=2026-03-31']);
    expect(answers).toMatchObject([{ recordCount: 2, prices: [{ date: '2026-02-01' }, { date: '2026-03-01' }] }]);
  });

  it('does not take the meta part of a flat answer for the stock META', async () => {
    const meta = { symbol: 'META', interval: '1month' };
    const body = { ...(recorded('months-one').body as object), meta };
    const { answers } = await ask({ status: 200, body }, [range('META', '2026-01-31', '2026-03-31')]);
    expect(answers).toMatchObject([{ symbol: 'META', recordCount: 2 }]);
  });

  it('takes no prices in the range as a result: in a batch, alone, and as an empty list', async () => {
    const none = { recordCount: 0, prices: [] };
    const wanted = [range('NEW', '2026-01-31', '2026-03-31'), range('NOPE', '2026-01-31', '2026-03-31')];
    expect((await ask(recorded('months-batch'), wanted)).answers).toMatchObject([none, { code: 'symbol_unknown' }]);
    expect((await ask(recorded('no-months-400'), wanted.slice(0, 1))).answers).toMatchObject([none]);
    const empty = { status: 200, body: { meta: {}, values: [], status: 'ok' } };
    expect((await ask(empty, wanted.slice(0, 1))).answers).toMatchObject([none]);
  });

  it('keeps one price a month, the last, and the date of the provider', async () => {
    const values = ['2026-03-02', '2026-03-31 00:00:00', '2026-03-01'].map((datetime) => ({ ...bars[0], datetime }));
    const meta = { symbol: 'A', interval: '1month' };
    const { answers } = await ask({ status: 200, body: { meta, values, status: 'ok' } }, [
      range('A', '2026-03-31', '2026-03-31'),
    ]);
    expect(answers).toMatchObject([{ recordCount: 1, prices: [{ date: '2026-03-31', price: '218.40000' }] }]);
  });

  it.each([
    [{ close: 'NaN' }, 'value_invalid', '2026-03-01: close: expected a decimal number, got "NaN"'],
    [{ close: null }, 'value_invalid', 'close: expected a decimal number, got null'],
    [{ close: '-3' }, 'value_invalid', 'close: expected no value below zero, got "-3"'],
    [{ datetime: 'yesterday' }, 'value_invalid', 'datetime: expected a date, got "yesterday"'],
    [{ datetime: '2026-02-30' }, 'value_invalid', 'datetime: expected a date, got "2026-02-30"'],
    [{ datetime: undefined }, 'value_invalid', 'datetime: expected a date, got null'],
  ])('fails a symbol alone with a bar of %j', async (fault, code, message) => {
    const bad = { values: [bars[1], { ...bars[0], ...fault }], status: 'ok' };
    const good = { values: bars, status: 'ok' };
    const wanted = [range('BAD', '2026-01-31', '2026-03-31'), range('GOOD', '2026-01-31', '2026-03-31')];
    const { answers } = await ask({ status: 200, body: { BAD: bad, GOOD: good } }, wanted);
    expect(answers).toMatchObject([{ code }, { symbol: 'GOOD', recordCount: 2 }]);
    expect(String(answers[0])).toContain(`twelve-data: BAD: ${message.startsWith('2026') ? message : ''}`);
    expect(String(answers[0])).toContain(message);
  });

  it('fails a symbol whose values are no list', async () => {
    const { answers } = await ask({ status: 200, body: { status: 'ok' } }, [range('A', '2026-03-31', '2026-03-31')]);
    expect(answers).toMatchObject([{ code: 'response_malformed' }]);
  });

  it('reads a leap day', async () => {
    const values = [{ ...bars[0], datetime: '2024-02-29' }];
    const { answers } = await ask({ status: 200, body: { meta: { symbol: 'A' }, values, status: 'ok' } }, [
      range('A', '2024-02-01', '2024-02-29'),
    ]);
    expect(answers.some((answer) => PipelineError.isInstance(answer))).toBe(false);
  });

  // Issue 10, item 3.
  it.each([
    ['symbol', { meta: { symbol: 'MSFT', interval: '1month' } }, 'asked for AAPL, the answer is about MSFT'],
    ['interval', { meta: { symbol: 'AAPL', interval: '1day' } }, 'asked for 1month, the answer is about 1day'],
    [
      'interval, by its dates',
      { meta: { symbol: 'AAPL' }, values: ['2026-02-02', '2026-02-03'].map((datetime) => ({ ...bars[0], datetime })) },
      'asked for months, the answer is about 2026-02-02 and 2026-02-03',
    ],
    [
      'range',
      { values: [{ ...bars[0], datetime: '2020-01-01' }] },
      'asked for 2026-01 to 2026-03, the answer is about 2020-01 to 2020-01',
    ],
  ])('takes no series of another %s', async (_, other, message) => {
    const body = { ...(recorded('months-one').body as object), ...other };
    const { answers, requests } = await ask({ status: 200, body }, [range('AAPL', '2026-01-31', '2026-03-31')]);
    expect(answers).toMatchObject([{ code: 'symbol_mismatch', retryable: false }]);
    expect(String(answers[0])).toContain(message);
    expect(requests).toHaveLength(1);
  });

  // Issue 10, item 3.
  it('takes a list that is null, or left out of a series that is named, for no months, and one without a name for nothing', async () => {
    const wanted = [range('AAPL', '2026-01-31', '2026-03-31')];
    for (const body of [
      { values: null, status: 'ok' },
      { meta: { symbol: 'AAPL' }, status: 'ok' },
    ]) {
      const { answers, requests } = await ask({ status: 200, body }, wanted);
      expect(answers).toMatchObject([{ recordCount: 0, prices: [] }]);
      expect(requests).toHaveLength(1);
    }
    const unnamed = await ask({ status: 200, body: { values: bars, status: 'ok' } }, wanted);
    expect(unnamed.answers).toMatchObject([{ code: 'response_malformed', retryable: false }]);
  });

  it('asks for a long range in several requests, pays each symbol for each, and joins the months', async () => {
    await using server = await loopbackServer(({ url, headers }, response) => {
      const start = new URL(url, 'http://x').searchParams.get('start_date')!;
      const value = { datetime: start, close: '1.50' };
      const body =
        start === '2026-03-01'
          ? recorded('no-months-400').body
          : Object.fromEntries(['A', 'B'].map((symbol) => [symbol, { values: [value], status: 'ok' }]));
      const perSymbol = start === '2026-03-01' ? { A: body, B: body } : body;
      replay({ status: 200, body: perSymbol })({ url, headers }, response);
    });
    const provider = twelveDataMonthly({ apiKey, baseUrl: server.baseUrl, maxMonthsPerCall: 2 });
    const ranges = [range('A', '2026-01-15', '2026-05-20'), range('B', '2026-01-01', '2026-01-31')];
    const answers = await provider.fetch(ranges, openCall().call);
    const dates = server.requests.map(({ url }) => url.replace(/.*start_date=/, ''));
    expect(dates).toEqual([
      '2026-01-01&end_date=2026-02-28',
      '2026-03-01&end_date=2026-04-30',
      '2026-05-01&end_date=2026-05-20',
    ]);
    expect(provider.cost(ranges)).toBe(6);
    expect(answers).toMatchObject([
      { symbol: 'A', recordCount: 2, prices: [{ date: '2026-01-01' }, { date: '2026-05-01' }] },
      { symbol: 'B', recordCount: 1 },
    ]);
  });

  it('fails a symbol with the first part that has an error for it', async () => {
    const { answers, urls } = await ask(recorded('quote-unknown'), [range('NOPE', '2026-01-31', '2026-03-31')], 1);
    expect(urls).toHaveLength(3);
    expect(answers).toMatchObject([{ code: 'symbol_unknown' }]);
  });

  it.each([0, 5001, 1.5])('refuses %d months a call', (maxMonthsPerCall) => {
    expect(() => twelveDataMonthly({ apiKey, maxMonthsPerCall })).toThrow('twelveDataMonthly: maxMonthsPerCall: ');
  });
});
