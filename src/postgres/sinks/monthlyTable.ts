import type { Queryable } from '@databases/pg';
import { SinkError } from '../../model/errors.ts';
import type { PipelineError } from '../../model/errors.ts';
import type { OkOutcome } from '../../model/outcome.ts';
import type { AssetType, MonthlyPrice, MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import type { LedgerCodec } from '../ledger/outcomeCodec.ts';
import { plainArray, runStatement, textArray } from '../ledger/statement.ts';
import { checkPrice } from './checks.ts';
import { fetchedMonths } from './fetchedMonths.ts';
import { selectHeldMonths, upsertMonths } from './monthlyStatements.ts';
import { isDate, monthOf } from './months.ts';
import { notStored } from './notStored.ts';
import type { OpenShape } from './openShape.ts';
import { rowsWriter } from './rowsWriter.ts';
import type { RowsWritten, WrittenRow } from './rowsWriter.ts';
import { allWritten } from './sinkTable.ts';
import type { OpenTable, SinkTable, Unit, UnitResult, Written } from './sinkTable.ts';

type MonthlyUnit = Unit<MonthlyRange, MonthlyPrices>;

const name = 'market_data_monthly';

/** Most rows in one statement, where no unit has more by itself. */
const rowsAtOnce = 10_000;

/** The table for the writing of batches; `provider` is the one of outcomes that name none. */
export function monthlyTable(database: Database, provider: string): SinkTable<MonthlyRange, MonthlyPrices> {
  return {
    name,
    codec: monthlyCodec,
    columns: ['symbol', 'asset_type', 'date', 'price'],
    keyOf: ({ symbol, assetType }) => `${symbol}\0${assetType}`,
    describe,
    open: (shape): OpenTable<MonthlyRange, MonthlyPrices> => {
      const write = rowsWriter(database.ownSchema, shape, upsertMonths(database, name, shape));
      const look = lookAtMonths(database, shape);
      const remember = fetchedMonths(database, name, provider);
      const writePage: OpenTable<MonthlyRange, MonthlyPrices>['write'] = async (queryable, units, entry) => {
        const rows = units.flatMap(rowsOf);
        const values = [
          textArray(rows.map(({ symbol }) => symbol)),
          textArray(rows.map(({ assetType }) => assetType)),
          plainArray(rows.map(({ date }) => date)),
          plainArray(rows.map(({ price }) => price)),
        ];
        const written = await write(queryable, values, rows.length, entry);
        return written.rows === undefined
          ? { ...written, results: units.map(({ outcome }) => asStored(outcome)) }
          : look(queryable, units, values, { ...written, rows: written.rows });
      };
      return {
        storesAsGiven: shape.storesAsGiven,
        check: ({ input, value }) => checkPrices(value.prices, shape, () => describe(input)),
        asStored,
        isTooLarge: (units) => pagesOf(units).length > 1,
        write: async (queryable, units, entry) => {
          if (entry !== undefined) return writePage(queryable, units, entry);
          const written: Written<MonthlyRange, MonthlyPrices>[] = [];
          for (const page of pagesOf(units)) written.push(await writePage(queryable, page));
          return allWritten(written);
        },
        remember,
      };
    },
  };
}

/** Units whose rows fit into one statement each, in their order; a unit is not cut. */
function pagesOf(units: readonly MonthlyUnit[]): (readonly MonthlyUnit[])[] {
  const pages: MonthlyUnit[][] = [];
  let left = 0;
  for (const unit of units) {
    const { length } = unit.outcome.value.prices;
    if (length > left || pages.length === 0) {
      pages.push([]);
      left = rowsAtOnce;
    }
    pages.at(-1)?.push(unit);
    left -= length;
  }
  return pages;
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

function rowsOf({ outcome: { input, value } }: MonthlyUnit) {
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

interface HeldMonth {
  readonly position: number;
  /** Whether one of the month's rows has the price that was to be written. */
  readonly same: boolean;
}

/** Asks the table which months it holds of the units that a statement has written, or has not. */
function lookAtMonths(database: Database, shape: OpenShape) {
  const statement = selectHeldMonths(database, name, shape);

  return async (
    queryable: Queryable,
    units: readonly MonthlyUnit[],
    values: readonly string[],
    { recorded, rows }: RowsWritten & { readonly rows: readonly WrittenRow[] },
  ): Promise<Written<MonthlyRange, MonthlyPrices>> => {
    const found = await runStatement<HeldMonth>(queryable, statement, values);
    const held = new Map(found.map(({ position, same }) => [position, same]));
    const effects = new Map(rows.map(([symbol, type, month, effect]) => [`${symbol}\0${type}\0${month}`, effect]));
    const counts = { inserted: 0, updated: 0, unchanged: 0 };
    let position = 0;
    const results = units.map((unit): UnitResult<MonthlyRange, MonthlyPrices> => {
      const asked = rowsOf(unit);
      const missing = asked.filter(({ symbol, assetType, date }) => {
        position += 1;
        const effect = effects.get(`${symbol}\0${assetType}\0${monthOf(date)}`) as 'inserted' | 'updated' | undefined;
        const same = held.get(position);
        if (same === undefined || (effect === undefined && !same)) return true;
        counts[effect ?? 'unchanged'] += 1;
        return false;
      });
      if (missing.length === 0) return asStored(unit.outcome);
      const [first] = missing.map(({ date }) => date);
      return notStored(
        describe(unit.outcome.input),
        `lacks ${missing.length} of ${asked.length} months, such as ${first}`,
      );
    });
    return { recorded, ...counts, results };
  };
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
