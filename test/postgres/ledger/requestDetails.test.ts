import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/model/errors.ts';
import type { MarketIndex } from '../../../src/model/records.ts';
import { requestDetails } from '../../../src/postgres/ledger/requestDetails.ts';
import { requestStates } from '../../../src/postgres/ledger/requestStates.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { createUser, openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import { track } from '../../support/track.ts';
import { call, index } from '../sinks/samples.ts';

const unknown = new ProviderError('symbol_unknown', 'unknown: \0');

describe('what a ledger tells of its requests', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape: 'S1', migrated: true });
    const { ledger, write } = marketIndexSink({ database });
    for (const key of ['first', 'second', 'third']) {
      const inputs = ['A\0', 'B', 'C'].map((symbol): MarketIndex => index(symbol));
      await ledger.accept({ key, pipeline: 'market-index-data', inputs, batchSize: 2 });
      if (key === 'third') continue;
      const [a, b, c] = inputs as [MarketIndex, MarketIndex, MarketIndex];
      const failed = { status: 'failed', input: a, stage: 'fetch', error: unknown } as const;
      const skipped = { status: 'skipped', input: b, reason: 'deadline' } as const;
      await write({ index: 1, request: key, outcomes: [{ ...failed, input: c }] }, call);
      await write(
        { index: 0, request: key, outcomes: [failed, key === 'first' ? { ...failed, input: b } : skipped] },
        call,
      );
    }
  });
  afterAll(() => database[Symbol.asyncDispose]());

  it('is the latest first, as many as asked for, in the state asked for', async () => {
    const keys = async (options: { state?: 'open' | 'done'; limit?: number }) =>
      (await requestStates({ database, ...options })).map(({ key }) => key);
    expect(await keys({})).toEqual(['third', 'second', 'first']);
    expect(await keys({ limit: 2 })).toEqual(['third', 'second']);
    expect(await keys({ state: 'open' })).toEqual(['third', 'second']);
    expect(await keys({ state: 'done' })).toEqual(['first']);
    expect(await requestStates({ database, limit: 1 })).toMatchObject([
      {
        inputs: 3,
        batchSize: 2,
        totalBatches: 2,
        storedBatches: 0,
        counts: { ok: 0, fresh: 0, failed: 0, skipped: 0 },
      },
    ]);
  });

  it('is what failed or was skipped, by batch, with the characters that it came with', async () => {
    const details = await requestDetails({ database, key: 'second' });
    expect(details?.batches.map(({ number, state }) => [number, state])).toEqual([
      [0, 'left'],
      [1, 'done'],
    ]);
    const failed = { status: 'failed', stage: 'fetch', reason: 'symbol_unknown', message: 'unknown: \0' };
    expect(details?.shortfalls).toEqual([
      { batch: 0, input: 'A\0', ...failed },
      { batch: 0, input: 'B', status: 'skipped', reason: 'deadline' },
      { batch: 1, input: 'C', ...failed },
    ]);
    expect((await requestDetails({ database, key: 'second', maxShortfalls: 1 }))?.shortfalls).toHaveLength(1);
  });

  it('is nothing of a key that it does not know, or that can be none', async () => {
    expect(await requestDetails({ database, key: 'fourth' })).toBeUndefined();
    expect(await requestDetails({ database, key: "'; drop table requests --" })).toBeUndefined();
    expect(await requestDetails({ database, key: 'first\0' })).toBeUndefined();
  });

  it('needs the right to read, and says so', async () => {
    await using user = track(await createUser(database));
    const { schema, ownSchema } = database;
    await using theirs = track(connectDatabase({ url: user.url, schema, ownSchema }));
    const refused = { code: 'database_not_ready', message: expect.stringContaining('grant it') as string };
    await expect(requestStates({ database: theirs })).rejects.toMatchObject(refused);
    await expect(requestDetails({ database: theirs, key: 'first' })).rejects.toMatchObject(refused);
  });
});
