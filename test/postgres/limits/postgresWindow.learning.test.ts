import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import type { SharedGrant, SharedWindow } from '../../../src/model/quotaPorts.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { clockAt, openWindow, retryInMs, take, taken, tickMs, want, windowMs } from './windowTools.ts';

const forMs = windowMs + 5_000;
const credits = 20;

/** How many credits are held for others: never more than there are. */
async function heldForOthers({ pool, ownSchema }: Database, atMs: number, limit = credits): Promise<number> {
  const rows = (await pool.query(sql`
    select least(coalesce(max(others), 0), ${limit} - coalesce(sum(credits), 0))::integer as held
    from ${sql.ident(ownSchema, 'quota_ticks')} where tick * ${tickMs}::bigint > ${atMs}::float8`)) as {
    held: number;
  }[];
  return rows[0]?.held ?? 0;
}

/** A grant of each window. */
async function takeEach(windows: readonly SharedWindow[], credits: number): Promise<SharedGrant[]> {
  const grants: SharedGrant[] = [];
  for (const window of windows) grants.push(await take(window, credits, { holdMs: 60 * windowMs }));
  return grants;
}

describe('postgresWindow.report', () => {
  it('holds back from every process what others spent, until its time', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const [here, elsewhere] = [openWindow(database, clock, { credits }), openWindow(database, clock, { credits })];
    await elsewhere.settle(await take(elsewhere, 3), windowMs);
    clock.ms += 1_000;
    const grant = await take(here, 4);
    clock.ms += 100;
    await here.report?.(grant, 3 + 4 + 5, forMs);
    await here.settle(grant, windowMs);
    expect(await heldForOthers(database, clock.ms)).toBe(5);
    expect(await taken(elsewhere, credits)).toBe(credits - 12);
    clock.ms += windowMs;
    // Our own are free again; those of others, and what was taken last, are not.
    expect(await taken(elsewhere, credits)).toBe(7);
    expect(await retryInMs(elsewhere, { min: 5 })).toBe(250);
    clock.ms += 5_000;
    expect(await heldForOthers(database, clock.ms)).toBe(0);
    expect(await taken(here, 5)).toBe(5);
  });

  it('says exactly when the credits of others are free', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = openWindow(database, clockAt());
    const grant = await take(window, 1);
    await window.report?.(grant, 8, forMs);
    await window.settle(grant, windowMs);
    expect(await retryInMs(window, { min: 1 })).toBe(windowMs);
    expect(await retryInMs(window, { min: 2 })).toBe(forMs);
  });

  it('counts as its own what was granted since, also of what was free again by then', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock, { credits });
    await window.settle(await take(window, 10), 1_000);
    const slow = await take(window, 5);
    clock.ms += 1_000;
    await take(window, 10);
    clock.ms += 1_000;
    await window.report?.(slow, 10 + 5 + 10, forMs);
    expect(await heldForOthers(database, clock.ms)).toBe(0);
    await window.report?.(slow, 10 + 5 + 10 + 2, forMs);
    expect(await heldForOthers(database, clock.ms)).toBe(2);
  });

  it('does not count as its own what was given back or refused', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock, { credits });
    await window.settle(await take(window, 4), forMs, true);
    const grant = await take(window, 6);
    clock.ms += 1;
    const later = await take(window, 5);
    clock.ms += 1;
    await window.release(grant, 1);
    await window.release(later, 3);
    await window.report?.(grant, 5 + 2 + 7, forMs);
    // The refused ones are held already, and are part of the seven.
    expect(await heldForOthers(database, clock.ms)).toBe(7);
    expect(await taken(window, credits)).toBe(credits - 14);
  });

  it('holds the larger of two numbers until its own time, and the smaller one from there', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock, { credits });
    const grant = await take(window, 1, { holdMs: 10 * windowMs });
    await window.report?.(grant, 1 + 9, forMs);
    const largerUntil = clock.ms + forMs;
    for (const _ of [1, 2]) {
      clock.ms += 10_000;
      await window.report?.(grant, 1 + 4, forMs);
      expect(await heldForOthers(database, largerUntil - 1)).toBe(9);
      expect(await heldForOthers(database, largerUntil)).toBe(4);
    }
    await window.report?.(grant, 1 + 11, forMs);
    expect(await heldForOthers(database, clock.ms + forMs - 1)).toBe(11);
    expect(await heldForOthers(database, clock.ms + forMs)).toBe(0);
  });

  it.each([
    ['what goes beyond the window', 1e300, 7],
    ['a number that is none', NaN, 0],
    ['nothing', 0, 0],
    ['less than we sent', 0.5, 0],
  ])('of %s holds only what there is', async (_name, used, held) => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const grant = await take(window, 1);
    await window.report?.(grant, used, forMs);
    expect(await heldForOthers(database, clock.ms, 8)).toBe(held);
    await expect(window.report?.(grant, 1, Infinity)).rejects.toMatchObject({ code: 'options_invalid' });
  });

  it('of a call that has ended, or been forgotten, says nothing', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const grant = await take(window, 1);
    await window.settle(grant, windowMs);
    await window.report?.(grant, 8, forMs);
    await openWindow(database, clock).report?.({ id: 'unknown', credits: 1 }, 8, forMs);
    expect(await heldForOthers(database, clock.ms)).toBe(0);
  });

  it('of many processes at once holds no more than one of them tells of', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 20 }));
    const clock = clockAt();
    const windows = Array.from({ length: 20 }, () => openWindow(database, clock, { credits: 200 }));
    const grants = await takeEach(windows, 2);
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(windows.map(async (window, index) => window.report?.(grants[index]!, 40 + 30, forMs)));
      expect(await heldForOthers(database, clock.ms, 200)).toBe(30);
      clock.ms += forMs;
    }
  });

  it('beside many who take credits at once holds only what nobody else does', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 20 }));
    const clock = clockAt();
    const windows = Array.from({ length: 20 }, () => openWindow(database, clock, { credits: 200 }));
    const grants = await takeEach(windows, 2);
    const reported = windows.map(async (window, index) => window.report?.(grants[index]!, 200, forMs));
    const further = await Promise.all(windows.map((window) => window.take(want(9))));
    await Promise.all(reported);
    const inUse = further.reduce((sum, answer) => sum + ('credits' in answer ? answer.credits : 0), 2 * windows.length);
    const left = await taken(windows[0]!, 200);
    expect(inUse + left + (await heldForOthers(database, clock.ms, 200))).toBe(200);
  });

  it('rejects where the database cannot be asked', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = openWindow(database, clockAt());
    const grant = await take(window, 1);
    await database.pool.query(sql`drop table ${sql.ident(database.ownSchema, 'quota_limits')}`);
    await expect(window.report?.(grant, 8, forMs)).rejects.toMatchObject({ code: 'database_not_ready' });
  });
});
