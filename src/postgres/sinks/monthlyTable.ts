import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { SinkError } from '../../model/errors.ts';
import type { PipelineError } from '../../model/errors.ts';
import type { OkOutcome } from '../../model/outcome.ts';
import type { AssetType, MonthlyPrice, MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import type { LedgerCodec } from '../ledger/outcomeCodec.ts';
import { plainArray, textArray } from '../ledger/statement.ts';
import { checkPrice } from './checks.ts';
import { fetchedMonths } from './fetchedMonths.ts';
import { isDate, monthOf } from './months.ts';
import type { OpenShape } from './openShape.ts';
import { identity, rowsWriter } from './rowsWriter.ts';
import type { OpenTable, SinkTable, Unit } from './sinkTable.ts';

const name = 'market_data_monthly';

/** The table for the writing of batches; `provider` is the one of outcomes that name none. */
export function monthlyTable(database: Database, provider: string): SinkTable<MonthlyRange, MonthlyPrices> {
  return {
    name,
    codec: monthlyCodec,
    columns: ['symbol', 'asset_type', 'date', 'price'],
    keyOf: ({ symbol, assetType }) => `${symbol}\0${assetType}`,
    describe,
    open: (shape): OpenTable<MonthlyRange, MonthlyPrices> => {
      const write = rowsWriter(database.ownSchema, 4, (allowed) => changedMonths(database, shape, allowed));
      const remember = fetchedMonths(database, name, provider);
      return {
        check: ({ input, value }) => checkPrices(value.prices, shape, () => describe(input)),
        asStored,
        write: async (queryable, units, entry) => {
          const rows = units.flatMap(rowsOf);
          const values = [
            textArray(rows.map(({ symbol }) => symbol)),
            textArray(rows.map(({ assetType }) => assetType)),
            plainArray(rows.map(({ date }) => date)),
            plainArray(rows.map(({ price }) => price)),
          ];
          const written = await write(queryable, values, rows.length, entry);
          return { ...written, results: units.map(({ outcome }) => asStored(outcome)) };
        },
        remember,
      };
    },
  };
}

function describe({ symbol, assetType }: MonthlyRange): string {
  return `${name}: ${symbol} ${assetType}`;
}

/** What is stored is in the table: how many months it was is told. */
function asStored(outcome: OkOutcome<MonthlyRange, MonthlyPrices>): OkOutcome<MonthlyRange, MonthlyPrices> {
  const { symbol, assetType, storedMonths = 0 } = outcome.input;
  const recordCount = storedMonths + byMonth(outcome.value.prices).length;
  return { ...outcome, value: { symbol, assetType, recordCount, prices: [] } };
}

function rowsOf({ outcome: { input, value } }: Unit<MonthlyRange, MonthlyPrices>) {
  const { symbol, assetType } = input;
  return byMonth(value.prices).map(({ date, price }) => ({ symbol, assetType, date, price }));
}

/** One price a month, the last one. */
function byMonth(prices: readonly MonthlyPrice[]): MonthlyPrice[] {
  return [...new Map(prices.map((price) => [monthOf(price.date), price])).values()];
}

function checkPrices(prices: unknown, shape: OpenShape, describe: () => string): PipelineError | undefined {
  if (!Array.isArray(prices)) return new SinkError('value_invalid', `${describe()}: expected a list of prices`);
  const column = shape.column('price');
  for (const { date, price } of prices as readonly { readonly date: unknown; readonly price: unknown }[]) {
    if (!isDate(date))
      return new SinkError('date_invalid', `${describe()}: expected a date that exists, got ${JSON.stringify(date)}`);
    const problem = checkPrice(price, column);
    if (problem !== undefined) {
      return new SinkError(problem.code, `${describe()}: price of ${date}: ${problem.message}`);
    }
  }
  return undefined;
}

/**
 * A row of the same month keeps its date, and one of the same price is left alone: it writes nothing and burns no
 * identity. Prices are compared as the column rounds them.
 *
 * The planner takes an array parameter for ten elements and would compare every row with every other in a nested loop
 * (12,000 rows: 18 s). A full join cannot be one; `offset 0` keeps the planner from seeing that a left join would do.
 */
function changedMonths({ schema }: Database, shape: OpenShape, allowed: SQLQuery): SQLQuery {
  const table = sql.ident(schema, name);
  const id = identity(shape.sequence);
  const type = sql.__dangerous__rawValue(shape.column('price').type);
  return sql`
    given as (
      select symbol, asset_type, date, price::${type} as price, date_trunc('month', date::timestamp)::date as month
      from unnest($1::text[], $2::text[], $3::date[], $4::numeric[]) as given (symbol, asset_type, date, price)
    ), known as (
      select ${id.ofStored} given.symbol, given.asset_type, stored.date, stored.price,
        date_trunc('month', stored.date::timestamp)::date as month
      from (select symbol, asset_type, min(month) as first, max(month) as last from given group by 1, 2) as given
      join ${table} as stored on stored.symbol = given.symbol and stored.asset_type = given.asset_type
        and stored.date >= given.first and stored.date < given.last + interval '1 month'
    ), matched as (
      select ${id.ofKnown} given.symbol, given.asset_type, given.month, given.date, given.price,
        known.date as known_date, known.price as known_price
      from given full join known using (symbol, asset_type, month)
      offset 0
    ), written as (
      insert into ${table} as stored (${id.column} symbol, asset_type, date, price) ${id.overriding}
      select ${id.value} symbol, asset_type, coalesce(known_date, date), price
      from matched as known
      where date is not null and (known_date is null or known_price is distinct from price) and ${allowed}
      order by symbol collate "C", asset_type collate "C", month
      on conflict (symbol, date, asset_type) do update set price = excluded.price
      where stored.price is distinct from excluded.price
      returning (xmax = 0) as inserted
    )`;
}

const monthlyCodec: LedgerCodec<MonthlyRange, MonthlyPrices> = {
  encodeInput: ({ symbol, assetType, startDate, endDate, storedMonths }) =>
    storedMonths === undefined
      ? [symbol, assetType, startDate, endDate]
      : [symbol, assetType, startDate, endDate, storedMonths],
  decodeInput: (json) => {
    const [symbol, assetType, startDate, endDate, storedMonths] = json as [string, AssetType, string, string, number?];
    return { symbol, assetType, startDate, endDate, ...(storedMonths === undefined ? {} : { storedMonths }) };
  },
  // What is stored is in the table; the ledger remembers how much it was.
  encodeValue: ({ recordCount }) => recordCount,
  decodeValue: (json, { symbol, assetType }) => ({ symbol, assetType, recordCount: json as number, prices: [] }),
};
