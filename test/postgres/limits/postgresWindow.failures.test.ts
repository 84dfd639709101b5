import { sql } from '@databases/pg';
import { describe, expect, it, vi } from 'vitest';
import type { SharedWindow } from '../../../src/model/quotaPorts.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';
import { postgresWindow } from '../../../src/postgres/limits/postgresWindow.ts';
import { administrate, createUser, openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { deferred } from '../../support/deferred.ts';
import { track } from '../../support/track.ts';
import { clockAt, holdMs, openWindow, take, taken, tickMs, want } from './windowTools.ts';
import type { TestClock } from './windowTools.ts';

const key = { provider: 'twelve-data', apiKey: 'some-api-key' };

/** A database whose windows nobody can touch until `unlock`. */
async function lockWindows(database: TestDatabase) {
  const [locked, unlocked] = [deferred(), deferred()];
  const done = database.pool.tx(async (transaction) => {
    await transaction.query(sql`lock table ${sql.ident(database.ownSchema, 'quota_windows')} in access exclusive mode`);
    locked.resolve();
    await unlocked.promise;
  });
  await locked.promise;
  const unlock = async (): Promise<void> => {
    unlocked.resolve();
    await done;
  };
  return track({ unlock }, unlock);
}

/** The same schemas by connections of another name. */
function connectAgain({ url, schema, ownSchema }: TestDatabase, applicationName: string): Database {
  return connectDatabase({ url, schema, ownSchema, applicationName });
}

/** Resolves once a statement of the database waits for a lock. */
async function somebodyWaits({ pool }: TestDatabase, applicationName: string): Promise<void> {
  const waiting = sql`select 1 from pg_stat_activity where application_name = ${applicationName} and wait_event_type = 'Lock'`;
  while (((await pool.query(waiting)) as unknown[]).length === 0);
}

/** Resolves once credits have been granted at that time, whether they are still held or not. */
async function grantedAt({ pool, ownSchema }: TestDatabase, { ms }: TestClock): Promise<void> {
  const granted = sql`select 1 from ${sql.ident(ownSchema, 'quota_windows')} where taken_at = ${new Date(ms)}`;
  while (((await pool.query(granted)) as unknown[]).length === 0);
}

/** Asks again until all credits are free: the clock stands still, so that only what is given back is. */
async function takesAll(window: SharedWindow): Promise<number> {
  for (;;) {
    const credits = await taken(window, 8, { min: 8 });
    if (credits > 0) return credits;
  }
}

/** The next statement is run, but its connection breaks before the answer. */
function loseNextAnswer({ pool }: TestDatabase): void {
  const query = pool.query.bind(pool) as (statement: unknown) => Promise<unknown>;
  vi.spyOn(pool, 'query').mockImplementationOnce(async (statement: unknown) => {
    await query(statement);
    throw new Error('Connection terminated unexpectedly');
  });
}

describe('postgresWindow without its database', () => {
  it('grants nothing, and says whether to try again', async () => {
    await using gone = track(connectDatabase({ url: 'postgres://nobody:secret@127.0.0.1:1/none' }));
    await using empty = track(await openTestDatabase());
    const failing = postgresWindow({ database: gone, ...key, credits: 8 }).take(want(1));
    await expect(failing).rejects.toMatchObject({ name: 'SinkError', code: 'database_unavailable', retryable: true });
    await expect(failing).rejects.not.toThrow(/secret|some-api-key/);
    await expect(openWindow(empty, clockAt()).take(want(1))).rejects.toMatchObject({
      code: 'database_not_ready',
      retryable: false,
      message: expect.stringContaining('run `fintrack-pipelines migrate`') as string,
    });
  });

  it('names the right that is missing, and needs no other than those that are documented', async () => {
    await using admin = track(await openTestDatabase({ migrated: true }));
    await using user = track(await createUser(admin));
    const { schema, ownSchema } = admin;
    await using database = track(connectDatabase({ url: user.url, schema, ownSchema }));
    const window = postgresWindow({ database, ...key, credits: 8 });
    const [own, name] = [sql.ident(ownSchema), sql.ident(user.name)];
    await admin.pool.query(sql`grant usage on schema ${own} to ${name}`);
    await expect(window.take(want(1))).rejects.toMatchObject({
      code: 'database_not_ready',
      message: expect.stringMatching(/permission denied for table quota_\w+ for user .*: grant it/) as string,
    });
    await admin.pool.query(sql`grant select, insert, update, delete on all tables in schema ${own} to ${name}`);
    const grant = await take(window, 8);
    await window.release(grant, 1);
    await window.settle(grant, 0);
  });

  it('gives up after its time limit, and gives back what is granted later', async () => {
    const applicationName = 'slow window';
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 4 }));
    await using other = track(connectAgain(database, applicationName));
    const clock = clockAt();
    const slow = openWindow(other, clock, { timeoutMs: 50 });
    const patient = openWindow(database, clock);
    await patient.release(await take(patient, 8), 8);
    clock.ms += 1;
    await using windows = await lockWindows(database);
    await expect(slow.take(want(8))).rejects.toMatchObject({
      code: 'database_unavailable',
      retryable: true,
      message: expect.stringContaining('did not answer within 50 ms') as string,
    });
    await windows.unlock();
    await grantedAt(database, clock);
    expect(await takesAll(patient)).toBe(8);
  });

  it('rejects at once when aborted, and gives back what is granted all the same', async () => {
    const applicationName = 'aborted window';
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 4 }));
    await using other = track(connectAgain(database, applicationName));
    const clock = clockAt();
    const aborted = openWindow(other, clock);
    const patient = openWindow(database, clock);
    await patient.release(await take(patient, 8), 8);
    clock.ms += 1;
    await using windows = await lockWindows(database);
    const controller = new AbortController();
    const reason = new Error('enough');
    const taking = aborted.take(want(8, { signal: controller.signal }));
    await somebodyWaits(database, applicationName);
    controller.abort(reason);
    await expect(taking).rejects.toBe(reason);
    await expect(aborted.take(want(8, { signal: controller.signal }))).rejects.toBe(reason);
    await windows.unlock();
    await grantedAt(database, clock);
    expect(await takesAll(patient)).toBe(8);
  });

  it('rejects when its connection is cut, and grants again by another one', async () => {
    const applicationName = 'cut window';
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 4 }));
    await using other = track(connectAgain(database, applicationName));
    const window = openWindow(other, clockAt());
    await window.release(await take(window, 8), 8);
    await using windows = await lockWindows(database);
    const taking = window.take(want(8));
    taking.catch(() => undefined);
    await somebodyWaits(database, applicationName);
    await administrate(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${applicationName}'`,
    );
    await expect(taking).rejects.toMatchObject({ code: 'database_unavailable', retryable: true });
    await windows.unlock();
    expect(await takesAll(window)).toBe(8);
  });

  it('gives back, before it takes the next, a grant whose answer was lost', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = openWindow(database, clockAt());
    await window.release(await take(window, 8), 8);
    loseNextAnswer(database);
    await expect(window.take(want(8))).rejects.toMatchObject({ code: 'database_unavailable', retryable: true });
    expect(await takesAll(window)).toBe(8);
  });

  it('gives back a grant that took too much of its hold, because its call might outlast it', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = openWindow(database, clockAt());
    await window.release(await take(window, 8), 8);
    const now = vi.spyOn(performance, 'now');
    now.mockReturnValueOnce(0).mockReturnValue(holdMs / 20 + 1);
    expect(await window.take(want(8))).toEqual({ retryInMs: 250 });
    now
      .mockReset()
      .mockReturnValueOnce(0)
      .mockReturnValue(holdMs / 20);
    expect(await taken(window, 8)).toBe(8);
    now.mockRestore();
  });

  it('settles and gives back later when the server is away for a moment', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const grant = await take(window, 8);
    // Both times the statement was run: it is run again, and does no more than before.
    for (const tell of [() => window.release(grant, 3), () => window.settle(grant, tickMs)]) {
      loseNextAnswer(database);
      await tell();
    }
    expect(await taken(window, 8)).toBe(3);
    clock.ms += tickMs;
    expect(await taken(window, 8)).toBe(5);
  });
});
