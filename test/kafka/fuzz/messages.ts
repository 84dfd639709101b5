import fc from 'fast-check';
import { topics, type Lane } from '../../support/workers/requests.ts';

/** What somebody puts on a topic. */
export interface FuzzMessage {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly { readonly name: string; readonly value: Uint8Array }[];
}

const texts = [
  'AAPL',
  '',
  ' ',
  'A,B',
  'A\u0000B',
  '\u0000',
  '\uD800',
  '\uDC00\uD800',
  '\u202Ecod',
  '\r\nx: y',
  "'; drop table market_data; --",
  '../../etc/passwd',
  '$1',
  '%00%0a',
  '\u{1F600}'.repeat(40),
  'S'.repeat(255),
  'S'.repeat(256),
  'S'.repeat(5_000),
  '__proto__',
  'constructor',
];

/** JSON that hardly anybody expects, as text: some of it no value could be written as. */
const tokens = [
  ...['1e400', '-1e400', '-0', '123456789012345678901234567890', '1e-400', 'NaN', 'null', 'true', '[]', '{}', '""'],
  ...[
    '"\\u0000"',
    '"\\ud800"',
    '"\\uDBFF\\uD800"',
    '"0000-01-01"',
    '"9999-12-31"',
    '"2025-02-30"',
    '"STOCK"',
    '[[[[[[]]]]]]',
  ],
  ...['{"__proto__":{"symbol":"A"}}', `${'['.repeat(3_000)}${']'.repeat(3_000)}`, '7', '"^NDX"', '{"symbol":"A"}'],
];

const anyText = fc.oneof(fc.constantFrom(...texts), fc.string({ unit: 'binary', maxLength: 12 }));
const anyValue = fc.oneof(anyText, fc.constantFrom(null, true, 0, -1, 1e308, 5), fc.jsonValue({ maxDepth: 3 }));
const anyType = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('STOCK', 'FOREX', 'CRYPTO') },
  { weight: 1, arbitrary: anyValue },
);
const anyDate = fc.oneof(
  fc.constantFrom('2025-01-31', '2025-03-31', '2025-02-30', '0000-01-01', '9999-12-31', '2025-1-1', ''),
  anyValue,
);
const anyEntry = fc.oneof(
  fc.record({ symbol: fc.oneof(anyText, anyValue), asset_type: anyType }, { requiredKeys: [] }),
  anyValue,
);
const anyList = fc.oneof(
  { weight: 5, arbitrary: fc.array(anyEntry, { maxLength: 8 }) },
  { weight: 1, arbitrary: anyValue },
);

/** What has the fields of a request, and anything in them. */
const anyBody = fc.record(
  {
    assets: anyList,
    symbols: anyList,
    assetType: anyType,
    start_date: anyDate,
    end_date: anyDate,
    accountId: anyValue,
    account_id: anyValue,
    requestId: anyValue,
  },
  { requiredKeys: [] },
);

const requestTexts = [
  '{"assets":[{"symbol":"AAPL","asset_type":"STOCK"},{"symbol":"BTC","asset_type":"CRYPTO"}],"accountId":"a1","requestId":"r1"}',
  '{"accountId":"a1","symbols":["AAPL","MSFT","AAPL"],"assetType":"STOCK"}',
  '{"symbols":["^GSPC","^NDX"]}',
  '{"end_date":"2025-03-31","assets":[{"symbol":"AAPL","asset_type":"STOCK"}],"start_date":"2025-01-31"}',
];

const pipelines: Record<Lane, string> = {
  market: 'market-data',
  index: 'market-index-data',
  historical: 'historical-market-data',
};

const inputTexts: Record<Lane, string> = {
  market: '{"symbol":"AAPL","assetType":"STOCK"},{"symbol":"IBM","assetType":"STOCK"}',
  index: '{"symbol":"^NDX"},{"symbol":"^DJI"}',
  historical: '{"symbol":"AAPL","assetType":"STOCK","startDate":"2025-01-31","endDate":"2025-03-31"}',
};

/** Of a request that nobody has: what is done of it goes nowhere. */
const workText = (lane: Lane): string =>
  `{"key":"forged","pipeline":"${pipelines[lane]}","batch":3,"inputs":[${inputTexts[lane]}]}`;

type Change = (text: string, at: number) => string;

const place = (text: string, at: number): number => Math.floor(at * text.length);
const around = (text: string, at: number, added: string, removed = 0): string =>
  text.slice(0, place(text, at)) + added + text.slice(place(text, at) + removed);

/** The `at`th of the places that the pattern finds, as the change has it. */
function changeOne(pattern: RegExp, change: (found: string) => string): Change {
  return (text, at) => {
    const found = [...text.matchAll(pattern)];
    const match = found[Math.floor(at * found.length)];
    if (match === undefined) return text;
    return text.slice(0, match.index) + change(match[0]) + text.slice(match.index + match[0].length);
  };
}

const names = /"\w+":/g;
const values = /(?<=[:[,])("[^"]*"|\d+|\[[^[\]]*\])/g;

const anyChange: fc.Arbitrary<Change> = fc.oneof(
  fc.constant<Change>((text, at) => text.slice(0, place(text, at))),
  fc.constant<Change>((text, at) => around(text, at, '', 7)),
  fc.constant<Change>((text, at) => around(text, at, text.slice(place(text, at), place(text, at) + 30))),
  fc.constant<Change>((text) => `[${text}]`),
  fc.constant<Change>((text, at) => text + ' '.repeat(place(text, at)) + '\u0000'),
  fc.constant<Change>((text) => `\uFEFF${text}`),
  fc.string({ unit: 'binary', maxLength: 3 }).map(
    (added): Change =>
      (text, at) =>
        around(text, at, added, 1),
  ),
  fc
    .constantFrom('"__proto__":', '"constructor":', '"Assets":', '"symbol":')
    .map((name) => changeOne(names, () => name)),
  fc.constantFrom(...tokens).map((token) => changeOne(values, () => token)),
  // The same name twice, or another one first.
  fc.constantFrom(...tokens).map((token) => changeOne(names, (name) => `${name}${token},${name}`)),
  fc.constantFrom(...tokens).map((token) => changeOne(names, (name) => `"__proto__":${token},${name}`)),
);

/** The bytes of a text to which something has happened. */
function changed(text: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(fc.tuple(anyChange, fc.double({ min: 0, max: 0.999, noNaN: true })), { maxLength: 3 });
  const flip = fc.option(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 1, max: 255 })));
  return fc.tuple(text, changes, flip).map(([start, steps, flipped]) => {
    const bytes = Buffer.from(steps.reduce((each, [change, at]) => change(each, at), start));
    if (flipped === null || bytes.length === 0) return bytes;
    const [at, mask] = flipped;
    const index = Math.floor(at * bytes.length);
    bytes[index] = (bytes[index] ?? 0) ^ mask;
    return bytes;
  });
}

/** Item 9 of what the original program did wrong. */
export const malformed: readonly (Uint8Array | null)[] = [
  ...[
    'not JSON',
    '[]',
    '{}',
    '{"assets":"AAPL"}',
    '{"assets":{}}',
    'null',
    '""',
    '7',
    '',
    '{"assets":[',
    '{"symbols":7}',
  ],
  ...['{"assets":[],"start_date":"2025-02-30","end_date":"yesterday","symbols":{}}'],
]
  .map((text): Uint8Array | null => Buffer.from(text))
  .concat([Buffer.of(0xff, 0xfe, 0x80), Buffer.of(0), null]);

const anyBytes: fc.Arbitrary<Uint8Array | null> = fc.oneof(
  fc.constantFrom(...malformed),
  fc.uint8Array({ maxLength: 100 }),
  fc.string({ unit: 'binary', maxLength: 50 }).map((text) => Buffer.from(text)),
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
);

const anyRequestBytes: fc.Arbitrary<Uint8Array | null> = fc.oneof(
  { weight: 2, arbitrary: anyBytes },
  { weight: 3, arbitrary: anyBody.map((body) => Buffer.from(JSON.stringify(body))) },
  { weight: 4, arbitrary: changed(fc.constantFrom(...requestTexts)) },
);

const anyHeader = fc.record({
  name: fc.oneof(
    fc.constantFrom(
      'traceparent',
      'tracestate',
      'ce_id',
      'ce_type',
      'kafka_dlt-original-topic',
      'kafka_dlt-original-offset',
    ),
    fc.constantFrom('toString', '__proto__', 'constructor', 'hasOwnProperty'),
    fc.string({ minLength: 1, maxLength: 10 }),
  ),
  value: fc.oneof(
    fc
      .constantFrom('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '00-zz\r\nx: y', '', '/etc/passwd')
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 20 }),
  ),
});

const surroundings = {
  key: fc.option(fc.uint8Array({ maxLength: 20 })),
  headers: fc.oneof(fc.constant([]), fc.array(anyHeader, { maxLength: 3 })),
};

const anyLane = fc.constantFrom<Lane>('market', 'index', 'historical');

/** What may come on a request topic, or on a work topic now and then. */
export const anyMessage: fc.Arbitrary<FuzzMessage> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      topic: anyLane.map((lane) => topics[lane].request),
      value: anyRequestBytes,
      ...surroundings,
    }),
  },
  {
    weight: 1,
    arbitrary: anyLane.chain((lane) => {
      const value = fc.oneof(
        { weight: 1, arbitrary: anyBytes },
        { weight: 3, arbitrary: changed(fc.constant(workText(lane))) },
      );
      return fc.record({ topic: fc.constant(topics[lane].work), value, ...surroundings });
    }),
  },
);
