import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { quotaKey } from '../../../src/postgres/limits/quotaKey.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import type { Shape, TestDatabase } from '../../support/postgres.ts';

/** The clock of the window: what a statement finds there does not depend on how long the tables took to fill. */
export const clockMs = Date.now();

/** Whose window and days are full. */
export const key = { provider: 'twelve-data', apiKey: 'full-tables' };

export interface FullTables {
  readonly rows: number;
  /** Whether the planner knows of them. */
  readonly analyzed: boolean;
  /** Of the price tables. */
  readonly shape: Shape;
}

/** A database each of whose tables has `rows` rows. */
export async function openFullTables({ rows, analyzed, shape }: FullTables): Promise<TestDatabase> {
  const database = await openTestDatabase({ shape, migrated: true, ownDatabase: true });
  const names = await tablesOf(database);
  for (const name of names) await database.pool.query(sql`alter table ${name} set (autovacuum_enabled = false)`);
  for (const fill of [...fillsOfPrices(database), ...fillsOfOwn(database)])
    await database.pool.query(sql`${fill} from generate_series(0, ${rows - 1}) as n`);
  if (analyzed) for (const name of names) await database.pool.query(sql`analyze ${name}`);
  return database;
}

async function tablesOf({ pool, schema, ownSchema }: TestDatabase): Promise<readonly SQLQuery[]> {
  const rows = (await pool.query(sql`
    select schemaname, tablename from pg_tables where schemaname in (${schema}, ${ownSchema}) order by 1, 2`)) as {
    schemaname: string;
    tablename: string;
  }[];
  return rows.map(({ schemaname, tablename }) => sql.ident(schemaname, tablename));
}

/** All is as new as it is in a database that works: of 100,000 rows, 1,000 assets of 100 months, 1,000 requests of 100 batches. */
function fillsOfPrices({ schema }: TestDatabase): readonly SQLQuery[] {
  const prices = (name: string): SQLQuery => sql.ident(schema, name);
  const now = sql`now() at time zone 'UTC'`;
  return [
    sql`insert into ${prices('market_data')} (symbol, asset_type, price, percent_change, change, high, low, updated_at)
      select 'S' || n, 'STOCK', n + 1, 1, 1, n + 1, n + 1, ${now}`,
    sql`insert into ${prices('market_index_data')}
      (symbol, price, percent_change, price_change, price_high, price_low, updated_at)
      select 'S' || n, n + 1, 1, 1, n + 1, n + 1, ${now}`,
    sql`insert into ${prices('market_data_monthly')} (symbol, asset_type, date, price)
      select 'S' || n / 100, 'STOCK', date '2015-01-01' + n % 100 * interval '1 month', n + 1`,
  ];
}

function fillsOfOwn({ ownSchema }: TestDatabase): readonly SQLQuery[] {
  const own = (name: string): SQLQuery => sql.ident(ownSchema, name);
  const ours = quotaKey(key.provider, key.apiKey);
  return [
    sql`insert into ${own('requests')} (key, pipeline, inputs, batch_size, total_batches, accepted_at)
      select 'r' || n, 'marketData', '[]', 100, 100, now() - n * interval '1 second'`,
    sql`insert into ${own('batches')} (request, number, outcomes, ok) select 'r' || n / 100, n % 100, '[["S1"]]', 1`,
    sql`insert into ${own('fetched_months')} (provider, symbol, asset_type, month, last_month, present)
      select 'massive', 'S' || n / 10, 'STOCK', date '2005-01-01' + n % 10 * interval '1 month',
        date '2005-01-01' + n % 10 * interval '1 month', false`,
    sql`insert into ${own('starts')} (request, number, tokens) select 'r' || n, -1, array['a']`,
    sql`insert into ${own('quota_days')} (key, period, used, last_booked) select 'k' || n / 31, '2026-11-' || n % 31, 1, 1`,
    sql`insert into ${own('quota_windows')} (key, granted, taken_at) select 'k' || n, 1, now()`,
    sql`insert into ${own('quota_limits')} (key, credits, seen_at) select 'k' || n, 8, now()`,
    sql`insert into ${own('quota_calls')} (id, key, tick, credits, hold_ms, held, granted)
      select gen_random_uuid(), 'k' || n / 10, n, 1, 60000, 1, 1`,
    // The last 600 are of our own window, and to come.
    sql`insert into ${own('quota_ticks')} (key, tick, credits, hold_ms)
      select case when n < 600 then ${`${ours}:60000`} else 'k' || n / 600 end,
        ${clockMs}::bigint / 100 + n % 600, 1, 60000`,
    sql`insert into ${own('refused_keys')} (key, message, pause_ms, try_at) select 'k' || n, 'no', 1000, now()`,
  ];
}
