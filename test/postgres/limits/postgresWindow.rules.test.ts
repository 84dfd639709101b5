import { sql } from '@databases/pg';
import type { Queryable, SQLQuery } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import type { SharedGrant, SharedWindow } from '../../../src/model/quotaPorts.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';
import { removeExpired } from '../../../src/postgres/ledger/removeExpired.ts';
import { applyMigrations, migrate } from '../../../src/postgres/migrate.ts';
import { migrations } from '../../../src/postgres/migrations/index.ts';
import { administrate, createUser, openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { clockAt, holdMs, openWindow, retryInMs, take, taken, tickMs, want, windowMs } from './windowTools.ts';

// issue 10, item 23: a window is counters per tick of time.

const hourMs = 3_600_000;

const beforeTicks = migrations.slice(
  0,
  migrations.findIndex(({ name }) => name === 'window-ticks'),
);
const tables = ['quota_windows', 'quota_ticks', 'quota_calls', 'quota_limits'];

async function rowsOf({ pool, ownSchema }: Database): Promise<Record<string, number>> {
  const counts = tables.map(async (table) => {
    const rows = (await pool.query(sql`select count(*)::integer as rows from ${sql.ident(ownSchema, table)}`)) as {
      rows: number;
    }[];
    return [table, rows[0]?.rows] as const;
  });
  return Object.fromEntries(await Promise.all(counts)) as Record<string, number>;
}

/** Connections whose transactions have another isolation than they have by default, as a deployment may set it. */
async function connectIsolated(database: TestDatabase, isolation: string, poolSize: number) {
  const user = await createUser(database);
  const { schema, ownSchema } = database;
  const [own, name] = [sql.ident(ownSchema), sql.ident(user.name)];
  await database.pool.query(sql`grant usage on schema ${own} to ${name}`);
  await database.pool.query(sql`grant select, insert, update, delete on all tables in schema ${own} to ${name}`);
  await administrate(`alter user ${user.name} set default_transaction_isolation to '${isolation}'`);
  const isolated = connectDatabase({ url: user.url, schema, ownSchema, poolSize });
  const dispose = async (): Promise<void> => {
    await isolated.close();
    await user[Symbol.asyncDispose]();
  };
  return track({ ...isolated, [Symbol.asyncDispose]: dispose });
}

/** Takes, settles and gives back at once on all connections; answers the most that was held at any time. */
async function mostHeld(windows: readonly SharedWindow[], rounds: number, tick: () => void): Promise<number> {
  let [held, most] = [0, 0];
  const work = async (window: SharedWindow, worker: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      tick();
      const answer = await window.take(want(1 + ((worker + round) % 5)));
      if ('retryInMs' in answer) continue;
      held += answer.credits;
      most = Math.max(most, held);
      await new Promise(setImmediate);
      held -= answer.credits;
      if (round % 3 === 0) await window.release(answer, answer.credits);
      else await window.settle(answer, 0);
    }
  };
  await Promise.all(windows.map(work));
  return most;
}

interface Statements {
  readonly pool: Queryable;
  readonly ownSchema: string;
}

/** One of our functions by the only key that there is: not tried again, whatever it fails with. */
async function call({ pool, ownSchema }: Statements, name: string, values: SQLQuery): Promise<void> {
  const key = sql`(select key from ${sql.ident(ownSchema, 'quota_windows')})`;
  await pool.query(sql`select from ${sql.ident(ownSchema, name)}(${key}, ${values})`);
}

const callTake = (statements: Statements, now: SQLQuery): Promise<void> =>
  call(statements, 'quota_take', sql`8, 1, 0, gen_random_uuid(), ${holdMs}, ${windowMs}, ${tickMs}, 8, 300000, ${now}`);

/** Whoever has the first tick gets the last one too, while the other waits for the first. */
async function crossing({ pool, ownSchema }: Database, other: () => Promise<unknown>): Promise<void> {
  const [ticks, activity] = [sql.ident(ownSchema, 'quota_ticks'), sql.ident('pg_catalog', 'pg_stat_activity')];
  let ending: Promise<unknown> | undefined;
  await pool.tx(async (transaction) => {
    await transaction.query(sql`select from ${ticks} order by tick limit 1 for update`);
    ending = other();
    ending.catch(() => undefined);
    const waiting = sql`
      select from ${activity} where wait_event_type = 'Lock' and query like ${`%${ownSchema}%`} and pid <> pg_backend_pid()`;
    while (((await pool.query(waiting)) as unknown[]).length === 0);
    await transaction.query(sql`select from ${ticks} order by tick desc limit 1 for update`);
  });
  await ending;
}

describe('a take', () => {
  it.each(['read committed', 'repeatable read', 'serializable'])(
    'grants never more than there is to 20 connections at once under %s',
    async (isolation) => {
      await using database = track(await openTestDatabase({ migrated: true }));
      await using isolated = await connectIsolated(database, isolation, 20);
      const clock = clockAt();
      const windows = Array.from({ length: 20 }, () => openWindow(isolated, clock));
      expect(await mostHeld(windows, 8, () => (clock.ms += 1))).toBeLessThanOrEqual(8);
      clock.ms += tickMs;
      expect(await taken(openWindow(database, clock), 9)).toBe(8);
    },
  );

  it.each(['repeatable read', 'serializable'])(
    'by a snapshot that is older than another grant fails under %s',
    async (isolation) => {
      await using database = track(await openTestDatabase({ migrated: true, poolSize: 2 }));
      const window = openWindow(database, clockAt());
      await window.release(await take(window, 1), 1);
      const stale = database.pool.tx(async (transaction) => {
        await transaction.query(sql`set transaction isolation level ${sql.__dangerous__rawValue(isolation)}`);
        await transaction.query(sql`select from ${sql.ident(database.ownSchema, 'quota_windows')}`);
        expect(await taken(window, 8)).toBe(8);
        await callTake({ ...database, pool: transaction }, sql`null`);
      });
      await expect(stale).rejects.toMatchObject({ code: '40001' });
    },
  );

  it.each(['repeatable read', 'serializable'])('after a report it has not seen fails under %s', async (isolation) => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 2 }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const grant = await take(window, 1);
    const stale = database.pool.tx(async (transaction) => {
      await transaction.query(sql`set transaction isolation level ${sql.__dangerous__rawValue(isolation)}`);
      await transaction.query(sql`select from ${sql.ident(database.ownSchema, 'quota_windows')}`);
      await window.report?.(grant, 8, windowMs);
      await callTake({ ...database, pool: transaction }, sql`${clock.ms}::float8`);
    });
    await expect(stale).rejects.toMatchObject({ code: '40001' });
  });

  it('inserts the same few rows for a plan of 1,000,000 credits as for one of 8', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const credits = 1_000_000;
    const [here, elsewhere] = [openWindow(database, clock, { credits }), openWindow(database, clock, { credits })];
    const most = await take(here, 999_999);
    expect(most.credits).toBe(999_999);
    expect(await rowsOf(database)).toEqual({ quota_windows: 1, quota_ticks: 1, quota_calls: 1, quota_limits: 1 });
    expect(await taken(elsewhere, 5)).toBe(1);
    expect(await taken(elsewhere, 1)).toBe(0);
    await here.release(most, 3);
    await here.settle(most, windowMs);
    expect(await taken(elsewhere, 9)).toBe(3);
    clock.ms += windowMs;
    expect(await taken(elsewhere, credits)).toBe(credits - 4);
    await expect(here.take(want(credits + 1, { min: credits + 1 }))).rejects.toThrow('the window holds 1000000');
  });

  it('holds the largest plan that there can be', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const credits = 2 ** 31 - 1;
    const window = openWindow(database, clock, { credits });
    const all = await take(window, credits);
    expect(all.credits).toBe(credits);
    await window.settle(all, windowMs, true);
    expect(await taken(window, 1)).toBe(0);
    clock.ms += windowMs;
    expect(await taken(window, credits)).toBe(credits);
  });

  it('frees a credit with the end of its tick, and never before its time', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    for (const windowMs of [1, 999, 7_001, 60_000, 2 ** 31 - 1]) {
      const clock = clockAt();
      const length = Math.max(10, Math.ceil(windowMs / 600));
      const window = openWindow(database, clock, { windowMs });
      const grant = await take(window, 8);
      clock.ms += 3;
      await window.settle(grant, windowMs);
      const freeAt = clock.ms + windowMs;
      clock.ms = freeAt - 1;
      expect(await taken(window, 8)).toBe(0);
      clock.ms = freeAt + length;
      expect(await taken(window, 8)).toBe(8);
    }
  });

  it('removes the calls of processes that died, and leaves no more ticks than a hold is long', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock, { credits: 10_000 });
    for (let call = 0; call < 40; call += 1) {
      await take(window, 2);
      clock.ms += 10 * tickMs;
    }
    expect(await rowsOf(database)).toMatchObject({ quota_calls: 40, quota_ticks: 40 });
    clock.ms += holdMs - 20 * 10 * tickMs;
    expect(await taken(window, 10_000)).toBe(10_000 - 2 * 19);
    expect(await rowsOf(database)).toMatchObject({ quota_calls: 20, quota_ticks: 20 });
    clock.ms += holdMs;
    await take(window, 1);
    expect(await rowsOf(database)).toMatchObject({ quota_calls: 1, quota_ticks: 1 });
  });

  it('asks again when the credits it needs can be free, also where others and calls on their way hold them', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const [first, second] = [await take(window, 2), await take(window, 3)];
    await window.report?.(first, 2 + 3 + 1, 2 * windowMs);
    await window.settle(first, 20_000);
    expect(await retryInMs(window, { min: 4 })).toBe(20_000);
    expect(await retryInMs(window, { min: 5 })).toBe(windowMs);
    expect(await retryInMs(window, { min: 8 })).toBe(2 * windowMs);
    expect(await retryInMs(window, { min: 4, reserve: 1 })).toBe(windowMs);
    await window.settle(second, 30_000);
    expect(await retryInMs(window, { min: 7 })).toBe(30_000);
  });
});

describe('the end of a call', () => {
  it('moves its credits once, however often it is told', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const [window, again] = [openWindow(database, clock), openWindow(database, clock)];
    const grant = await take(window, 5);
    await window.settle(grant, windowMs);
    await window.settle(grant, 0);
    await again.settle(grant, 2 * windowMs);
    await again.settle(grant, 0, true);
    await again.release({ ...grant }, 5);
    expect(await taken(window, 8)).toBe(3);
    clock.ms += windowMs;
    expect(await taken(window, 8)).toBe(5);
  });

  it('takes from a tick at most what is in it', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const [first, second] = [await take(window, 5), await take(window, 3)];
    await database.pool.query(sql`update ${sql.ident(database.ownSchema, 'quota_ticks')} set credits = 1, others = 1`);
    await window.settle(first, windowMs);
    await window.release(second, 3);
    expect(await taken(window, 8)).toBe(2);
  });

  it('holds the credits of a call that ended after its hold, when nobody has asked since', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const late = await take(window, 5);
    clock.ms += holdMs + hourMs;
    await window.settle(late, windowMs);
    expect(await taken(window, 8)).toBe(3);
  });

  it('of a refused call leaves as much for others as it held', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock, { credits: 20 });
    const [one, two, three] = [await take(window, 3), await take(window, 4), await take(window, 5)];
    for (const grant of [one, two, three]) {
      clock.ms += tickMs;
      await window.settle(grant, windowMs, true);
      expect(await taken(window, 20, { min: 9 })).toBe(0);
    }
    expect(await taken(window, 20)).toBe(8);
    clock.ms += windowMs;
    expect(await taken(window, 20)).toBe(12);
  });
});

describe('a clock that is set back', () => {
  it('holds what was granted for the longest hold in force and a tick, not for an hour', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const [ended, flying] = [await take(window, 4), await take(window, 3)];
    await window.settle(ended, windowMs);
    clock.ms -= hourMs;
    expect(await taken(window, 8)).toBe(1);
    // Its credits have moved, and it with them.
    await window.settle(flying, windowMs);
    clock.ms += windowMs;
    expect(await taken(window, 8)).toBe(3);
    clock.ms += holdMs - windowMs + tickMs - 1;
    // What was granted since has its own hold.
    expect(await taken(window, 8)).toBe(1);
    clock.ms += 1;
    expect(await taken(window, 8)).toBe(4);
  });

  it('frees nothing before its time, whatever was booked for how long', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    for (const backMs of [1, tickMs, 5_000, windowMs, holdMs, hourMs, 100 * 24 * hourMs]) {
      const clock = clockAt();
      const window = openWindow(database, clock, { provider: `back ${String(backMs)}` });
      const [short, long] = [await take(window, 2), await take(window, 6, { holdMs: 10_000 })];
      // Longer than any hold.
      await window.settle(long, 5 * holdMs);
      await window.settle(short, 20_000);
      clock.ms -= backMs;
      expect(await taken(window, 8)).toBe(0);
      clock.ms += 5 * holdMs - 1;
      expect(await taken(window, 6, { min: 6 })).toBe(0);
      clock.ms += Math.min(backMs, 5 * holdMs) + tickMs + 1;
      expect(await taken(window, 8, { min: 6 })).toBeGreaterThanOrEqual(6);
    }
  });

  it('and forth again loses no credit and makes none', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const windows = [openWindow(database, clock), openWindow(database, clock, { credits: 8 })];
    const open: SharedGrant[] = [];
    let held = 0;
    for (const [round, jumpMs] of [-hourMs, 500, -70_000, -hourMs, 3_000, -1, -40, -windowMs, 20_000].entries()) {
      clock.ms += jumpMs;
      const window = windows[round % 2]!;
      const answer = await window.take(want(1 + (round % 3)));
      if ('credits' in answer) {
        open.push(answer);
        held += answer.credits;
      }
      // No jump here is as long as a hold, and so nothing is free again.
      expect(held).toBeLessThanOrEqual(8);
    }
    expect(held).toBe(8);
    clock.ms += hourMs;
    for (const grant of open) await windows[0]!.settle(grant, 0);
    clock.ms += tickMs;
    expect(await taken(windows[0]!, 9)).toBe(8);
    expect(await rowsOf(database)).toMatchObject({ quota_ticks: 1, quota_calls: 1 });
  });

  it('does not keep a smaller number of credits in force for longer', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const [large, small] = [openWindow(database, clock, { credits: 55 }), openWindow(database, clock)];
    await small.release(await take(small, 1), 1);
    clock.ms -= 24 * hourMs;
    expect(await taken(large, 55, { min: 8 })).toBe(8);
    clock.ms += 5 * 60_000;
    expect(await taken(large, 55)).toBe(55);
  });
});

describe('a limit that is announced anew', () => {
  it('grants nothing while more is held than the smaller number, and the rest of it from there', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const [large, small] = [openWindow(database, clock, { credits: 55 }), openWindow(database, clock, { credits: 8 })];
    const [twenty, five] = [await take(large, 20), await take(large, 5)];
    expect(await retryInMs(small)).toBe(windowMs);
    expect(await taken(large, 30)).toBe(0);
    await large.settle(twenty, 1_000);
    expect(await retryInMs(small)).toBe(1_000);
    clock.ms += 1_000;
    expect(await taken(large, 30)).toBe(3);
    await large.settle(five, 0);
    expect(await taken(small, 30)).toBe(5);
  });

  it('binds for as long as the window, where that is longer than five minutes, and while it is used', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const options = { windowMs: hourMs };
    const large = openWindow(database, clock, { ...options, credits: 55 });
    const small = openWindow(database, clock, options);
    const again = async (): Promise<void> => small.release(await take(small, 1), 1);
    await again();
    clock.ms += 30_000;
    await again();
    clock.ms += hourMs - 1;
    expect(await taken(large, 55, { holdMs: hourMs })).toBe(8);
    clock.ms += 1;
    expect(await taken(large, 55)).toBe(47);
  });
});

describe('the locks of a window', () => {
  it('have one order, so that nobody waits for one who waits for him', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 20, ownDatabase: true }));
    const clock = clockAt();
    const credits = 200;
    const work = async (worker: number): Promise<void> => {
      const window = openWindow(database, clock, { credits });
      const open: SharedGrant[] = [];
      for (let round = 0; round < 40; round += 1) {
        // Back and forth, so that ticks are joined and removed under those that end their calls.
        clock.ms += (worker + round) % 7 === 0 ? -3 * holdMs : (round % 5) * tickMs + 37_000 * (worker % 2);
        const answer = await window.take(want(1 + (round % 3), { holdMs: holdMs + (worker % 4) * 10 * tickMs }));
        if ('credits' in answer) open.push(answer);
        if (open.length > worker % 4) {
          const grant = open.shift()!;
          if (round % 5 === 0) await window.report?.(grant, 60, windowMs);
          if (round % 3 === 0) await window.release(grant, 1);
          await window.settle(grant, (round % 4) * 10_000, round % 7 === 0);
        }
        if (round % 10 === worker % 10) await removeExpired({ database, retentionDays: 0 });
      }
      for (const grant of open) await window.settle(grant, 0);
    };
    await Promise.all(Array.from({ length: 20 }, (_, worker) => work(worker)));
    // A connection tells its counts when it ends.
    await database.close();
    await using after = track(connectDatabase({ url: database.url }));
    const counted = (await after.pool.query(
      sql`select deadlocks::integer as deadlocks from pg_stat_database where datname = current_database()`,
    )) as { deadlocks: number }[];
    expect(counted).toEqual([{ deadlocks: 0 }]);
  });

  it('are taken of the earlier tick first by a call that ends', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 3 }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const [ended, ending] = [await take(window, 2), await take(window, 3)];
    await window.settle(ended, windowMs);
    await crossing(database, () =>
      call(database, 'quota_settle', sql`${ending.id}, ${windowMs}, ${tickMs}, false, ${clock.ms}`),
    );
    expect(await taken(window, 8)).toBe(3);
  });

  it('are taken of the earlier tick first by a grant that removes those that are over', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 3 }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    // The later one lies first in the table.
    for (const freeInMs of [2 * tickMs, tickMs]) await window.settle(await take(window, 2), freeInMs);
    clock.ms += 2 * tickMs;
    await crossing(database, () => callTake(database, sql`${clock.ms}::float8`));
    expect(await taken(window, 8)).toBe(0);
  });

  it('let removeExpired pass by a window that is in use', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 3 }));
    const clock = clockAt(Date.now() - 8 * 24 * hourMs);
    const window = openWindow(database, clock);
    await take(window, 8);
    await database.pool.tx(async (transaction) => {
      await transaction.query(sql`select from ${sql.ident(database.ownSchema, 'quota_windows')} for update`);
      await removeExpired({ database });
    });
    expect(await rowsOf(database)).toEqual({ quota_windows: 1, quota_ticks: 1, quota_calls: 1, quota_limits: 1 });
    await removeExpired({ database });
    expect(await rowsOf(database)).toEqual({ quota_windows: 0, quota_ticks: 0, quota_calls: 0, quota_limits: 0 });
  });
});

describe('the migration to ticks', () => {
  it('keeps what was spent, and leaves nothing that an older process could go by', async () => {
    await using database = track(await openTestDatabase());
    await applyMigrations(database, beforeTicks);
    const slots = sql.ident(database.ownSchema, 'quota_slots');
    const key = 'twelve-data:6fce3d5f1b3b0a4e:60000';
    const [call, others] = ['5f2b2c4e-0000-4000-8000-000000000001', '00000000-0000-0000-0000-000000000000'];
    const slot = (number: number, freeInMs: number, grant: string | null) => sql`
      insert into ${slots} values (${key}, ${number}, clock_timestamp(),
        clock_timestamp() + ${freeInMs} * interval '1 millisecond', ${grant})`;
    const spent = [
      [-1, null],
      [30_000, null],
      [30_000, null],
      [75_000, call],
      [75_000, call],
      [75_000, call],
      [60_000, others],
      [65_000, others],
    ] as const;
    for (const [number, [freeInMs, grant]] of spent.entries()) await database.pool.query(slot(number, freeInMs, grant));
    await migrate({ database });
    const rest = (await database.pool.query(sql`
      select taken, retry_in_ms from ${sql.ident(database.ownSchema, 'quota_take')}(
        ${key}, 9, 2, 0, gen_random_uuid(), 75000, 60000, 100, 8, 300000, null)`)) as {
      taken: number;
      retry_in_ms: number;
    }[];
    expect(rest[0]?.taken).toBe(0);
    expect(rest[0]?.retry_in_ms).toBeGreaterThan(20_000);
    expect(rest[0]?.retry_in_ms).toBeLessThanOrEqual(30_000 + tickMs);
    const free = async (atMs: number): Promise<unknown> =>
      database.pool.query(sql`
        select (8 - sum(credits) - max(others))::integer as free from ${sql.ident(database.ownSchema, 'quota_ticks')}
        where tick * 100 > extract(epoch from clock_timestamp()) * 1000 + ${atMs}`);
    expect(await free(0)).toEqual([{ free: 1 }]);
    expect(await free(32_000)).toEqual([{ free: 3 }]);
    expect(await free(62_000)).toEqual([{ free: 4 }]);
    expect(await free(67_000)).toEqual([{ free: 5 }]);
    // The call is known, and can still end.
    await database.pool.query(
      sql`select ${sql.ident(database.ownSchema, 'quota_settle')}(${key}, ${call}, 1000, 100, false, null)`,
    );
    expect(await free(32_000)).toEqual([{ free: 6 }]);
    await expect(database.pool.query(sql`select from ${slots}`)).rejects.toMatchObject({ code: '42P01' });
  });
});

describe('a window of the database whose migration is missing', () => {
  it('says so', async () => {
    await using database = track(await openTestDatabase());
    await applyMigrations(database, beforeTicks);
    await expect(openWindow(database, clockAt()).take(want(1))).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringContaining('run `fintrack-pipelines migrate`') as string,
    });
  });
});
