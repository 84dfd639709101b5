import { expect } from 'vitest';
import { sql } from '@databases/pg';
import type { SharedGrant, SharedWindow } from '../../../src/model/quotaPorts.ts';
import { postgresWindow } from '../../../src/postgres/limits/postgresWindow.ts';
import type { PostgresWindowOptions } from '../../../src/postgres/limits/postgresWindow.ts';
import type { Database } from '../../../src/postgres/connectDatabase.ts';

export const windowMs = 60_000;
/** A credit is free with the end of its tick, a 600th of the window. */
export const tickMs = 100;
export const holdMs = 75_000;

type Want = Parameters<SharedWindow['take']>[0];

/** A clock that stands still until it is moved. */
export interface TestClock {
  ms: number;
}

export function clockAt(ms = Date.UTC(2026, 10, 24, 14)): TestClock {
  return { ms };
}

/** A window of 8 credits a minute on the test's clock. */
export function openWindow(
  database: Database,
  clock: TestClock,
  options: Partial<PostgresWindowOptions> = {},
): SharedWindow {
  const key = { provider: 'twelve-data', apiKey: 'some-api-key' };
  return postgresWindow({ database, ...key, credits: 8, now: () => clock.ms, ...options });
}

export function want(credits: number, rest: Partial<Want> = {}): Want {
  return { credits, min: 1, reserve: 0, holdMs, signal: new AbortController().signal, ...rest };
}

/** A grant, where the test expects one. */
export async function take(window: SharedWindow, credits: number, rest: Partial<Want> = {}): Promise<SharedGrant> {
  const answer = await window.take(want(credits, rest));
  expect(answer).toHaveProperty('credits');
  return answer as SharedGrant;
}

/** How many credits `take` gets: 0 when it is to ask again. */
export async function taken(window: SharedWindow, credits: number, rest: Partial<Want> = {}): Promise<number> {
  const answer = await window.take(want(credits, rest));
  return 'credits' in answer ? answer.credits : 0;
}

export async function retryInMs(window: SharedWindow, rest: Partial<Want> = {}): Promise<number> {
  const answer = await window.take(want(1, rest));
  expect(answer).toHaveProperty('retryInMs');
  return (answer as { retryInMs: number }).retryInMs;
}

export async function windowKeys({ pool, ownSchema }: Database): Promise<string[]> {
  const rows = (await pool.query(
    sql`select distinct key from ${sql.ident(ownSchema, 'quota_windows')} order by key`,
  )) as { key: string }[];
  return rows.map(({ key }) => key);
}
