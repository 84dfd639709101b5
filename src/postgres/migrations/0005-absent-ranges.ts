import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';

/**
 * A note on fetched months covers all from `month` to `last_month`: what a provider does not have is mostly a long time before
 * its first price, and was a row for each month of it.
 */
export const createAbsentRanges = (ownSchema: string): SQLQuery => {
  const months = sql.ident(ownSchema, 'fetched_months');
  return sql`
    alter table ${months} add column last_month date;

    -- Neighbors that were asked for together become one note, which keeps the first month.
    update ${months} as kept set last_month = noted.last_month
    from (
      select provider, symbol, asset_type, min(month) as month, max(month) as last_month
      from (
        select provider, symbol, asset_type, month, fetched_at, present, month - row_number() over (
          partition by provider, symbol, asset_type, present, fetched_at order by month) * interval '1 month' as run
        from ${months}
      ) as each
      group by provider, symbol, asset_type, present, fetched_at, run
    ) as noted
    where kept.provider = noted.provider and kept.symbol = noted.symbol and kept.asset_type = noted.asset_type
      and kept.month = noted.month;
    delete from ${months} where last_month is null;

    alter table ${months} alter column last_month set not null, add check (last_month >= month);
  `;
};
