import { sql } from '@databases/pg';
import type { Database } from '../connectDatabase.ts';
import { statementOf } from '../ledger/statement.ts';
import type { Statement } from '../ledger/statement.ts';
import type { OpenShape } from './openShape.ts';
import { identity } from './rowsWriter.ts';
import type { RowsStatement } from './rowsWriter.ts';

/**
 * A row of the same month keeps its date, and one of the same price is left alone: it writes nothing and burns no
 * identity. Prices are compared as the column rounds them.
 *
 * The planner takes an array parameter for ten elements and would compare every row with every other in a nested loop
 * (12,000 rows: 18 s). A full join cannot be one; `offset 0` keeps the planner from seeing that a left join would do, and has
 * the months of each asset looked up by the index.
 */
export function upsertMonths({ schema }: Database, name: string, shape: OpenShape): RowsStatement {
  const table = sql.ident(schema, name);
  const id = identity(shape, [sql`symbol`, sql`asset_type`, sql`date`]);
  const type = priceType(shape);
  return {
    parameters: 4,
    key: [sql`symbol`, sql`asset_type`, sql`to_char(date, 'YYYY-MM')`],
    ctes: (allowed) => sql`
      given as (
        select symbol, asset_type, date, price::${type} as price, date_trunc('month', date::timestamp)::date as month
        from unnest($1::text[], $2::text[], $3::date[], $4::numeric[]) as given (symbol, asset_type, date, price)
      ), known as (
        select ${id.ofStored} given.symbol, given.asset_type, stored.date, stored.price,
          date_trunc('month', stored.date::timestamp)::date as month
        from (select symbol, asset_type, min(month) as first, max(month) as last from given group by 1, 2) as given
        cross join lateral (
          select ${id.ofStored} stored.date, stored.price from ${table} as stored
          where stored.symbol = given.symbol and stored.asset_type = given.asset_type
            and stored.date >= given.first and stored.date < given.last + interval '1 month'
          offset 0
        ) as stored
      ), matched as (
        select ${id.ofKnown} given.symbol, given.asset_type, given.month, given.date, given.price,
          known.date as known_date, known.price as known_price
        from given full join known using (symbol, asset_type, month)
        offset 0
      ), proposed as (
        select ${id.value} symbol, asset_type, coalesce(known_date, date) as date, price, month, known_date is null as is_new
        from matched as known
        where date is not null and (known_date is null or known_price is distinct from price) and ${allowed}
      ), written as (
        insert into ${table} as stored (${id.column} symbol, asset_type, date, price) ${id.overriding}
        select ${id.column} symbol, asset_type, date, price from proposed
        order by symbol collate "C", asset_type collate "C", month
        on conflict (symbol, date, asset_type) do update set price = excluded.price
        where stored.price is distinct from excluded.price
        returning stored.symbol, stored.asset_type, stored.date, ${id.inserted} as inserted
      )`,
  };
}

/** Which of the months given the table holds, by their position in the arrays, and whether at the price given. */
export function selectHeldMonths({ schema }: Database, name: string, shape: OpenShape): Statement {
  return statementOf(sql`
    select given.position::integer as position, held.same
    from unnest($1::text[], $2::text[], $3::date[], $4::numeric[]) with ordinality
      as given (symbol, asset_type, date, price, position)
    cross join lateral (
      select bool_or(stored.price is not distinct from given.price::${priceType(shape)}) as same
      from ${sql.ident(schema, name)} as stored
      where stored.symbol = given.symbol and stored.asset_type = given.asset_type
        and stored.date >= date_trunc('month', given.date::timestamp)
        and stored.date < date_trunc('month', given.date::timestamp) + interval '1 month'
      having count(*) > 0
    ) as held`);
}

function priceType(shape: OpenShape): ReturnType<typeof sql> {
  return sql.__dangerous__rawValue(shape.column('price').type);
}
