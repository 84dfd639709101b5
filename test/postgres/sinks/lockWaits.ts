import { sql } from '@databases/pg';
import { expect } from 'vitest';
import type { Database } from '../../../src/postgres/connectDatabase.ts';

/** Resolves once so many statements on the schemas of a test wait for a lock of another transaction. */
export async function waitingForLocks({ pool, schema, ownSchema }: Database, count: number): Promise<void> {
  const waiting = async (): Promise<unknown> =>
    pool.query(sql`
      select count(*)::integer as waiting from pg_stat_activity
      where wait_event_type = 'Lock' and (position(${schema} in query) > 0 or position(${ownSchema} in query) > 0)`);
  await expect.poll(waiting, { interval: 20, timeout: 20_000 }).toEqual([{ waiting: count }]);
}
