import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CompletionEvent, FailedEntry, SkippedEntry } from '../../../src/model/events/completion.ts';
import type { HistoricalMarketDataCompleted } from '../../../src/model/events/historicalMarketDataCompleted.ts';
import { marketDataCompletedSchema, type MarketDataCompleted } from '../../../src/model/events/marketDataCompleted.ts';
import type { MarketIndexDataCompleted } from '../../../src/model/events/marketIndexDataCompleted.ts';
import { serializeCompletion } from '../../../src/model/events/serializeCompletion.ts';
import { parseEvent, serializeEvent } from '../../../src/model/events/serializeEvent.ts';

type Part = Partial<MarketDataCompleted & MarketIndexDataCompleted & HistoricalMarketDataCompleted>;

const fields = {
  status: 'partial',
  totalBatches: 3,
  totalTransactions: 2,
  processingTimeMs: 45_000,
  account_id: 'user123',
  requestId: 'request-1',
  failed: [],
  skipped: [],
} as const;

const asset = (symbol: string) => ({ symbol, asset_type: 'STOCK', assetType: 'STOCK' });
const priced = (symbol: string) => ({
  ...asset(symbol),
  ...{ price: '230.1200', percentChange: '1.10', change: '2.50', high: '231.00', low: '228.90' },
});
const failedEntry = (symbol: string, message = 'unknown'): FailedEntry => ({
  symbol,
  asset_type: 'STOCK',
  stage: 'fetch',
  reason: 'symbol_unknown',
  message,
});
const skippedEntry = (symbol: string): SkippedEntry => ({ symbol, asset_type: 'STOCK', reason: 'quota' });

const market = (lists: Pick<MarketDataCompleted, 'assets'> & Partial<MarketDataCompleted>): MarketDataCompleted => ({
  ...fields,
  totalAssets: 7,
  ...lists,
});

const parsed = (texts: readonly string[]): Part[] => texts.map((text) => parseEvent(text) as Part);
const bytes = (text: string): number => Buffer.byteLength(text);
const many = <Item>(count: number, item: (symbol: string) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(`S${String(index)}`));

describe('a completion that a broker takes', () => {
  it('is written once, with all its digits', () => {
    const event = market({ assets: [priced('AAPL')], failed: [failedEntry('NOPE', 'x'.repeat(5_000))] });
    expect(serializeCompletion(event)).toEqual([serializeEvent(event)]);
  });

  // issue 10, item 5: the backend caches null as the price of an asset without one
  it('is whole up to the limit, and in parts with all prices above it', () => {
    const event = market({ assets: many(10, priced) });
    const limit = bytes(serializeEvent(event));
    expect(parsed(serializeCompletion(event, { maxBytes: limit }))).toEqual([event]);
    const parts = parsed(serializeCompletion(event, { maxBytes: limit - 1 }));
    expect(parts.map(({ part, parts: all }) => [part, all])).toEqual([[1, 2], [2, 2]]); // prettier-ignore
    expect(parts.flatMap(({ assets = [] }) => assets)).toEqual(many(10, priced));
  });
});

describe('a completion that is too large', () => {
  it('has the digits of its prices in every part', () => {
    const event = market({ assets: [priced('A'), { ...priced('B'), price: '0.00000812', change: '-19.2600' }] });
    const texts = serializeCompletion(event, { maxBytes: 400 });
    expect(texts).toHaveLength(2);
    expect(texts[1]).toContain('"price":0.00000812,"percentChange":1.10,"change":-19.2600,"high":231.00');
  });

  it('of indexes has their prices', () => {
    const symbols = many(20, (symbol) => ({ symbol, price: '19.2600', price_change: '0.1' }));
    const event: MarketIndexDataCompleted = { ...fields, totalSymbols: 20, symbols };
    const parts = parsed(serializeCompletion(event, { maxBytes: 700 }));
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.flatMap((part) => part.symbols as unknown)).toEqual(symbols);
  });

  it('of history names each of its assets in the same part twice', () => {
    const assets = many(20, asset);
    const symbols = assets.map(({ symbol }) => symbol);
    const event: HistoricalMarketDataCompleted = { ...fields, totalAssets: 20, record_count: 3, symbols, assets };
    const parts = parsed(serializeCompletion(event, { maxBytes: 700 }));
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.flatMap(({ assets: each = [] }) => each)).toEqual(assets);
    for (const part of parts) expect(part.symbols).toEqual(part.assets?.map(({ symbol }) => symbol));
  });

  it('repeats in every part all fields but the lists', () => {
    const event = market({ assets: many(5, priced), failed: many(5, failedEntry), skipped: many(5, skippedEntry) });
    const parts = parsed(serializeCompletion(event, { maxBytes: 600 }));
    expect(parts.length).toBeGreaterThan(2);
    const lists = { assets: undefined, failed: undefined, skipped: undefined };
    const common = parts.map((part) => ({ ...part, ...lists, part: undefined }));
    expect(common).toEqual(parts.map(() => ({ ...fields, ...lists, totalAssets: 7, parts: parts.length })));
  });

  it('has no assets in any part where nothing was served, since the backend would ignore the error', () => {
    const error = 'x'.repeat(3_000);
    const failure = {
      status: 'failed',
      error,
      errorType: 'symbol_unknown',
      batchId: 'request-1#1',
      failedBatch: 1,
    } as const;
    const parts = parsed(
      serializeCompletion(market({ ...failure, failed: many(100, failedEntry) }), { maxBytes: 5_000 }),
    );
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) {
      expect(Object.keys(part)).not.toContain('assets');
      expect(part).toMatchObject({ ...failure, error: `${'x'.repeat(247)}...` });
    }
  });

  it('is a failed one where not even one entry fits, and says why', () => {
    const event = market({ assets: many(3, priced), accountId: 'a'.repeat(200) });
    const [text = '', ...others] = serializeCompletion(event, { maxBytes: 500 });
    expect(others).toEqual([]);
    expect(bytes(text)).toBeLessThanOrEqual(500);
    const told = JSON.parse(text) as Part;
    expect(told).toMatchObject({
      status: 'failed',
      errorType: 'record_too_large',
      totalAssets: 7,
      requestId: 'request-1',
    });
    expect(Object.keys(told)).not.toContain('assets');
    expect(told.error).toContain('500 bytes');
    expect(marketDataCompletedSchema.safeParse(told).success).toBe(true);
  });

  it('of 100,000 symbols is in parts below 900 kB', () => {
    const event = market({
      assets: many(70_000, priced),
      failed: many(30_000, (symbol) => failedEntry(symbol, 'x'.repeat(200))),
    });
    const texts = serializeCompletion(event);
    expect(Math.max(...texts.map(bytes))).toBeLessThanOrEqual(900_000);
    const counts = texts
      .map((text) => JSON.parse(text) as Part)
      .map(({ assets, failed }) => (assets?.length ?? 0) + (failed?.length ?? 0));
    expect(counts.reduce((sum, count) => sum + count)).toBe(100_000);
  });
});

const symbols = fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), { maxLength: 120 });
const messages = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc.integer({ min: 1_900, max: 10_000 }).map((length) => '\u0000'.repeat(length)),
);

/** An event of any pipeline, with the symbols spread over its lists. */
const events: fc.Arbitrary<CompletionEvent> = fc
  .record({
    symbols,
    messages: fc.array(messages, { minLength: 1, maxLength: 10 }),
    kind: fc.constantFrom('market-data', 'market-index-data', 'historical-market-data'),
    servedShare: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ symbols: all, messages: texts, kind, servedShare }) => {
    const servedCount = Math.floor(all.length * servedShare);
    const served = all.slice(0, servedCount);
    const rest = all.slice(servedCount);
    const failed = rest
      .filter((_, index) => index % 3 !== 0)
      .map((symbol, index) => failedEntry(symbol, texts[index % texts.length]));
    const skipped = rest.filter((_, index) => index % 3 === 0).map(skippedEntry);
    const common = { ...fields, failed, skipped };
    if (kind === 'market-data') return { ...common, totalAssets: all.length, assets: served.map(priced) };
    if (kind === 'historical-market-data') {
      return { ...common, totalAssets: all.length, record_count: 3, symbols: served, assets: served.map(asset) };
    }
    return { ...common, totalSymbols: all.length, symbols: served.map((symbol) => ({ symbol, price: '1.50' })) };
  });

/** All entries of all parts, in their order; a message may be cut. */
function entriesOf(parts: readonly Part[]): unknown[] {
  const short = ({ message }: FailedEntry): string => message.slice(0, 600);
  return [
    parts.flatMap(({ assets = [] }) => assets),
    parts.flatMap(({ symbols: names = [] }): readonly unknown[] => names),
    parts.flatMap(({ failed = [] }) => failed.map((entry) => ({ ...entry, message: short(entry) }))),
    parts.flatMap(({ skipped = [] }) => skipped),
  ];
}

describe('any completion', () => {
  it('stands in its parts as a whole, every symbol once, and each part is below the limit', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: 14_000, max: 60_000 }), (event, maxBytes) => {
        const texts = serializeCompletion(event, { maxBytes });
        const parts = parsed(texts);
        expect(Math.max(...texts.map(bytes))).toBeLessThanOrEqual(maxBytes);
        expect(entriesOf(parts)).toEqual(entriesOf([parseEvent(serializeEvent(event)) as Part]));
        expect(parts.map(({ part }) => part)).toEqual(
          texts.map((_, index) => (texts.length === 1 ? undefined : index + 1)),
        );
        expect(new Set(parts.map(({ parts: total }) => total))).toEqual(
          new Set([texts.length === 1 ? undefined : texts.length]),
        );
      }),
      { numRuns: 200 },
    );
  });
});
