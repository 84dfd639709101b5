import { randomUUID } from 'node:crypto';
import { sql } from '@databases/pg';
import type { Queryable } from '@databases/pg';
import { deploymentStates, stateOf } from './errors.ts';

/** The answer is wanted soon, also when it is that others lock the table. */
const longestLockMs = 1000;

/**
 * Asks whether the database answers and takes a write to our own tables, which is undone. Rejects with the driver's error when
 * it does not. Where there are no tables of ours, or no right to write them, the answer is enough.
 */
export async function probe(queryable: Queryable, ownSchema: string): Promise<void> {
  await queryable.query(sql`select 1`);
  const undone = new Error('undone');
  const key = `probe ${randomUUID()}`;
  try {
    await queryable.tx(async (transaction) => {
      await transaction.query(sql`
        select set_config('lock_timeout', least(coalesce(nullif(setting::integer, 0), ${longestLockMs}), ${longestLockMs})::text, true)
        from pg_settings where name = 'lock_timeout'`);
      await transaction.query(sql`
        with request as (
          insert into ${sql.ident(ownSchema, 'requests')} (key, pipeline, inputs, batch_size, total_batches)
          values (${key}, 'probe', '[]', 1, 0)
        )
        insert into ${sql.ident(ownSchema, 'batches')} (request, number) values (${key}, 0)`);
      throw undone;
    });
  } catch (error) {
    if (error !== undone && !deploymentStates.test(stateOf(error))) throw error;
  }
}
