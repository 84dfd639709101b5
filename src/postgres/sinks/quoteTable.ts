import type { Queryable } from '@databases/pg';
import { SinkError } from '../../model/errors.ts';
import type { OkOutcome } from '../../model/outcome.ts';
import type { Database } from '../connectDatabase.ts';
import { plainArray, runStatement, textArray } from '../ledger/statement.ts';
import { asColumnHolds, checkDecimal, checkPrice } from './checks.ts';
import { notStored } from './notStored.ts';
import { parsePrices, selectHeld, upsertQuotes } from './quoteStatements.ts';
import type { Prices, QuoteTableOptions } from './quoteStatements.ts';
import { rowsWriter } from './rowsWriter.ts';
import type { RowsWritten, WrittenRow } from './rowsWriter.ts';
import { agesMs } from './sinkTable.ts';
import type { OpenTable, SinkTable, UnitResult, Written } from './sinkTable.ts';

/** The table for the writing of batches. */
export function quoteTable<I, T>(database: Database, options: QuoteTableOptions<I, T>): SinkTable<I, T> {
  const { name, key, columns, codec } = options;
  const describe = (input: I): string => `${name}: ${key.map(({ of }) => of(input)).join(' ')}`;
  const keyArrays = (outcomes: readonly OkOutcome<I, T>[]): string[] =>
    key.map(({ of }) => textArray(outcomes.map(({ input }) => of(input))));
  const look = lookAtQuotes(database, options, describe);
  return {
    name,
    codec,
    columns: [...key, ...columns].map((column) => column.name).concat('updated_at'),
    keyOf: (input) => key.reduce((text, { of }) => `${text}\0${of(input)}`, ''),
    describe,
    open: (shape): OpenTable<I, T> => {
      const write = rowsWriter(database.ownSchema, shape, upsertQuotes(database, options, shape));
      const checks = columns.map(({ name: column, of, signed = false }) => ({
        column,
        of,
        check: signed ? checkDecimal : checkPrice,
        shape: shape.column(column),
      }));
      const asStored = (outcome: OkOutcome<I, T>): OkOutcome<I, T> => {
        const { input, value } = outcome;
        const prices = checks.map(({ of, shape }) => asColumnHolds(of(value), shape)) as unknown as Prices;
        if (checks.every(({ of }, at) => of(value) === prices[at])) return outcome;
        return { ...outcome, value: { ...value, ...options.valueOf(input, prices) } };
      };
      return {
        storesAsGiven: shape.storesAsGiven,
        asStored,
        check: ({ input, value }) => {
          for (const { column, of, check, shape } of checks) {
            const problem = check(of(value), shape);
            if (problem !== undefined) {
              return new SinkError(problem.code, `${describe(input)}: ${column}: ${problem.message}`);
            }
          }
          return undefined;
        },
        write: async (queryable, units, entry) => {
          const outcomes = units.map(({ outcome }) => asStored(outcome));
          const [keys, ages] = [keyArrays(outcomes), plainArray(agesMs(outcomes))];
          const prices = columns.map(({ of }) => plainArray(outcomes.map(({ value }) => of(value))));
          const written = await write(queryable, [...keys, ...prices, ages], units.length, entry);
          const { rows } = written;
          return rows === undefined
            ? { ...written, results: outcomes }
            : look(queryable, outcomes, [...keys, ages], { ...written, rows });
        },
      };
    },
  };
}

interface HeldRow {
  readonly position: number;
  readonly prices: readonly (string | null)[];
  /** Whether it is as new as what was to be written; null without a time. */
  readonly isNew: boolean | null;
}

/** Asks the table what it holds of the outcomes that a statement has written, or has not. */
function lookAtQuotes<I, T>(database: Database, options: QuoteTableOptions<I, T>, describe: (input: I) => string) {
  const { key, valueOf } = options;
  const statement = selectHeld(database, options);

  return async (
    queryable: Queryable,
    outcomes: readonly OkOutcome<I, T>[],
    values: readonly string[],
    { recorded, at, rows }: RowsWritten & { readonly rows: readonly WrittenRow[] },
  ): Promise<Written<I, T>> => {
    const found = await runStatement<HeldRow>(queryable, statement, [...values, at]);
    const held = new Map(found.map((row) => [row.position, row]));
    const effects = new Map(rows.map((row) => [keyText(row.slice(0, -1)), row.at(-1) as 'inserted' | 'updated']));
    const counts = { inserted: 0, updated: 0, unchanged: 0 };
    const results = outcomes.map((outcome, index): UnitResult<I, T> => {
      const { input, receivedAtMs } = outcome;
      const row = held.get(index + 1);
      if (row === undefined) return notStored(describe(input), 'has no such row');
      const effect = effects.get(keyText(key.map(({ of }) => of(input))));
      if (effect === undefined && row.isNew !== true) return notStored(describe(input), 'has kept an older row');
      const prices = parsePrices(row.prices);
      if (prices === undefined) return notStored(describe(input), 'has a row without all of its prices');
      counts[effect ?? 'unchanged'] += 1;
      const value = valueOf(input, prices);
      // Nobody knows whose value it is that another writer has stored.
      if (effect === undefined) return { status: 'ok', input, value, receivedAtMs };
      return { ...outcome, value: { ...outcome.value, ...value } };
    });
    return { recorded, ...counts, results };
  };
}

function keyText(key: readonly string[]): string {
  return key.join('\0');
}
