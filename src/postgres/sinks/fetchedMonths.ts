import { sql } from '@databases/pg';
import type { Queryable } from '@databases/pg';
import type { MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import { plainArray, runStatement, statementOf, textArray } from '../ledger/statement.ts';
import { firstOf, isDate, monthOf, monthsBetween } from './months.ts';
import { agesMs } from './sinkTable.ts';
import type { Unit } from './sinkTable.ts';

type MonthlyUnit = Unit<MonthlyRange, MonthlyPrices>;

/**
 * Remembers what the rows of a batch do not tell: which months the provider did not have, and when months that still
 * run were fetched. Of finished months that are there nothing is kept.
 *
 * What is the running month says the database's clock, in UTC.
 */
export function fetchedMonths({ schema, ownSchema }: Database, table: string, provider: string) {
  const prices = sql.ident(schema, table);
  const months = sql.ident(ownSchema, 'fetched_months');
  const monthEnd = (month: ReturnType<typeof sql>) => sql`((${month} + interval '1 month') at time zone 'UTC')`;
  const fetchedAt = sql`statement_timestamp() - age_ms * interval '1 millisecond'`;

  const forget = statementOf(sql`
    delete from ${months} as kept
    using unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::date[], $6::float8[])
      as asked (provider, symbol, asset_type, first, last, age_ms)
    where kept.provider = asked.provider and kept.symbol = asked.symbol and kept.asset_type = asked.asset_type
      and kept.month between asked.first and asked.last and ${monthEnd(sql`kept.month`)} <= ${fetchedAt}
      and exists (
        select from ${prices} as stored where stored.symbol = asked.symbol and stored.asset_type = asked.asset_type
          and stored.date >= kept.month and stored.date < kept.month + interval '1 month')`);

  const remember = statementOf(sql`
    insert into ${months} as kept (provider, symbol, asset_type, month, fetched_at, present)
    select provider, symbol, asset_type, month, ${fetchedAt}, present from (
      select asked.*, exists (
        select from ${prices} as stored where stored.symbol = asked.symbol and stored.asset_type = asked.asset_type
          and stored.date >= asked.month and stored.date < asked.month + interval '1 month') as present
      from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::float8[])
        as asked (provider, symbol, asset_type, month, age_ms)
      where month <= (statement_timestamp() at time zone 'UTC')::date
    ) as found
    where not present or ${monthEnd(sql`month`)} > ${fetchedAt}
    order by symbol collate "C", asset_type collate "C", month, provider collate "C"
    on conflict (symbol, asset_type, month, provider) do update
    set fetched_at = excluded.fetched_at, present = excluded.present
    where kept.fetched_at < excluded.fetched_at`);

  return async (transaction: Queryable, units: readonly MonthlyUnit[]): Promise<void> => {
    const asked = units
      .map((unit) => ({ unit, provider: unit.outcome.provider ?? provider }))
      .filter(({ unit }) => hasRange(unit));
    if (asked.length === 0) return;
    await runStatement(transaction, forget, [
      textArray(asked.map(({ provider }) => provider)),
      ...assetArrays(asked),
      plainArray(asked.map(({ unit }) => firstOf(monthOf(unit.outcome.input.startDate)))),
      plainArray(asked.map(({ unit }) => firstOf(monthOf(unit.outcome.input.endDate)))),
      plainArray(agesMs(asked.map(({ unit }) => unit.outcome))),
    ]);
    const notes = asked.flatMap((asset) => monthsToNote(asset.unit).map((month) => ({ ...asset, month })));
    if (notes.length === 0) return;
    await runStatement(transaction, remember, [
      textArray(notes.map(({ provider }) => provider)),
      ...assetArrays(notes),
      plainArray(notes.map(({ month }) => firstOf(month))),
      plainArray(agesMs(notes.map(({ unit }) => unit.outcome))),
    ]);
  };
}

function hasRange({ outcome: { input } }: MonthlyUnit): boolean {
  return isDate(input.startDate) && isDate(input.endDate);
}

function assetArrays(rows: readonly { readonly unit: MonthlyUnit }[]): string[] {
  return [
    textArray(rows.map(({ unit }) => unit.outcome.input.symbol)),
    textArray(rows.map(({ unit }) => unit.outcome.input.assetType)),
  ];
}

/** The months that were asked for and did not come, and the last that came: only that one can still be running. */
function monthsToNote({ outcome: { input, value } }: MonthlyUnit): string[] {
  const came = new Set(value.prices.map(({ date }) => monthOf(date)));
  const asked = monthsBetween(monthOf(input.startDate), monthOf(input.endDate));
  const last = [...came].reduce((latest, month) => (month > latest ? month : latest), '');
  return asked.filter((month) => !came.has(month)).concat(last === '' ? [] : [last]);
}
