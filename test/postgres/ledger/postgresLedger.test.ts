import { sql } from '@databases/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SinkError } from '../../../src/model/errors.ts';
import type { Outcome } from '../../../src/model/outcome.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import { postgresLedger } from '../../../src/postgres/ledger/postgresLedger.ts';
import { removeExpired } from '../../../src/postgres/ledger/removeExpired.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { emptyTables } from '../sinks/emptyTables.ts';
import { asset, batchOf, call, ok, quote } from '../sinks/samples.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase({ shape: 'S1', migrated: true, poolSize: 8 });
});
beforeEach(() => emptyTables(database));
afterAll(() => database[Symbol.asyncDispose]());

const own = (name: string) => sql.ident(database.ownSchema, name);
const query = async <Row>(statement: ReturnType<typeof sql>): Promise<Row[]> =>
  (await database.pool.query(statement)) as Row[];

const request = <I>(inputs: readonly I[], fields: { key?: string; pipeline?: string; batchSize?: number } = {}) => ({
  key: 'key',
  pipeline: 'market-data',
  batchSize: 2,
  inputs,
  ...fields,
});

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe('accept', () => {
  it('answers the first acceptance, by the database’s clock, whatever comes later', async () => {
    const ledger = postgresLedger<Asset, Quote>({ database });
    const inputs = [asset('A'), asset('B'), asset('C')];
    const first = await ledger.accept(request(inputs));
    expect(first).toMatchObject({ inputs, batchSize: 2 });
    const again = await ledger.accept(request([...inputs], { batchSize: 100 }));
    expect(again).toMatchObject({ inputs, batchSize: 2, acceptedAt: first.acceptedAt });
    expect(again.ageMs).toBeGreaterThan(first.ageMs!);
    const [row] = await query<{ at: number; total: number }>(
      sql`select extract(epoch from accepted_at)::float8 * 1000 as at, total_batches as total from ${own('requests')}`,
    );
    expect(Math.abs(row!.at - first.acceptedAt.getTime())).toBeLessThan(1);
    expect(row!.total).toBe(2);
  });

  it('answers ten acceptances at the same time alike', async () => {
    const ledger = postgresLedger<string, string>({ database });
    const sizes = Array.from({ length: 10 }, (_, index) => index + 1);
    const answers = await Promise.all(sizes.map((batchSize) => ledger.accept(request(['A'], { batchSize }))));
    expect(new Set(answers.map(({ batchSize, acceptedAt }) => `${batchSize} ${acceptedAt.getTime()}`)).size).toBe(1);
  });

  it('refuses a key that comes with another list or pipeline, and says so', async () => {
    const { ledger } = marketDataSink({ database });
    await ledger.accept(request([asset('A'), asset('B')]));
    for (const inputs of [[], [asset('A')], [asset('B'), asset('A')], [asset('A'), asset('B', 'CRYPTO')]]) {
      await expect(ledger.accept(request(inputs))).rejects.toMatchObject({
        name: 'RequestError',
        code: 'request_conflict',
      });
    }
    const other = ledger.accept(request([asset('A'), asset('B')], { pipeline: 'market-index-data' }));
    await expect(other).rejects.toThrow(
      'request key was accepted before for the pipeline market-data, and now comes for market-index-data',
    );
  });

  it.each(['', 'a\0b', 'k'.repeat(513)])('refuses the key %j', async (key) => {
    const accepted = postgresLedger({ database }).accept(request([], { key }));
    await expect(accepted).rejects.toMatchObject({ code: 'request_refused' });
  });

  it.each([
    '\0',
    'a\0b',
    '\u0010',
    '\\u0000',
    '\\\0\\\\u0010',
    '\ud800',
    '\udfff\u0010' + 'd800',
    '😀',
    '"\\"',
    '\u0001\u001f',
  ])('keeps the symbol %j as it is', async (symbol) => {
    for (const ledger of [postgresLedger<Asset, Quote>({ database }), marketDataSink({ database }).ledger]) {
      await emptyTables(database);
      await ledger.accept(request([asset(symbol)]));
      expect((await ledger.accept(request([asset(symbol)]))).inputs).toEqual([asset(symbol)]);
    }
  });

  it('takes a list of 10,000 inputs, and an empty one', async () => {
    const { ledger } = marketDataSink({ database });
    const inputs = Array.from({ length: 10_000 }, (_, index) => asset(`S${index}`));
    await ledger.accept(request(inputs));
    expect((await ledger.accept(request(inputs))).inputs).toEqual(inputs);
    expect(await ledger.accept(request([], { key: 'empty' }))).toMatchObject({ inputs: [], batchSize: 2 });
  });
});

describe('stored and batches', () => {
  it('give back every kind of outcome as it was, errors included', async () => {
    const sink = marketDataSink({ database });
    const error = new SinkError('timeout', 'no answer for "A\0\ud800"', {
      retryable: true,
      cause: new Error('secret'),
    });
    // The digits that the columns keep.
    const value = quote(asset('A'), '1.500000', { change: '-0.500000' });
    const outcomes: Outcome<Asset, Quote>[] = [
      { status: 'ok', input: asset('A'), value, provider: 'twelve-data' },
      { status: 'fresh', input: asset('B'), value: quote(asset('B'), '2') },
      { status: 'failed', input: asset('\0'), stage: 'fetch', error },
      { status: 'skipped', input: asset('D'), reason: 'deadline' },
      { status: 'skipped', input: asset('E'), reason: 'quota', until: new Date('2026-11-25T00:00:00Z') },
    ];
    await sink.write(batchOf(outcomes, 'key', 7), call);
    const stored = await sink.ledger.stored('key', 7);
    expect(stored).toEqual({
      index: 7,
      request: 'key',
      outcomes: [
        ...outcomes.slice(0, 2),
        expect.anything(),
        { status: 'pending', input: asset('D') },
        { status: 'pending', input: asset('E') },
      ],
      written: { inserted: 1, updated: 0, unchanged: 0, transactions: 1 },
    });
    const failed = stored!.outcomes[2] as { input: Asset; error: SinkError };
    expect([failed.input, failed.error.toJSON()]).toEqual([asset('\0'), error.toJSON()]);
    const [listed] = await collect(sink.ledger.batches('key'));
    expect(listed!.outcomes.slice(3)).toEqual(outcomes.slice(3));
    const [row] = await query(sql`select ok, fresh, failed, skipped, resumable from ${own('batches')}`);
    expect(row).toEqual({ ok: 1, fresh: 1, failed: 1, skipped: 2, resumable: true });
  });

  it('tell requests apart, and know nothing of others', async () => {
    const sink = marketDataSink({ database });
    await sink.write(batchOf([], 'key'), call);
    expect(await sink.ledger.stored('key', 1)).toBeUndefined();
    expect(await sink.ledger.stored('other', 0)).toBeUndefined();
    expect(await collect(sink.ledger.batches('other'))).toEqual([]);
  });

  it('show people how far a request is', async () => {
    const sink = marketDataSink({ database });
    const states = () => query(sql`select key, state, stored_batches, total_batches from ${own('request_states')}`);
    await sink.ledger.accept(request([asset('A'), asset('B'), asset('C')]));
    await sink.write(batchOf([{ status: 'skipped', input: asset('A'), reason: 'quota' }], 'key', 0), call);
    await sink.write(batchOf([], 'key', 1), call);
    expect(await states()).toEqual([{ key: 'key', state: 'open', stored_batches: 1, total_batches: 2 }]);
    await sink.write(batchOf([ok(asset('A'), quote(asset('A'), '1'))], 'key', 0), call);
    expect(await states()).toEqual([{ key: 'key', state: 'done', stored_batches: 2, total_batches: 2 }]);
  });
});

// Issue 10, item 10.
describe('starts', () => {
  it('are counted one by one, however many workers count at the same time', async () => {
    const ledger = postgresLedger<string, number>({ database });
    const tokens = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const begin = (token: string) => ledger.begin({ key: 'raced', token }, 5);
    expect((await Promise.all(tokens.map(begin))).sort()).toEqual([0, 1, 2, 3, 4, 5, 5, 5]);
    await Promise.all(tokens.map((token) => ledger.handBack({ key: 'raced', token })));
    expect(await begin('z')).toBe(0);
  });
});

describe('removeExpired', () => {
  const kept = async () =>
    (await query<{ key: string }>(sql`select key from ${own('requests')} order by 1`)).map(({ key }) => key);

  async function requestWithBatch(key: string, acceptedDaysAgo: number, storedDaysAgo: number): Promise<void> {
    const ago = (days: number) => sql`now() - ${days} * interval '1 day'`;
    await database.pool.query(sql`
      insert into ${own('requests')} (key, pipeline, inputs, batch_size, total_batches, last_accepted_at)
      values (${key}, 'market-data', '[["A","STOCK"]]', 2, 1, ${ago(acceptedDaysAgo)}) on conflict do nothing`);
    await database.pool.query(sql`
      insert into ${own('batches')} (request, number, stored_at) values (${key}, 0, ${ago(storedDaysAgo)}) on conflict do nothing`);
  }

  it('removes what has been idle for longer than it may, with its batches', async () => {
    await requestWithBatch('idle', 8, 8);
    await requestWithBatch('accepted again', 1, 8);
    await requestWithBatch('still written', 8, 1);
    await database.pool.query(
      sql`insert into ${own('batches')} (request, number, stored_at) values ('orphan', 0, now() - interval '8 days')`,
    );
    expect(await removeExpired({ database })).toBe(1);
    expect(await kept()).toEqual(['accepted again', 'still written']);
    const batches = await query(sql`select request from ${own('batches')} order by 1`);
    expect(batches).toEqual([{ request: 'accepted again' }, { request: 'still written' }]);
    expect(await removeExpired({ database, retentionDays: 0.5 })).toBe(2);
    expect(await removeExpired({ database })).toBe(0);
  });

  it('removes more than fits in one transaction', async () => {
    await database.pool.query(sql`
      insert into ${own('requests')} (key, pipeline, inputs, batch_size, total_batches, last_accepted_at)
      select 'key ' || n, 'p', '[]', 1, 0, now() - interval '8 days' from generate_series(1, 2500) as n`);
    expect(await removeExpired({ database })).toBe(2500);
  });

  // Issue 10, item 10.
  it('removes the starts of what has been idle for longer than it may', async () => {
    const ledger = postgresLedger<string, number>({ database });
    for (const key of ['old', 'new']) await ledger.begin({ key, token: 'a' }, 9);
    await database.pool.query(
      sql`update ${own('starts')} set started_at = now() - interval '8 days' where request = 'old'`,
    );
    await removeExpired({ database });
    expect(await query(sql`select request from ${own('starts')}`)).toEqual([{ request: 'new' }]);
  });

  it('runs when a request is accepted, once an hour', async () => {
    let now = 0;
    const ledger = postgresLedger<Asset, Quote>({ database, retentionDays: 7, now: () => now });
    const acceptAfterIdle = async (key: string) => {
      await requestWithBatch('idle', 8, 8);
      await ledger.accept(request([asset('B')], { key }));
      return (await kept()).includes('idle');
    };
    expect(await acceptAfterIdle('one')).toBe(false);
    now = 3_599_999;
    expect(await acceptAfterIdle('two')).toBe(true);
    now = 3_600_000;
    expect(await acceptAfterIdle('three')).toBe(false);
  });

  it('fails no request', async () => {
    await using broken = track(await openTestDatabase({ migrated: true }));
    await broken.pool.query(sql`drop table ${sql.ident(broken.ownSchema, 'fetched_months')}`);
    const ledger = postgresLedger<string, string>({ database: broken });
    expect(await ledger.accept(request(['A']))).toMatchObject({ inputs: ['A'] });
    await expect(removeExpired({ database: broken })).rejects.toMatchObject({ code: 'database_not_ready' });
  });

  it('does not remove a request that is accepted at the same time', async () => {
    await requestWithBatch('idle', 8, 8);
    const { ledger } = marketDataSink({ database });
    await Promise.all([ledger.accept(request([asset('A')], { key: 'idle' })), removeExpired({ database })]);
    await ledger.accept(request([asset('A')], { key: 'idle' }));
    expect(await kept()).toEqual(['idle']);
  });

  it('forgets in the end which months were absent', async () => {
    await database.pool.query(sql`
      insert into ${own('fetched_months')} (provider, symbol, asset_type, month, last_month, fetched_at, present) values
        ('p', 'A', 'STOCK', '2024-01-01', '2024-01-01', now() - interval '91 days', false),
        ('p', 'B', 'STOCK', '2024-01-01', '2024-01-01', now() - interval '89 days', false),
        ('p', 'C', 'STOCK', '2024-01-01', '2024-01-01', now() - interval '91 days', true)`);
    await removeExpired({ database });
    expect(await query(sql`select symbol from ${own('fetched_months')} order by 1`)).toEqual([
      { symbol: 'B' },
      { symbol: 'C' },
    ]);
  });

  it('says which option is wrong', async () => {
    await expect(removeExpired({ database, retentionDays: -1 })).rejects.toThrow(/removeExpired: retentionDays/);
    expect(() => postgresLedger({ database: {} as typeof database })).toThrow(
      /postgresLedger: database: expected a database from connectDatabase\(\)/,
    );
  });
});
