import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { limited } from '../../../src/limits/limited.ts';
import { ProviderError } from '../../../src/model/errors.ts';
import type { Limiter, Provider } from '../../../src/model/ports.ts';
import { removeExpired } from '../../../src/postgres/ledger/removeExpired.ts';
import { postgresKeyRefusals } from '../../../src/postgres/limits/postgresKeyRefusals.ts';
import { openTestDatabase, type TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';

// Issue 10, item 6: all processes on a key know of its refusal, and one of them tries it again.

const key = { provider: 'twelve-data', apiKey: 'planted-secret-key' };
const minute = 60_000;
const refusal = { message: 'twelve-data: HTTP 401: invalid key', pauseMs: 5 * minute, isAgain: false };

/** As if so much time had passed. */
async function pass(database: TestDatabase, ms: number): Promise<void> {
  const table = sql.ident(database.ownSchema, 'refused_keys');
  const by = sql`${ms}::bigint * interval '1 millisecond'`;
  await database.pool.query(sql`update ${table} set try_at = try_at - ${by}, tried_until = tried_until - ${by}`);
}

const open = async () => track(await openTestDatabase({ migrated: true, poolSize: 10 }));

describe('postgresKeyRefusals', () => {
  it('tells every process of a refusal, under no key that anybody could use', async () => {
    await using database = await open();
    const [here, elsewhere] = [postgresKeyRefusals({ database, ...key }), postgresKeyRefusals({ database, ...key })];
    expect(await elsewhere.standing()).toBeUndefined();
    await here.refuse({ ...refusal, message: `${refusal.message}\0` });
    const standing = await elsewhere.standing();
    expect(standing).toMatchObject({ message: refusal.message, pauseMs: 5 * minute, isTried: false });
    expect(standing!.tryInMs).toBeGreaterThan(4 * minute);
    expect(standing!.tryInMs).toBeLessThanOrEqual(5 * minute);
    const rows = await database.pool.query(sql`select * from ${sql.ident(database.ownSchema, 'refused_keys')}`);
    expect(JSON.stringify(rows)).not.toContain(key.apiKey);

    const others = [
      { ...key, apiKey: 'another-key' },
      { ...key, provider: 'massive' },
    ];
    for (const other of others) {
      expect(await postgresKeyRefusals({ database, ...other }).standing()).toBeUndefined();
    }
    await elsewhere.lift();
    expect(await here.standing()).toBeUndefined();
  });

  it('lets one of many processes try, and no other before another pause', async () => {
    await using database = await open();
    const processes = Array.from({ length: 10 }, () => postgresKeyRefusals({ database, ...key }));
    const claimAll = () => Promise.all(processes.map((each) => each.claim(15_000)));
    expect(await claimAll()).toEqual(processes.map(() => ({ isGranted: false, refusal: undefined })));
    await processes[0]!.refuse(refusal);
    expect((await claimAll()).filter(({ isGranted }) => isGranted)).toEqual([]);

    await pass(database, 5 * minute);
    const claims = await claimAll();
    expect(claims.filter(({ isGranted }) => isGranted)).toHaveLength(1);
    expect(claims.every((claim) => claim.refusal?.isTried === true && claim.refusal.tryInMs > 4 * minute)).toBe(true);

    // Whoever tried has died.
    await pass(database, minute);
    expect(await processes[0]!.standing()).toMatchObject({ isTried: false });
    expect((await claimAll()).filter(({ isGranted }) => isGranted)).toEqual([]);
    await pass(database, 4 * minute);
    expect((await claimAll()).filter(({ isGranted }) => isGranted)).toHaveLength(1);
  });

  it('takes the refusal of a try for a new pause, and that of a call on its way for none', async () => {
    await using database = await open();
    const refusals = postgresKeyRefusals({ database, ...key });
    await refusals.refuse(refusal);
    await pass(database, 2 * minute);
    await refusals.refuse({ ...refusal, message: 'later' });
    expect((await refusals.standing())!.tryInMs).toBeLessThanOrEqual(3 * minute);
    await refusals.refuse({ message: 'again', pauseMs: 10 * minute, isAgain: true });
    expect(await refusals.standing()).toMatchObject({ message: 'again', pauseMs: 10 * minute, isTried: false });
    await pass(database, 10 * minute);
    // Nobody has tried, and a call of a process that did not know was refused.
    await refusals.refuse(refusal);
    expect((await refusals.standing())!.tryInMs).toBeGreaterThan(9 * minute);
  });

  it('forgets keys that nobody uses any more', async () => {
    await using database = await open();
    const refusals = postgresKeyRefusals({ database, ...key });
    await refusals.refuse(refusal);
    await pass(database, 60 * 24 * 60 * minute);
    await removeExpired({ database });
    expect(await refusals.standing()).toBeDefined();
    await pass(database, 3 * 24 * 60 * minute);
    await removeExpired({ database });
    expect(await refusals.standing()).toBeUndefined();
  });

  it('rejects where its table is missing', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    await database.pool.query(sql`drop table ${sql.ident(database.ownSchema, 'refused_keys')}`);
    await expect(postgresKeyRefusals({ database, ...key }).standing()).rejects.toMatchObject({
      code: 'database_not_ready',
    });
  });
});

describe('fetchers of several processes', () => {
  const immediate: Limiter = {
    run: ({ credits }, task) => task({ credits, release: () => undefined, report: () => undefined }),
    forecast: () => new Date(),
  };

  it('try a refused key once for all of them, and serve their requests once it is taken', async () => {
    await using database = await open();
    let isRefused = true;
    let [calls, atOnce, most] = [0, 0, 0];
    const provider: Provider<string, number> = {
      name: key.provider,
      maxBatchSize: 10,
      cost: (inputs) => inputs.length,
      async fetch(inputs) {
        calls += 1;
        atOnce += 1;
        most = Math.max(most, atOnce);
        await new Promise((resolve) => setImmediate(resolve));
        atOnce -= 1;
        if (isRefused) throw new ProviderError('unauthorized', 'twelve-data: HTTP 401: invalid key');
        return inputs.map(({ length }) => length);
      },
    };
    const start = () => limited(provider, immediate, { refusals: postgresKeyRefusals({ database, ...key }) });
    const ask = async (fetcher: ReturnType<typeof start>) => {
      const [fetched] = await fetcher.fetch(['word'], { signal: new AbortController().signal });
      return fetched?.status === 'failed' ? fetched.error.code : fetched?.status;
    };

    expect(await ask(start())).toBe('unauthorized');
    // Processes that start later ask PostgreSQL first.
    expect(await Promise.all(Array.from({ length: 5 }, () => ask(start())))).toEqual(Array(5).fill('unauthorized'));
    expect(calls).toBe(1);

    await pass(database, 5 * minute);
    expect(new Set(await Promise.all(Array.from({ length: 5 }, () => ask(start()))))).toEqual(
      new Set(['unauthorized']),
    );
    expect([calls, most]).toEqual([2, 1]);

    await pass(database, 10 * minute);
    isRefused = false;
    expect(await Promise.all(Array.from({ length: 5 }, () => ask(start())))).toEqual(Array(5).fill('ok'));
    expect(await postgresKeyRefusals({ database, ...key }).standing()).toBeUndefined();
  });
});
