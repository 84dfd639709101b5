import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../src/model/errors.ts';
import { parseHistoricalMarketDataRequest } from '../../../src/model/requests/historicalMarketDataRequest.ts';
import { parseMarketDataRequest } from '../../../src/model/requests/marketDataRequest.ts';
import { parseMarketIndexDataRequest } from '../../../src/model/requests/marketIndexDataRequest.ts';
import type { RequestMessage } from '../../../src/model/requests/request.ts';

const now = () => Date.parse('2026-11-24T10:00:00Z');
const aapl = { symbol: 'AAPL', assetType: 'STOCK' };

describe('the variants the backend sends', () => {
  it.each([
    ['one stock', '{"assets":[{"symbol":"AAPL","asset_type":"STOCK"}]}', [aapl]],
    ['no asset', '{"assets":[]}', []],
    [
      'two pairs',
      '{"assets":[{"symbol":"EUR/USD","asset_type":"FOREX"},{"symbol":"GBP/USD","asset_type":"FOREX"}]}',
      [
        { symbol: 'EUR/USD', assetType: 'FOREX' },
        { symbol: 'GBP/USD', assetType: 'FOREX' },
      ],
    ],
    ['a coin', '{"assets":[{"symbol":"BTC","asset_type":"CRYPTO"}]}', [{ symbol: 'BTC', assetType: 'CRYPTO' }]],
    [
      'a commodity',
      '{"assets":[{"symbol":"XAU","asset_type":"COMMODITY"}]}',
      [{ symbol: 'XAU', assetType: 'COMMODITY' }],
    ],
    ['symbols of one type', '{"accountId":"a1","symbols":["AAPL"],"assetType":"STOCK"}', [aapl]],
    ['assets of an account', '{"assets":[{"symbol":"AAPL","asset_type":"STOCK"}],"accountId":"a1"}', [aapl]],
  ])('reads market data: %s', (_name, message, inputs) => {
    expect(parseMarketDataRequest(message)).toMatchObject({ pipeline: 'market-data', inputs, refused: [] });
  });

  it('reads indexes', () => {
    const message = '{"symbols":["^GSPC","^NDX","^DJI","^RUT","GC=F","SI=F","CL=F"]}';
    const { inputs, refused } = parseMarketIndexDataRequest(message);
    expect(inputs.map(({ symbol }) => symbol)).toEqual(['^GSPC', '^NDX', '^DJI', '^RUT', 'GC=F', 'SI=F', 'CL=F']);
    expect(refused).toEqual([]);
  });

  it('reads a historical request of mixed types', () => {
    const message =
      '{"end_date":"2026-11-24","assets":[{"symbol":"AAPL","asset_type":"STOCK"},{"symbol":"BTC","asset_type":"CRYPTO"}],"start_date":"2024-01-31"}';
    const dates = { startDate: '2024-01-31', endDate: '2026-11-24' };
    expect(parseHistoricalMarketDataRequest(message, { now })).toMatchObject({
      pipeline: 'historical-market-data',
      ...dates,
      inputs: [
        { ...aapl, ...dates },
        { symbol: 'BTC', assetType: 'CRYPTO', ...dates },
      ],
    });
  });

  it('reads bytes, text and values alike', () => {
    const text = '{"symbols":["^GSPC"]}';
    const forms: RequestMessage[] = [text, new TextEncoder().encode(text), { symbols: ['^GSPC'] }];
    for (const form of forms) expect(parseMarketIndexDataRequest(form).inputs).toEqual([{ symbol: '^GSPC' }]);
  });

  it('echoes the account under the name it came in', () => {
    expect(parseMarketDataRequest({ assets: [], account_id: 'u1' }).account).toEqual({ account_id: 'u1' });
    expect(parseMarketDataRequest({ assets: [], accountId: 7 }).account).toEqual({ accountId: '7' });
    expect(parseMarketDataRequest({ assets: [], accountId: null }).account).toEqual({});
    expect(parseMarketDataRequest({ assets: [], requestId: 'r1' }).requestId).toBe('r1');
    expect(parseMarketDataRequest({ assets: [], requestId: '' }).requestId).toBeUndefined();
  });

  it('ignores unknown fields and blanks around a symbol', () => {
    const message = { assets: [{ symbol: ' AAPL ', asset_type: 'STOCK', name: 'Apple' }], source: 'ui' };
    expect(parseMarketDataRequest(message).inputs).toEqual([aapl]);
  });
});

describe('normalizing', () => {
  it('merges duplicates of one symbol and type, and keeps the same symbol of two types', () => {
    const assets = ['STOCK', 'CRYPTO', 'STOCK'].map((asset_type) => ({ symbol: 'SOL', asset_type }));
    expect(parseMarketDataRequest({ assets }).inputs).toEqual([
      { symbol: 'SOL', assetType: 'STOCK' },
      { symbol: 'SOL', assetType: 'CRYPTO' },
    ]);
    expect(parseMarketIndexDataRequest({ symbols: ['^GSPC', '^GSPC'] }).inputs).toEqual([{ symbol: '^GSPC' }]);
  });

  it.each([
    ['no symbol', { asset_type: 'STOCK' }, '{"asset_type":"STOCK"}', 'symbol_invalid'],
    ['a number as symbol', { symbol: 5, asset_type: 'STOCK' }, '5', 'symbol_invalid'],
    ['an empty symbol', { symbol: '', asset_type: 'STOCK' }, '', 'symbol_invalid'],
    ['two symbols in one', { symbol: 'A,B', asset_type: 'STOCK' }, 'A,B', 'symbol_invalid'],
    ['a control character', { symbol: 'A\u0000B', asset_type: 'STOCK' }, 'A\u{FFFD}B', 'symbol_invalid'],
    ['no type', { symbol: 'AAPL' }, 'AAPL', 'asset_type_unknown'],
    ['an unknown type', { symbol: 'AAPL', asset_type: 'BOND' }, 'AAPL', 'asset_type_unknown'],
    ['a type of the wrong case', { symbol: 'AAPL', asset_type: 'stock' }, 'AAPL', 'asset_type_unknown'],
  ])('refuses one bad asset among good ones: %s', (_name, bad, symbol, code) => {
    const good = { symbol: 'MSFT', asset_type: 'STOCK' };
    const { inputs, refused } = parseMarketDataRequest({ assets: [good, bad] });
    expect(inputs).toEqual([{ symbol: 'MSFT', assetType: 'STOCK' }]);
    expect(refused).toEqual([expect.objectContaining({ symbol, error: expect.objectContaining({ code }) as unknown })]);
  });

  it.each([null, 'x', 7, []])('refuses an entry that is no asset alone: %j', (bad) => {
    const { inputs, refused } = parseMarketDataRequest({ assets: [{ symbol: 'MSFT', asset_type: 'STOCK' }, bad] });
    expect(inputs).toHaveLength(1);
    expect(refused).toHaveLength(1);
  });
});

describe('messages that were made to do harm', () => {
  const nested = (depth: number, inner = '') => '['.repeat(depth) + inner + ']'.repeat(depth);

  it('may be nested deeper than the stack', () => {
    expect(() => parseMarketDataRequest('['.repeat(10_000))).toThrow(/^request: expected JSON, got /);
    // Node 26 has a JSON.stringify that needs no stack.
    const cut = String.raw`\[(\.\.\.\]|\[+\.\.\.)`;
    expect(() => parseMarketDataRequest(nested(500_000))).toThrow(
      expect.objectContaining({
        code: 'request_malformed',
        message: expect.stringMatching(`^request: expected a JSON object, got ${cut}$`) as string,
      }),
    );
    expect(() => parseMarketIndexDataRequest(`{"symbols":[],"accountId":${nested(500_000)}}`)).toThrow(
      expect.objectContaining({
        code: 'request_malformed',
        message: expect.stringMatching(`^request: accountId: expected a string, got ${cut}$`) as string,
      }),
    );
    const { inputs, refused } = parseMarketIndexDataRequest(`{"symbols":["^NDX",${nested(400_000)}]}`);
    expect([inputs, refused.map(({ symbol }) => symbol)]).toEqual([
      [{ symbol: '^NDX' }],
      [expect.stringMatching(`^${cut}$`)],
    ]);
  });

  it('name a bad entry once, however often it comes', () => {
    const bad = [{ symbol: 'AAPL' }, { symbol: 'AAPL' }, { symbol: 'AAPL', asset_type: 'BOND' }, 7, 7, '7'];
    const { refused } = parseMarketDataRequest({ assets: bad });
    expect(refused.map(({ symbol, assetType }) => [symbol, assetType])).toEqual([
      ['AAPL', undefined],
      ['AAPL', 'BOND'],
      ['7', undefined],
    ]);
    expect(parseMarketIndexDataRequest({ symbols: [null, null, '', ''] }).refused).toHaveLength(2);
  });

  it('have a bound of bad entries, since each is named in the answer', () => {
    const numbers = Array.from({ length: 10_001 }, (_, index) => index);
    expect(parseMarketIndexDataRequest({ symbols: numbers.slice(1) }).refused).toHaveLength(10_000);
    const reason = 'request: expected entries that are valid, got more than 10000 that are not';
    expect(() => parseMarketIndexDataRequest({ symbols: numbers })).toThrow(reason);
    expect(() => parseMarketDataRequest({ assets: Array<number>(10_001).fill(1) })).toThrow(reason);
  });

  it('may hold 100,000 symbols', () => {
    const symbols = Array.from({ length: 100_000 }, (_, index) => `S${index}`);
    expect(parseMarketIndexDataRequest(JSON.stringify({ symbols })).inputs).toHaveLength(100_000);
  });

  it.each(['\u0000', '\uD800', '\u202E', 'A\u0000'])('hold no symbol with %j, nor does the answer', (symbol) => {
    const { inputs, refused } = parseMarketIndexDataRequest(
      JSON.stringify({ symbols: [symbol, { [symbol]: symbol }] }),
    );
    expect(inputs).toEqual([]);
    expect(refused.map((each) => each.symbol + each.error.message).join()).not.toMatch(/\p{C}/u);
    const [asset] = parseMarketDataRequest({ assets: [{ symbol: 'AAPL', asset_type: symbol }] }).refused;
    expect(`${asset?.assetType} ${asset?.error.message}`).not.toMatch(/\p{C}/u);
  });

  it('have no longer answer when a name of an object is cut within a character', () => {
    const { refused } = parseMarketIndexDataRequest({ symbols: [{ [`${'a'.repeat(74)}\u{1F600}`]: 1 }] });
    expect(refused[0]?.symbol).toMatch(/^\P{C}{80}$/u);
  });

  it('cannot change what objects are', () => {
    const message = '{"__proto__":{"assets":[]},"constructor":{"prototype":{"symbol":"AAPL"}}}';
    expect(() => parseMarketDataRequest(message)).toThrow('request: assets: expected a list, got nothing');
    const entry = '{"__proto__":{"symbol":"AAPL","asset_type":"STOCK"}}';
    expect(parseMarketDataRequest(`{"assets":[${entry}]}`).inputs).toEqual([]);
    expect(Object.hasOwn(Object.prototype, 'symbol')).toBe(false);
  });

  it('take the last of several fields with one name', () => {
    expect(parseMarketIndexDataRequest('{"symbols":7,"symbols":["^NDX"]}').inputs).toEqual([{ symbol: '^NDX' }]);
  });
});

describe('messages that are no request', () => {
  const messages: [string, RequestMessage, string][] = [
    ['not JSON', 'hello', 'request: expected JSON, got "hello"'],
    ['truncated JSON', '{"assets":[', 'request: expected JSON, got "{\\"assets\\":["'],
    ['empty', '', 'request: expected JSON, got ""'],
    ['a list', '[]', 'request: expected a JSON object, got []'],
    ['null', 'null', 'request: expected a JSON object, got null'],
    ['nothing', null, 'request: expected a JSON object, got null'],
    ['no list', '{}', 'request: assets: expected a list, got nothing'],
    ['assets not a list', '{"assets":"AAPL"}', 'request: assets: expected a list, got "AAPL"'],
    ['not UTF-8', Uint8Array.of(0xff, 0xfe, 0x7b), 'request: expected UTF-8, got 3 bytes that are not'],
    ['an account that is a list', '{"assets":[],"accountId":[1]}', 'request: accountId: expected a string, got [1]'],
  ];

  it.each(messages)('says what is wrong: %s', (_name, message, reason) => {
    expect(() => parseMarketDataRequest(message)).toThrow(new RequestError('request_malformed', reason));
  });

  it('says what is wrong with an index request', () => {
    expect(() => parseMarketIndexDataRequest('{"assets":[]}')).toThrow(
      'request: symbols: expected a list, got nothing',
    );
  });
});

describe('dates', () => {
  const read = (start_date: unknown, end_date: unknown) =>
    parseHistoricalMarketDataRequest({ start_date, end_date, assets: [] }, { now });

  // issue 10, item 10
  it('starts at most 1,200 months back', () => {
    expect(read('1926-11-01', '2026-11-24').startDate).toBe('1926-11-01');
    for (const start of ['1926-10-31', '1900-01-31', '0001-01-01']) {
      expect(() => read(start, '2026-11-24')).toThrow(
        `request: start_date ${start} is more than 1200 months back: ask for later months`,
      );
    }
  });

  // issue 10, item 10
  it('asks for at most so many months of all assets together', () => {
    const assets = ['A', 'B', 'C'].map((symbol) => ({ symbol, asset_type: 'STOCK' }));
    const ask = (end_date: string, maxMonths?: number) =>
      parseHistoricalMarketDataRequest({ start_date: '2024-01-31', end_date, assets }, { now, maxMonths });
    expect(ask('2024-04-30', 12).inputs).toHaveLength(3);
    expect(() => ask('2024-05-01', 12)).toThrow(
      'request: expected at most 12 months of all assets together, got 3 assets over 5 months, which is 15: ask for fewer assets, or months, at once',
    );
    expect(ask('9999-12-31').inputs).toHaveLength(3); // cut to today
    expect(() => ask('2024-04-30', 0)).toThrow(/parseHistoricalMarketDataRequest: maxMonths/);
  });

  it('cuts an end in the future to today, in UTC', () => {
    expect(read('2024-01-31', '2030-01-31').endDate).toBe('2026-11-24');
    expect(read('2024-02-29', '2026-11-24')).toMatchObject({ startDate: '2024-02-29', endDate: '2026-11-24' });
  });

  it('makes the same list of the same message on another day', () => {
    const message = {
      start_date: '2024-01-31',
      end_date: '2026-12-31',
      assets: [{ symbol: 'IBM', asset_type: 'STOCK' }],
    };
    const onDay = (day: string) => parseHistoricalMarketDataRequest(message, { now: () => Date.parse(day) });
    expect(onDay('2026-11-24').inputs).toEqual(onDay('2026-11-25').inputs);
    expect(onDay('2026-11-25').endDate).toBe('2026-11-25');
  });

  it('refuses a start after the end', () => {
    expect(() => read('2026-02-01', '2026-01-31')).toThrow(
      'request: start_date 2026-02-01 is after end_date 2026-01-31',
    );
    expect(() => read('2027-01-01', '2028-01-01')).toThrow(
      'request: start_date 2027-01-01 is after end_date 2028-01-01, cut to today, 2026-11-24',
    );
  });

  it.each([
    '2023-02-29',
    '2026-13-01',
    '2026-11-31',
    '26-11-24',
    '2026-11-24T00:00:00Z',
    'yesterday',
    '',
    null,
    20261124,
  ])('refuses a date that does not exist: %j', (date) => {
    const reason = /end_date: expected a date that exists, as YYYY-MM-DD, got /;
    expect(() => read('2020-01-31', date)).toThrow(reason);
  });
});

// Issue 10, 20: JavaScript keeps 15 digits of a number.
describe('numbers that are refused', () => {
  const [one, other] = ['12345678901234567891', '12345678901234567890'];

  it('are named as they came, in each form of an entry, and stay two', () => {
    for (const entries of [`[${one},${other}]`, `[{"symbol":${one}},{"symbol":${other}}]`]) {
      const { refused } = parseMarketDataRequest(`{"assets":${entries}}`);
      expect(refused.map(({ symbol }) => symbol)).toEqual([one, other]);
      expect(refused[0]?.error.message).toContain(`, got ${one}`);
    }
    const indexes = parseMarketIndexDataRequest(`{"symbols":[${one},${other},1.50,1e400,-0]}`);
    expect(indexes.refused.map(({ symbol }) => symbol)).toEqual([one, other, '1.50', '1e400', '-0']);
  });

  it('are named as they came in what is no symbol, type, list, date or echo', () => {
    const nested = parseMarketIndexDataRequest(`{"symbols":[{"x":[${one},"${other}",{"y":1.0}]}]}`);
    expect(nested.refused[0]?.symbol).toBe(`{"x":[${one},"${other}",{"y":1.0}]}`);
    const asset = parseMarketDataRequest(`{"assets":[{"symbol":"A","asset_type":${one}}]}`).refused[0];
    expect(asset?.error.message).toContain(`, got ${one}`);
    expect(() => parseMarketDataRequest(`{"assets":${one}}`)).toThrow(`assets: expected a list, got ${one}`);
    const dates = `{"assets":[],"start_date":${one},"end_date":"2024-01-31"}`;
    expect(() => parseHistoricalMarketDataRequest(dates)).toThrow(`as YYYY-MM-DD, got ${one}`);
    expect(() => parseMarketIndexDataRequest(`{"symbols":[],"accountId":[${one}]}`)).toThrow(`got [${one}]`);
    expect(() => parseMarketIndexDataRequest(one)).toThrow(`expected a JSON object, got ${one}`);
  });
});

describe('numbers that are echoed', () => {
  const parsers = {
    parseMarketDataRequest: '"assets":[{"symbol":"A","asset_type":"STOCK"}]',
    parseMarketIndexDataRequest: '"symbols":["A"]',
    parseHistoricalMarketDataRequest:
      '"assets":[{"symbol":"A","asset_type":"STOCK"}],"start_date":"2024-01-31","end_date":"2024-02-29"',
  };
  const parse = { parseMarketDataRequest, parseMarketIndexDataRequest, parseHistoricalMarketDataRequest };
  const numbers = [
    ...['12345678901234567890', '0.12345678901234567890123', '1e400', '-0', '1.0', '9007199254740993', '1E+2'],
    '9'.repeat(200),
  ];

  it.each(Object.entries(parsers))('come back from %s as they came', (name, fields) => {
    for (const number of numbers) {
      const text = `{ "accountId" : ${number}, ${fields}, "requestId":${number},"account_id":${number} }`;
      for (const message of [text, Buffer.from(text)]) {
        expect(parse[name as keyof typeof parse](message)).toMatchObject({
          account: { accountId: number, account_id: number },
          requestId: number,
        });
      }
    }
  });

  it('are those of the message itself, and the last of one name', () => {
    const other = '{"accountId":1,"x":{"accountId":2},"y":["accountId",3],"z":"\\"accountId\\":4"';
    const text = `${other},"\\u0061ccountId":12345678901234567890,"x2":{"accountId":6},"symbols":["A"]}`;
    expect(parseMarketIndexDataRequest(text).account).toEqual({ accountId: '12345678901234567890' });
    expect(parseMarketIndexDataRequest(`{"accountId":5,"symbols":[],"accountId":"text"}`).account).toEqual({
      accountId: 'text',
    });
  });

  it('are refused when they are too long', () => {
    expect(() => parseMarketIndexDataRequest(`{"symbols":["A"],"accountId":${'9'.repeat(201)}}`)).toThrow(
      'accountId: expected at most 200 characters',
    );
  });

  it('stand behind whatever is nested or long', () => {
    const symbols = `[${'"A",'.repeat(25_000)}"A"]`;
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const long = `"${'x\\n'.repeat(10_000)}"`;
    const text = `{"deep":${deep},"long":${long},"symbols":${symbols},"accountId":12345678901234567890}`;
    expect(parseMarketIndexDataRequest(text).account).toEqual({ accountId: '12345678901234567890' });
  });
});
