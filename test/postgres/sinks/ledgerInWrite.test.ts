import { sql } from '@databases/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SinkError } from '../../../src/model/errors.ts';
import type { Outcome } from '../../../src/model/outcome.ts';
import type { Asset, Quote } from '../../../src/model/records.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { emptyTables } from './emptyTables.ts';
import { asset, batchOf, call, ok, quote } from './samples.ts';

describe('a batch and its ledger row', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape: 'S1', migrated: true, poolSize: 8 });
  });
  beforeEach(() => emptyTables(database));
  afterAll(() => database[Symbol.asyncDispose]());

  const one = (symbol: string, price = '1') => ok(asset(symbol), quote(asset(symbol), price));
  const skipped = (symbol: string, reason: 'quota' | 'canceled' | 'deadline'): Outcome<Asset, Quote> => ({
    status: 'skipped',
    input: asset(symbol),
    reason,
  });
  const prices = async () =>
    Object.fromEntries(
      (
        (await database.pool.query(
          sql`select symbol, price::float8 as price from ${sql.ident(database.schema, 'market_data')}`,
        )) as { symbol: string; price: number }[]
      ).map(({ symbol, price }) => [symbol, price]),
    );

  it('keeps a zombie from overwriting what a new owner has written', async () => {
    const [owner, zombie] = [marketDataSink({ database }), marketDataSink({ database })];
    await owner.write(batchOf([one('A', '2')], 'key'), call);
    const { stored } = await zombie.write(batchOf([one('A', '1')], 'key'), call);
    expect(await prices()).toEqual({ A: 2 });
    expect(stored).toMatchObject([{ status: 'ok', value: { price: '2.000000' } }]);
  });

  it('writes a batch once, whoever is first of ten', async () => {
    const sink = marketDataSink({ database });
    const batches = Array.from({ length: 10 }, (_, turn) => batchOf([one('A', `${turn + 1}`), one('B', 'NaN')], 'key'));
    const results = await Promise.all(batches.map((batch) => sink.write(batch, call)));
    const [first] = results;
    for (const { inserted, updated, transactions, failed, stored } of results) {
      expect([inserted, updated, transactions, failed.length]).toEqual([1, 0, 1, 1]);
      expect(stored?.map(({ status }) => status)).toEqual(['ok', 'failed']);
      expect(stored?.[0]).toMatchObject({ value: (first!.stored![0] as { value: Quote }).value });
    }
    expect((await prices())['A']).toBe(Number((first!.stored![0] as { value: Quote }).value.price));
  });

  it('finds rows that the database refuses under a key, and stores who failed', async () => {
    const table = sql.ident(database.schema, 'market_data');
    await database.pool.query(sql`alter table ${table} add constraint not_b check (symbol <> 'B')`);
    try {
      const sink = marketDataSink({ database });
      const batch = batchOf([one('A'), one('B'), one('B'), one('C')], 'key');
      const [first, second] = [await sink.write(batch, call), await sink.write(batch, call)];
      expect(first.failed.map(({ index, error }) => [index, error.code])).toEqual([
        [1, 'row_rejected'],
        [2, 'row_rejected'],
      ]);
      expect(second.failed.map(({ index, error }) => [index, error.code, error.message])).toEqual(
        first.failed.map(({ index, error }) => [index, error.code, error.message]),
      );
      expect([first.inserted, second.inserted]).toEqual([2, 2]);
      expect(await prices()).toEqual({ A: 1, C: 1 });
    } finally {
      await database.pool.query(sql`alter table ${table} drop constraint not_b`);
    }
  });

  // Issue 10, item 1: the table holds the last of them, and nothing else may be told.
  it('tells the value that the table holds, wherever a key stands twice in a batch', async () => {
    const sink = marketDataSink({ database });
    const { stored } = await sink.write(batchOf([one('A', '1'), one('A', '2')], 'key'), call);
    expect(stored?.map((outcome) => (outcome as { value: Quote }).value.price)).toEqual(['2.000000', '2.000000']);
    expect((await sink.ledger.stored('key', 0))?.outcomes).toMatchObject([
      { value: { price: '2.000000' } },
      { value: { price: '2.000000' } },
    ]);
    expect(await prices()).toEqual({ A: 2 });
  });

  it('stores a batch without a value', async () => {
    const sink = marketDataSink({ database });
    const fresh: Outcome<Asset, Quote> = { status: 'fresh', input: asset('A'), value: quote(asset('A'), '1.50') };
    expect(await sink.write(batchOf([fresh], 'key'), call)).toMatchObject({ inserted: 0, transactions: 1 });
    expect((await sink.ledger.stored('key', 0))?.outcomes).toEqual([fresh]);
    expect(await sink.write(batchOf([fresh]), call)).toMatchObject({ inserted: 0, transactions: 0 });
  });

  it('writes the rows of a batch cut off by a shutdown, and leaves the batch open', async () => {
    const sink = marketDataSink({ database });
    const { stored } = await sink.write(batchOf([one('A'), skipped('B', 'canceled')], 'key'), call);
    expect(stored?.map(({ status }) => status)).toEqual(['ok', 'skipped']);
    expect(await prices()).toEqual({ A: 1 });
    expect(await sink.ledger.stored('key', 0)).toBeUndefined();
  });

  it('leaves what failed because the database was away to whoever takes the request up again', async () => {
    const sink = marketDataSink({ database });
    const error = new SinkError('database_unavailable', 'cannot reach PostgreSQL', { retryable: true });
    const away: Outcome<Asset, Quote> = { status: 'failed', input: asset('B'), stage: 'write', error };
    const { stored } = await sink.write(batchOf([one('A'), away], 'key'), call);
    expect(stored?.map(({ status }) => status)).toEqual(['ok', 'failed']);
    expect(await prices()).toEqual({ A: 1 });
    expect(await sink.ledger.stored('key', 0)).toBeUndefined();
  });

  it('writes nothing of a batch cut off by a shutdown that another process has done', async () => {
    const sink = marketDataSink({ database });
    await sink.write(batchOf([one('A', '2'), one('B', '2')], 'key'), call);
    const { stored, inserted } = await sink.write(batchOf([one('A', '1'), skipped('B', 'canceled')], 'key'), call);
    expect([stored?.map(({ status }) => status), inserted]).toEqual([['ok', 'ok'], 2]);
    expect(await prices()).toEqual({ A: 2, B: 2 });
  });

  it('adds up what several runs did for a batch that the quota ended, whoever comes at the same time', async () => {
    const sink = marketDataSink({ database });
    await sink.write(batchOf([one('A'), skipped('B', 'quota'), skipped('C', 'quota')], 'key'), call);
    await sink.write(batchOf([one('A', '9'), one('B'), skipped('C', 'quota')], 'key'), call);
    expect((await sink.ledger.stored('key', 0))?.outcomes.map(({ status }) => status)).toEqual(['ok', 'ok', 'pending']);
    const results = await Promise.all(
      ['3', '4'].map((price) => sink.write(batchOf([one('A', '9'), one('B', '9'), one('C', price)], 'key'), call)),
    );
    const [first, second] = results;
    expect(second!.stored).toMatchObject(first!.stored!.map(({ status, input }) => ({ status, input })));
    for (const { inserted, transactions } of results) expect([inserted, transactions]).toEqual([3, 3]);
    const stored = (await sink.ledger.stored('key', 0))!;
    expect(stored.outcomes.map((outcome) => (outcome as { value: Quote }).value.price).slice(0, 2)).toEqual([
      '1.000000',
      '1.000000',
    ]);
    expect(stored.written).toEqual({ inserted: 3, updated: 0, unchanged: 0, transactions: 3 });
  });

  it('tries again what a deadline ended', async () => {
    const sink = marketDataSink({ database });
    await sink.write(batchOf([skipped('A', 'deadline')], 'key'), call);
    const { stored } = await sink.write(batchOf([one('A')], 'key'), call);
    expect(stored?.map(({ status }) => status)).toEqual(['ok']);
    expect(await prices()).toEqual({ A: 1 });
  });
});
