import { sql } from '@databases/pg';
import type { Queryable } from '@databases/pg';
import { expect } from 'vitest';

/** Resolves once so many statements on a schema wait for a lock of another transaction. */
export async function waitingForLocks(queryable: Queryable, schema: string, count: number): Promise<void> {
  const waiting = async () =>
    (await queryable.query(sql`
      select count(*)::integer as waiting from pg_stat_activity
      where wait_event_type = 'Lock' and position(${schema} in query) > 0`)) as unknown[];
  await expect.poll(waiting, { interval: 20, timeout: 20_000 }).toEqual([{ waiting: count }]);
}
