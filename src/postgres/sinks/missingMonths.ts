import { sql } from '@databases/pg';
import type { Queryable } from '@databases/pg';
import type { Standing } from '../../model/outcome.ts';
import type { MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import { plainArray, runStatement, statementOf, textArray } from '../ledger/statement.ts';
import { firstOf, lastOf, monthOf } from './months.ts';

export interface MissingMonthsOptions {
  /** Whose memory of absent and running months counts; undefined: everybody's. */
  readonly provider: string | undefined;
  readonly runningMonthMaxAgeMs: number;
  readonly absentMonthMaxAgeMs: number;
}

interface MonthsRow {
  readonly position: number;
  /** The first and the last month to be asked for, `YYYY-MM`; null when there is none. */
  readonly first: string | null;
  readonly last: string | null;
  /** How many months of the range are stored, and how many of these before `first` or after `last`. */
  readonly stored: number;
  readonly outside: number;
}

/**
 * What of the ranges is stored and what is to be asked for, in one statement for all of them.
 *
 * A month is to be asked for when it is not stored, unless the provider was asked for it not long ago and did not have
 * it; and when it is stored but was still running when it was fetched, and that is some time ago. Nothing is known of a
 * row that others wrote: it is taken as fetched after its month, and the running month as old. No month lies in the
 * future, by the database's clock, in UTC.
 */
export function missingMonths({ schema, ownSchema }: Database, table: string, options: MissingMonthsOptions) {
  const { provider = null, runningMonthMaxAgeMs, absentMonthMaxAgeMs } = options;
  const today = sql`(statement_timestamp() at time zone 'UTC')`;
  const older = (than: ReturnType<typeof sql>) => sql`< statement_timestamp() - ${than} * interval '1 millisecond'`;
  const statement = statementOf(sql`
    select given.position::integer as position, found.*
    from unnest($1::text[], $2::text[], $3::date[], $4::date[]) with ordinality
      as given (symbol, asset_type, start_date, end_date, position)
    cross join lateral (
      select to_char(min(first), 'YYYY-MM') as first, to_char(max(last), 'YYYY-MM') as last,
        count(*) filter (where stored)::integer as stored,
        count(*) filter (where stored and (month < first or month > last))::integer as outside
      from (
        select month, stored, min(month) filter (where wanted) over () as first, max(month) filter (where wanted) over () as last
        from (
          select month, there.month is not null as stored, case
            when there.month is null then absent_at is null
              or absent_at ${older(sql`case when absent_at < month_end then $5::float8 else $6::float8 end`)}
            when present_at is null then month_end > statement_timestamp()
            else present_at < month_end and present_at ${older(sql`$5::float8`)}
          end as wanted
          from (
            select g::date as month, (g + interval '1 month') at time zone 'UTC' as month_end
            from generate_series(date_trunc('month', start_date::timestamp),
              least(date_trunc('month', end_date::timestamp), ${today}), interval '1 month') as g
          ) as months
          left join (
            select distinct date_trunc('month', date::timestamp)::date as month
            from ${sql.ident(schema, table)} as stored
            where stored.symbol = given.symbol and stored.asset_type = given.asset_type
              and date >= date_trunc('month', start_date::timestamp)
              and date < date_trunc('month', end_date::timestamp) + interval '1 month'
          ) as there using (month)
          left join (
            select g::date as month, max(fetched_at) filter (where present) as present_at,
              max(fetched_at) filter (where not present) as absent_at
            from ${sql.ident(ownSchema, 'fetched_months')} as kept
            cross join generate_series(greatest(kept.month, date_trunc('month', start_date::timestamp)),
              least(kept.last_month, end_date)::timestamp, interval '1 month') as g
            where kept.symbol = given.symbol and kept.asset_type = given.asset_type and ($7::text is null or kept.provider = $7)
              and kept.last_month >= date_trunc('month', start_date::timestamp) and kept.month <= end_date
            group by g
          ) as remembered using (month)
        ) as judged
      ) as bounded
    ) as found`);

  return async (
    queryable: Queryable,
    ranges: readonly MonthlyRange[],
  ): Promise<Standing<MonthlyRange, MonthlyPrices>[]> => {
    const rows = await runStatement<MonthsRow>(queryable, statement, [
      textArray(ranges.map(({ symbol }) => symbol)),
      textArray(ranges.map(({ assetType }) => assetType)),
      plainArray(ranges.map(({ startDate }) => startDate)),
      plainArray(ranges.map(({ endDate }) => endDate)),
      runningMonthMaxAgeMs,
      absentMonthMaxAgeMs,
      provider,
    ]);
    const byPosition = new Map(rows.map((row) => [row.position, row]));
    return ranges.map((range, index) => standingOf(range, byPosition.get(index + 1)));
  };
}

function standingOf(input: MonthlyRange, row: MonthsRow | undefined): Standing<MonthlyRange, MonthlyPrices> {
  if (row === undefined) return { status: 'pending', input };
  const { symbol, assetType, storedMonths = 0 } = input;
  if (row.first === null || row.last === null) {
    return { status: 'fresh', input, value: { symbol, assetType, recordCount: storedMonths + row.stored, prices: [] } };
  }
  return { status: 'pending', input: narrow(input, row.first, row.last, storedMonths + row.outside) };
}

/** Days that the request named stay as they are. */
function narrow(input: MonthlyRange, first: string, last: string, storedMonths: number): MonthlyRange {
  const startDate = first === monthOf(input.startDate) ? input.startDate : firstOf(first);
  const endDate = last === monthOf(input.endDate) ? input.endDate : lastOf(last);
  return { ...input, startDate, endDate, ...(storedMonths === 0 ? {} : { storedMonths }) };
}
