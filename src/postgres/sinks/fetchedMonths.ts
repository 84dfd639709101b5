import { sql } from '@databases/pg';
import type { Queryable } from '@databases/pg';
import type { MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import { plainArray, runStatement, statementOf, textArray } from '../ledger/statement.ts';
import { firstOf, gapsBetween, isDate, monthOf } from './months.ts';
import type { MonthSpan } from './months.ts';
import { agesMs } from './sinkTable.ts';
import type { Unit } from './sinkTable.ts';

type MonthlyUnit = Unit<MonthlyRange, MonthlyPrices>;

/** What is known of some months of an asset: they did not come, or the one of them did. */
interface Note extends MonthSpan {
  readonly unit: MonthlyUnit;
  readonly provider: string;
  readonly came: boolean;
}

/** Most notes in one statement. */
const notesAtOnce = 10_000;

/**
 * Remembers what the rows of a batch do not tell: which months the provider did not have, and when months that still
 * run were fetched. Of finished months that are there nothing is kept. A note is a range of months, however long: those before
 * a first price are one.
 *
 * What is the running month says the database's clock, in UTC.
 */
export function fetchedMonths({ schema, ownSchema }: Database, table: string, provider: string) {
  const prices = sql.ident(schema, table);
  const months = sql.ident(ownSchema, 'fetched_months');
  const month = sql`interval '1 month'`;
  const fetchedAt = sql`statement_timestamp() - age_ms * interval '1 millisecond' as at`;

  // Older notes on the months asked for: what of them lies outside stays.
  const forget = statementOf(sql`
    with asked as (
      select provider, symbol, asset_type, first, last, ${fetchedAt}
      from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::date[], $6::float8[])
        as asked (provider, symbol, asset_type, first, last, age_ms)
    ), shortened as (
      update ${months} as kept set last_month = asked.first - ${month}
      from asked, ${months} as old
      where kept.provider = asked.provider and kept.symbol = asked.symbol and kept.asset_type = asked.asset_type
        and kept.month < asked.first and kept.last_month >= asked.first and kept.fetched_at <= asked.at
        and old.ctid = kept.ctid
      returning kept.provider, kept.symbol, kept.asset_type, kept.fetched_at, kept.present, old.last_month, asked.last
    ), removed as (
      delete from ${months} as kept using asked
      where kept.provider = asked.provider and kept.symbol = asked.symbol and kept.asset_type = asked.asset_type
        and kept.month between asked.first and asked.last and kept.fetched_at <= asked.at
      returning kept.provider, kept.symbol, kept.asset_type, kept.fetched_at, kept.present, kept.last_month, asked.last
    )
    insert into ${months} (provider, symbol, asset_type, fetched_at, present, month, last_month)
    select provider, symbol, asset_type, fetched_at, present, last + ${month}, last_month
    from (select * from shortened union all select * from removed) as cut
    where last_month > last
    on conflict do nothing`);

  // The running month has a note of its own: it may be there, and what is not is asked for again soon.
  const remember = statementOf(sql`
    with noted as (
      select provider, symbol, asset_type, first, last, came, at, date_trunc('month', at at time zone 'UTC')::date as running
      from (
        select provider, symbol, asset_type, first, last, came, ${fetchedAt}
        from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::date[], $6::float8[], $7::boolean[])
          as given (provider, symbol, asset_type, first, last, age_ms, came)
      ) as given
    )
    insert into ${months} as kept (provider, symbol, asset_type, month, last_month, fetched_at, present)
    select * from (
      select provider, symbol, asset_type, first, least(last, running - ${month})::date, at, false
      from noted where not came and first < running
      union all
      select provider, symbol, asset_type, running, running, at, exists (
        select from ${prices} as stored where stored.symbol = noted.symbol and stored.asset_type = noted.asset_type
          and stored.date >= running and stored.date < running + ${month})
      from noted where running between first and last
    ) as found (provider, symbol, asset_type, month, last_month, fetched_at, present)
    order by symbol collate "C", asset_type collate "C", month, provider collate "C"
    on conflict (symbol, asset_type, month, provider) do update
    set last_month = excluded.last_month, fetched_at = excluded.fetched_at, present = excluded.present
    where kept.fetched_at < excluded.fetched_at`);

  return async (transaction: Queryable, units: readonly MonthlyUnit[]): Promise<void> => {
    const asked = units.filter(hasRange).map((unit) => ({ unit, provider: unit.outcome.provider ?? provider }));
    for (const page of pages(asked.map((each) => ({ ...each, ...askedMonths(each.unit) })))) {
      await runStatement(transaction, forget, valuesOf(page));
    }
    const notes = asked.flatMap((each) => monthsToNote(each.unit).map((note): Note => ({ ...each, ...note })));
    for (const page of pages(notes)) {
      await runStatement(transaction, remember, [...valuesOf(page), plainArray(page.map(({ came }) => came))]);
    }
  };
}

function pages<Item>(items: readonly Item[]): (readonly Item[])[] {
  const count = Math.ceil(items.length / notesAtOnce);
  return Array.from({ length: count }, (_, page) => items.slice(page * notesAtOnce, (page + 1) * notesAtOnce));
}

function valuesOf(spans: readonly Omit<Note, 'came'>[]): string[] {
  return [
    textArray(spans.map((span) => span.provider)),
    textArray(spans.map(({ unit }) => unit.outcome.input.symbol)),
    textArray(spans.map(({ unit }) => unit.outcome.input.assetType)),
    plainArray(spans.map(({ first }) => firstOf(first))),
    plainArray(spans.map(({ last }) => firstOf(last))),
    plainArray(agesMs(spans.map(({ unit }) => unit.outcome))),
  ];
}

function hasRange({ outcome: { input } }: MonthlyUnit): boolean {
  return isDate(input.startDate) && isDate(input.endDate);
}

function askedMonths({ outcome: { input } }: MonthlyUnit): MonthSpan {
  return { first: monthOf(input.startDate), last: monthOf(input.endDate) };
}

/** The months that were asked for and did not come, and the last that came: only that one can still be running. */
function monthsToNote(unit: MonthlyUnit): (MonthSpan & { readonly came: boolean })[] {
  const came = [...new Set(unit.outcome.value.prices.map(({ date }) => monthOf(date)))].sort();
  const last = came.at(-1);
  return [
    ...gapsBetween(askedMonths(unit), came).map((gap) => ({ ...gap, came: false })),
    ...(last === undefined ? [] : [{ first: last, last, came: true }]),
  ];
}
