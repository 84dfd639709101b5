import { sql } from '@databases/pg';
import { expect, it } from 'vitest';
import { openTestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';

it('reads text where JavaScript has no exact type', async () => {
  await using database = track(await openTestDatabase({ shape: 'S1' }));
  const rows: unknown = await database.pool.query(sql`
    select 123456789012345.6789::numeric as "numeric", 9007199254740993::bigint as "bigint", date '2026-01-31' as "date",
           timestamp '2026-01-31 12:00:00' as "timestamp", timestamptz '2026-01-31 12:00:00+00' as "timestamptz",
           array[0.10, 2.5]::numeric[] as "numerics", array[date '2026-01-31', null] as "dates"`);
  expect(rows).toEqual([
    {
      numeric: '123456789012345.6789',
      bigint: '9007199254740993',
      date: '2026-01-31',
      timestamp: '2026-01-31 12:00:00',
      timestamptz: '2026-01-31 07:00:00-05',
      numerics: ['0.10', '2.5'],
      dates: ['2026-01-31', null],
    },
  ]);
});
