import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memorySink } from '../../../src/memory/memorySink.ts';
import { PipelineError, ProviderError } from '../../../src/model/errors.ts';
import type { Batch } from '../../../src/model/batch.ts';
import type { Outcome } from '../../../src/model/outcome.ts';
import type { Ledger, Sink } from '../../../src/model/ports.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { emptyTables } from './emptyTables.ts';
import { asset, quote } from './samples.ts';
import { openTestDatabase, type TestDatabase } from '../../support/postgres.ts';

// issue 11, item 1: the store of the simulator does what PostgreSQL does.

/** `TWIN_SCENARIOS=500` for a long run. */
const numRuns = Number(process.env['TWIN_SCENARIOS'] ?? 60);

type LedgerSink = Sink<Asset, Quote> & { readonly ledger: Ledger<Asset, Quote> };

const inputs: readonly Asset[] = [asset('A'), asset('A', 'CRYPTO'), asset('B')];
const keys = ['one', 'two'];

// Not `canceled`: of such a batch the memory keeps what it has, and PostgreSQL the rows alone; the contract allows both.
const kind = fc.constantFrom('ok' as const, 'ok', 'fresh', 'failed', 'quota');
const place = { key: fc.constantFrom(...keys), index: fc.nat({ max: 1 }) };
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      ...place,
      kinds: fc.tuple(kind, kind, kind),
      price: fc.integer({ min: 1, max: 3 }),
      ageMs: fc.nat({ max: 10 }).map((steps) => steps * 30_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('stored' as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('numbers' as const, 'batches' as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('fresh' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('failed' as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('accept' as const), ...place, count: fc.nat({ max: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom('begin' as const, 'handBack' as const),
      ...place,
      token: fc.constantFrom('a', 'b', 'c'),
    }),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer Each> ? Each : never;

/** Some come two at once, from two processes: what becomes of them is what one order of them brings. */
const steps = fc
  .array(fc.tuple(operation, fc.boolean()), { minLength: 3, maxLength: 14 })
  .map((list) =>
    list.map(([each, isTogether], index) => ({ operation: each, isTogether: isTogether && index % 4 === 1 })),
  );

/** Of the order of each write, so that no two answers are of one moment. */
const stepMs = 1_000;

async function perform(sink: LedgerSink, each: Operation, number: number, startMs: number): Promise<unknown> {
  const { ledger } = sink;
  try {
    switch (each.type) {
      case 'write': {
        const receivedAtMs = startMs - each.ageMs - number * stepMs;
        const outcomes = each.kinds.map((how, index) =>
          outcomeOf(how, inputs[index]!, String(each.price), receivedAtMs),
        );
        const batch = { request: each.key, index: each.index, outcomes };
        const { inserted, updated, unchanged, failed, stored } = await sink.write(batch, { signal: signal() });
        // A later answer with the same price is an update to PostgreSQL, which writes its time, and none to the memory.
        return { inserted, there: updated + unchanged, failed, stored: stored?.map(seen) };
      }
      case 'stored':
        return (await ledger.stored(each.key, each.index))?.outcomes.map(seen);
      case 'numbers':
        return await ledger.storedNumbers(each.key);
      case 'batches': {
        const found = [];
        for await (const batch of ledger.batches(each.key)) found.push([batch.index, ...batch.outcomes.map(seen)]);
        return found;
      }
      case 'fresh':
        return (await sink.current!(inputs, { maxAgeMs: 165_000, signal: signal() })).map(seen);
      case 'failed': {
        const error = new PipelineError('timeout', 'no progress');
        await ledger.storeFailed(each.key, { index: each.index, inputs, error });
        return 'stored';
      }
      case 'accept': {
        const request = { key: each.key, pipeline: 'market-data', inputs: inputs.slice(0, each.count), batchSize: 2 };
        const { inputs: accepted, batchSize } = await ledger.accept(request);
        return { accepted, batchSize };
      }
      case 'begin':
        return await ledger.begin({ key: each.key, batch: each.index, token: each.token }, 2);
      default:
        await ledger.handBack({ key: each.key, batch: each.index, token: each.token });
        return 'handed back';
    }
  } catch (error) {
    return PipelineError.from(error).code;
  }
}

function outcomeOf(how: string, input: Asset, price: string, receivedAtMs: number): Outcome<Asset, Quote> {
  switch (how) {
    case 'ok':
      return { status: 'ok', input, value: quote(input, price), receivedAtMs };
    case 'fresh':
      return { status: 'fresh', input, value: quote(input, price) };
    case 'failed':
      return { status: 'failed', input, stage: 'fetch', error: new ProviderError('symbol_unknown', 'unknown') };
    default:
      return { status: 'skipped', input, reason: 'quota' };
  }
}

/** What is the same wherever it was stored. */
function seen(outcome: Batch<Asset, Quote>['outcomes'][number]): string {
  const { symbol, assetType } = outcome.input;
  const more = 'value' in outcome ? Number(outcome.value.price) : 'error' in outcome ? outcome.error.code : '';
  const why = 'reason' in outcome ? outcome.reason : '';
  return `${symbol} ${assetType} ${outcome.status} ${more}${why}`;
}

function signal(): AbortSignal {
  return new AbortController().signal;
}

describe('the store in memory and PostgreSQL', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape: 'S1', migrated: true });
  });
  afterAll(() => database[Symbol.asyncDispose]());

  it(
    'do the same, one after the other and two at once',
    async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (list) => {
          await emptyTables(database);
          const startMs = performance.now();
          const real = await inPostgres(database, list, startMs);
          const orders = await Promise.all(ordersOf(list).map((order) => inMemory(order, startMs)));
          expect(orders).toContainEqual(real);
        }),
        { numRuns },
      );
    },
    30_000 + numRuns * 1_000,
  );
});

interface Step {
  readonly operation: Operation;
  /** Whether it is begun together with the one before. */
  readonly isTogether: boolean;
}

interface Numbered {
  readonly each: Operation;
  readonly number: number;
}

/** What each operation brought, by its number. */
async function inPostgres(database: TestDatabase, list: readonly Step[], startMs: number): Promise<unknown[]> {
  const sink = marketDataSink({ database });
  const groups: Promise<unknown>[] = [];
  for (const [number, { operation: each, isTogether }] of list.entries()) {
    if (!isTogether) await Promise.all(groups);
    groups.push(perform(sink, each, number, startMs));
  }
  return Promise.all(groups);
}

async function inMemory(order: readonly Numbered[], startMs: number): Promise<unknown[]> {
  const sink = memorySink<Asset, Quote>();
  const results: unknown[] = [];
  for (const { each, number } of order) results[number] = await perform(sink, each, number, startMs);
  return results;
}

/** Each order in which those that are begun together may take effect. */
function ordersOf(list: readonly Step[]): Numbered[][] {
  let orders: Numbered[][] = [[]];
  for (const [number, { operation: each, isTogether }] of list.entries()) {
    const next = { each, number };
    const behind = orders.map((order) => [...order, next]);
    const before = orders.map((order) => [...order.slice(0, -1), next, ...order.slice(-1)]);
    orders = isTogether ? [...behind, ...before] : behind;
  }
  return orders;
}
