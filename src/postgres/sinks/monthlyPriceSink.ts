import { z } from 'zod';
import { defineOptions } from '../../model/defineOptions.ts';
import { SinkError } from '../../model/errors.ts';
import type { PipelineError } from '../../model/errors.ts';
import type { Standing } from '../../model/outcome.ts';
import type { MonthlyPrices, MonthlyRange } from '../../model/records.ts';
import type { Database } from '../connectDatabase.ts';
import { withRetry } from '../inTransaction.ts';
import { databaseSchema } from '../databaseSchema.ts';
import { retentionDaysSchema } from '../ledger/removeExpired.ts';
import { refuseSymbol } from './checks.ts';
import { missingMonths } from './missingMonths.ts';
import { monthlyTable } from './monthlyTable.ts';
import { isDate, monthFrom, monthOf } from './months.ts';
import { tableSink } from './tableSink.ts';
import type { TableSink } from './tableSink.ts';

export interface MonthlyPriceSinkOptions {
  /** The database, see `connectDatabase`; its own schema needs the tables of `migrate`. */
  database: Database;
  /**
   * The provider the months come from. What another one did not have is then asked for again, and outcomes that name no
   * provider are remembered under this name. Default: the memory of all providers counts.
   */
  provider?: string | undefined;
  /** How old a month that was still running when it was fetched may be, in milliseconds. Default: 6 hours. */
  runningMonthMaxAgeMs?: number | undefined;
  /** After which time a month that the provider did not have is asked for again, in milliseconds. Default: 30 days. */
  absentMonthMaxAgeMs?: number | undefined;
  /** How many days after its last activity a request is removed from the ledger. Default: 7. */
  retentionDays?: number | undefined;
}

const hourMs = 3_600_000;
/** At most a century: what is longer may leave the range of PostgreSQL's timestamps. */
const ageSchema = z
  .number()
  .min(0)
  .max(36_525 * 24 * hourMs);

const resolveOptions = defineOptions<MonthlyPriceSinkOptions>('monthlyPriceSink')({
  database: databaseSchema,
  provider: z.string().min(1).optional(),
  runningMonthMaxAgeMs: z
    .number()
    .min(0)
    .default(6 * hourMs),
  absentMonthMaxAgeMs: ageSchema.default(30 * 24 * hourMs),
  retentionDays: retentionDaysSchema,
});

/**
 * Writes monthly prices to the table `market_data_monthly`, with its ledger.
 *
 * `current` answers which months are missing: a pending input is narrowed to the range from the first to the last of
 * them, with the months stored outside of it counted in `storedMonths`. Months are UTC. Months that the provider did not
 * have are remembered, and so is the age of the running month: the same request again asks for nothing. `maxAgeMs` does
 * not matter here.
 *
 * `write` stores a batch in one transaction, with its row in the ledger when it has a request. A row of the same month
 * keeps its date and gets the new price; a row of the same price is left alone. An asset with a price or a date that the
 * table cannot hold fails alone and leaves its rows as they were; one with a month that is not in the table after the write,
 * for example because of a trigger, has failed too. The outcomes stored carry `recordCount` and no prices.
 * For everything else see `marketDataSink`.
 *
 * @example
 * ```ts
 * import { connectDatabase, monthlyPriceSink } from 'fintrack-pipelines/postgres';
 *
 * await using database = connectDatabase({ url: process.env['DATABASE_URL'] ?? '' });
 * const sink = monthlyPriceSink({ database });
 * const { signal } = new AbortController();
 *
 * const asset = { symbol: 'MONTHLY-EXAMPLE', assetType: 'STOCK' } as const;
 * const prices = [{ date: '2024-02-29', price: '10.5' }, { date: '2024-03-28', price: '11' }];
 * const input = { ...asset, startDate: '2024-02-29', endDate: '2024-03-31' };
 * const value = { ...asset, recordCount: 2, prices };
 * await sink.write({ index: 0, outcomes: [{ status: 'ok', input, value }] }, { signal });
 *
 * const [standing] = await sink.current([{ ...input, endDate: '2024-05-31' }], { maxAgeMs: 0, signal });
 * console.log(standing);
 * // {
 * //   status: 'pending',
 * //   input: {
 * //     symbol: 'MONTHLY-EXAMPLE',
 * //     assetType: 'STOCK',
 * //     startDate: '2024-04-01',
 * //     endDate: '2024-05-31',
 * //     storedMonths: 2
 * //   }
 * // }
 * ```
 */
export function monthlyPriceSink(options: MonthlyPriceSinkOptions): TableSink<MonthlyRange, MonthlyPrices> {
  const { database, provider, retentionDays, ...ages } = resolveOptions(options);
  const table = monthlyTable(database, provider ?? 'unknown');
  const missing = missingMonths(database, table.name, { provider, ...ages });

  const current: TableSink<MonthlyRange, MonthlyPrices>['current'] = async (inputs, { signal }) => {
    // What PostgreSQL cannot read would fail the whole statement.
    const asked = inputs.filter((input) => refuseRange(table.name, input) === undefined);
    if (asked.length === 0) return inputs.map(pending);
    const standings = await withRetry(database, () => missing(database.pool, asked), { signal });
    const byInput = new Map(asked.map((input, index) => [input, standings[index]]));
    return inputs.map((input) => byInput.get(input) ?? pending(input));
  };

  const sink = tableSink({ database, retentionDays, table, maxSymbolLength: 255, current });
  return { ...sink, refuse: (input) => sink.refuse(input) ?? refuseDates(table.name, input) };
}

function pending(input: MonthlyRange): Standing<MonthlyRange, MonthlyPrices> {
  return { status: 'pending', input };
}

function refuseRange(table: string, input: MonthlyRange): PipelineError | undefined {
  return refuseSymbol(table, input.symbol, Number.POSITIVE_INFINITY) ?? refuseDates(table, input);
}

/** A request is refused from 1,200 months back; one that was accepted may wait for a year. */
const maxMonthsBack = 1_212;

function refuseDates(table: string, { symbol, startDate, endDate }: MonthlyRange): PipelineError | undefined {
  const dates: readonly unknown[] = [startDate, endDate];
  if (dates.every(isDate)) {
    const thisMonth = monthOf(new Date().toISOString());
    if (monthOf(startDate) >= monthFrom(thisMonth, -maxMonthsBack)) return undefined;
    const message = `${table}: ${symbol}: expected a start at most 100 years back, got ${startDate}`;
    return new SinkError('date_invalid', message);
  }
  const seen = dates.map((date) => JSON.stringify(date)).join(' and ');
  return new SinkError('date_invalid', `${table}: ${symbol}: expected dates that exist, as YYYY-MM-DD, got ${seen}`);
}
