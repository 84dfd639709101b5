import { sql } from '@databases/pg';
import { describe, expect, it, vi } from 'vitest';
import type { SharedGrant } from '../../../src/model/quotaPorts.ts';
import { removeExpired } from '../../../src/postgres/ledger/removeExpired.ts';
import { postgresWindow } from '../../../src/postgres/limits/postgresWindow.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import {
  clockAt,
  holdMs,
  openWindow,
  retryInMs,
  windowKeys,
  take,
  taken,
  tickMs,
  want,
  windowMs,
} from './windowTools.ts';

const hourMs = 3_600_000;

describe('postgresWindow', () => {
  it('grants what is free, also in part, and then says when to ask again', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const [here, elsewhere] = [openWindow(database, clock), openWindow(database, clock)];
    const first = await take(here, 5);
    expect(first.credits).toBe(5);
    clock.ms += 1_000;
    expect(await taken(elsewhere, 5)).toBe(3);
    // A call on its way frees nothing before a window is over.
    expect(await retryInMs(elsewhere)).toBe(windowMs - 1_000);
    // A call that has ended says exactly when: with the end of the tick.
    clock.ms += 100;
    await here.settle(first, windowMs + 2);
    expect(await retryInMs(here)).toBe(windowMs - 1_100 + 1_000);
    clock.ms += 1_000;
    expect(await retryInMs(here, { min: 6 })).toBe(windowMs + tickMs - 1_000);
  });

  it('asks every 250 ms for calls whose answer is late', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const late = await take(window, 8);
    clock.ms += windowMs + tickMs;
    expect(await retryInMs(window)).toBe(250);
    await window.settle(late, windowMs);
    expect(await retryInMs(window)).toBe(windowMs);
  });

  it('grants all of `min` or nothing', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = openWindow(database, clockAt());
    await take(window, 5);
    expect(await taken(window, 8, { min: 4 })).toBe(0);
    expect(await taken(window, 8, { min: 3 })).toBe(3);
  });

  it('leaves the reserve to those who may have it', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const low = await take(window, 8, { reserve: 2 });
    expect(low.credits).toBe(6);
    expect(await taken(window, 1, { reserve: 2 })).toBe(0);
    const high = await take(window, 1);
    await window.settle(low, 1_000);
    clock.ms += 1_000;
    // One of the two that are kept is in use: the six that are free again are five for everybody.
    expect(high.credits).toBe(1);
    expect(await taken(window, 8, { reserve: 2 })).toBe(5);
    expect(await taken(window, 8)).toBe(2);
  });

  it('holds credits for as long as it was told, and no longer', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const [dying, living] = [openWindow(database, clock), openWindow(database, clock)];
    await take(dying, 8);
    clock.ms += holdMs - 1;
    expect(await taken(living, 8)).toBe(0);
    clock.ms += 1;
    expect(await taken(living, 8)).toBe(8);
  });

  it('settles no credits that have gone to another call', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const forgotten = await take(window, 8);
    clock.ms += holdMs;
    await take(window, 8);
    await window.settle(forgotten, 0);
    await window.release(forgotten, 8);
    expect(await taken(window, 8)).toBe(0);
  });

  it('gives back at once what a call does not use', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const window = openWindow(database, clock);
    const grant = await take(window, 8);
    await window.release(grant, 3);
    await window.release(grant, 0);
    await window.release(grant, 1);
    expect(await taken(window, 8)).toBe(4);
    await expect(window.release(grant, 5)).rejects.toMatchObject({ code: 'options_invalid' });
    await window.settle(grant, tickMs);
    clock.ms += tickMs;
    expect(await taken(window, 8)).toBe(4);
  });

  it('never grants more than there is to 20 connections at once', async () => {
    await using database = track(await openTestDatabase({ migrated: true, poolSize: 20 }));
    // The clock moves with each question, so that rows change between a look and a lock.
    const clock = clockAt();
    let [held, most, least, grants] = [0, 0, 0, 0];
    const work = async (worker: number): Promise<void> => {
      const window = openWindow(database, clock);
      for (let round = 0; round < 30; round += 1) {
        clock.ms += 1;
        const min = 1 + ((worker + round) % 3);
        const answer = await window.take(want(min + (round % 6), { min, reserve: worker % 2 }));
        if ('retryInMs' in answer) continue;
        grants += 1;
        least = Math.min(least, answer.credits - min);
        held += answer.credits;
        most = Math.max(most, held);
        await new Promise(setImmediate);
        held -= answer.credits;
        if (round % 3 === 0) await window.release(answer, answer.credits);
        else await window.settle(answer, 0);
      }
    };
    await Promise.all(Array.from({ length: 20 }, (_, worker) => work(worker)));
    expect(most).toBeLessThanOrEqual(8);
    expect(least).toBe(0);
    expect(grants).toBeGreaterThan(8);
    expect(await taken(openWindow(database, clock), 8)).toBe(8);
  });

  it('tells providers, keys and lengths of a window apart, and stores no key', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const windows = [
      {},
      { provider: 'massive' },
      { windowMs: 1_000 },
      { apiKey: `'; drop table quota_slots; --` },
      { apiKey: 'nul\0byte, €, \ud800' },
      { apiKey: 'x'.repeat(10_000) },
      { provider: `it's "massive":60000\\`, apiKey: 'x' },
    ];
    for (const options of windows) expect(await taken(openWindow(database, clock, options), 9)).toBe(8);
    const keys = await windowKeys(database);
    expect(keys).toHaveLength(windows.length);
    for (const { apiKey } of windows) expect(keys.join('\n')).not.toContain((apiKey ?? 'some-api-key').slice(0, 8));
  });

  it('keeps a window in each schema', async () => {
    await using first = track(await openTestDatabase({ migrated: true }));
    await using second = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    for (const database of [first, second]) expect(await taken(openWindow(database, clock), 9)).toBe(8);
  });

  it('goes by the clock of the database, whatever that of the process says', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = postgresWindow({ database, provider: 'p', apiKey: 'k', credits: 8 });
    await take(window, 8);
    vi.useFakeTimers({ toFake: ['Date'] });
    for (const ahead of [hourMs, -hourMs]) {
      vi.setSystemTime(Date.now() + ahead);
      const waitMs = await retryInMs(window);
      expect(waitMs).toBeGreaterThan(windowMs / 2);
      expect(waitMs).toBeLessThanOrEqual(windowMs + tickMs);
    }
  });

  it('refuses what can never be served', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = openWindow(database, clockAt());
    await expect(window.take(want(9, { min: 9 }))).rejects.toMatchObject({
      code: 'options_invalid',
      message: 'postgresWindow: 9 credits at once, but the window holds 8',
    });
    const grant: SharedGrant = await take(window, 1);
    await expect(window.settle(grant, -1)).rejects.toMatchObject({ code: 'options_invalid' });
    await expect(window.settle(grant, NaN)).rejects.toMatchObject({ code: 'options_invalid' });
  });

  it.each([
    { credits: 0 },
    { credits: -1 },
    { credits: 1.5 },
    { credits: Infinity },
    { provider: 'a\0b' },
    { apiKey: '' },
  ])('refuses %o', async (options) => {
    await using database = track(await openTestDatabase());
    expect(() => openWindow(database, clockAt(), options)).toThrow(
      expect.objectContaining({ code: 'options_invalid' }),
    );
  });
});

describe('postgresWindow, where processes disagree', () => {
  it('grants by the smallest number of credits while that is in force, and then by the larger one', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const clock = clockAt();
    const large = openWindow(database, clock, { credits: 55 });
    const small = openWindow(database, clock, { credits: 8 });
    const old = await take(large, 20);
    expect(old.credits).toBe(20);
    // Beyond the 8, more is held than there is for everybody.
    expect(await taken(small, 8)).toBe(0);
    await large.settle(old, 0);
    expect(await taken(large, 55)).toBe(8);
    await expect(large.take(want(20, { min: 9 }))).rejects.toThrow(/window holds 8, because another process/);
    clock.ms += 5 * 60_000;
    expect(await taken(large, 55)).toBe(55);
    expect(await taken(small, 8)).toBe(0);
  });

  it('makes its rows again when somebody has removed them', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const window = openWindow(database, clockAt());
    await take(window, 1);
    for (const table of ['quota_ticks', 'quota_windows', 'quota_limits']) {
      await database.pool.query(sql`delete from ${sql.ident(database.ownSchema, table)}`);
      expect(await taken(window, 1)).toBe(1);
      expect(await windowKeys(database)).toHaveLength(1);
    }
  });

  it('leaves the removal of windows that nobody uses to removeExpired', async () => {
    await using database = track(await openTestDatabase({ migrated: true }));
    const [past, present] = [clockAt(Date.now() - 8 * 24 * hourMs), clockAt(Date.now())];
    await take(openWindow(database, past), 8);
    await take(openWindow(database, present, { provider: 'massive' }), 8);
    expect(await windowKeys(database)).toHaveLength(2);
    await removeExpired({ database });
    expect(await windowKeys(database)).toEqual([expect.stringMatching(/^massive:[0-9a-f]{16}:60000$/)]);
  });
});
