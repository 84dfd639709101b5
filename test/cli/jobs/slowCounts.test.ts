import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { patientLimiter } from '../../../src/cli/jobs/patientLimiter.ts';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { postgresQuotaStore } from '../../../src/postgres/limits/postgresQuotaStore.ts';
import { postgresWindow } from '../../../src/postgres/limits/postgresWindow.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';

// Issue 10, item 7: the inputs failed, although they have nothing to do with what was slow.
describe('credits that are counted in a slow database', () => {
  const account = { provider: 'slow', apiKey: 'slow' };

  it.each(['quota_days', 'quota_calls'])('are waited for, and it is called busy: %s', async (table) => {
    const limits = { statementTimeoutMs: 250, lockTimeoutMs: 50 };
    await using database = track(await openTestDatabase({ migrated: true, ...limits }));
    const { pool, ownSchema } = database;
    const slow = sql.ident(ownSchema, 'slow');
    await pool.query(sql`create sequence ${sql.ident(ownSchema, 'tries')}`);
    const body = `$$ begin if nextval('"${ownSchema}".tries') <= 3 then perform pg_sleep(5); end if; return new; end $$`;
    await pool.query(
      sql`create function ${slow}() returns trigger language plpgsql as ${sql.__dangerous__rawValue(body)}`,
    );
    await pool.query(sql`
      create trigger slow before insert on ${sql.ident(ownSchema, table)} for each row execute function ${slow}()`);
    const limiter = creditLimiter({
      credits: 8,
      window: postgresWindow({ database, ...account, credits: 8 }),
      quotas: [{ credits: 800, period: 'day', store: postgresQuotaStore({ database, ...account }) }],
    });
    const told: string[] = [];
    const patient = patientLimiter(limiter, {
      onAway: ({ code, message }) => told.push(`${code}: ${/57014/.exec(message)?.[0] ?? message}`),
      onGrant: () => told.push('granted'),
      probe: () => database.probe(),
    });
    const { signal } = new AbortController();
    expect(await patient.run({ credits: 1 }, () => Promise.resolve('done'), { signal })).toBe('done');
    expect(told).toEqual([...Array.from({ length: 3 }, () => 'database_busy: 57014'), 'granted']);
    await limiter.stop();
  });
});
