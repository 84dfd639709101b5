import { sql } from '@databases/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MonthlyRange } from '../../../src/model/records.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import type { MonthlyPriceSinkOptions } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { monthsBetween } from '../../../src/providers/monthlyRanges.ts';
import { openTestDatabase, shapes } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { emptyTables } from './emptyTables.ts';
import { track } from '../../support/track.ts';
import { batchOf, call, months, ok, range } from './samples.ts';

describe.each(shapes)('monthlyPriceSink on shape %s', (shape) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape, migrated: true, poolSize: 4 });
  });
  beforeEach(() => emptyTables(database));
  afterAll(() => database[Symbol.asyncDispose]());

  type Ages = Omit<MonthlyPriceSinkOptions, 'database'>;
  const table = () => sql.ident(database.schema, 'market_data_monthly');
  const remembered = () => sql.ident(database.ownSchema, 'fetched_months');
  const query = async <Row>(statement: ReturnType<typeof sql>): Promise<Row[]> =>
    (await database.pool.query(statement)) as Row[];

  const write = (
    input: MonthlyRange,
    prices: Record<string, string>,
    fields: { provider?: string; receivedAtMs?: number } = {},
  ) => monthlyPriceSink({ database }).write(batchOf([ok(input, months(input, prices), fields)]), call);
  const current = async (input: MonthlyRange, ages: Ages = {}) =>
    (await monthlyPriceSink({ database, ...ages }).current([input], call))[0]!;
  const rows = async () =>
    (
      await query<{ date: string; price: string }>(
        sql`select date, price::float8::text as price from ${table()} order by symbol, date`,
      )
    ).map(({ date, price }) => `${date} ${price}`);
  const notes = async () =>
    (
      await query<{ provider: string; month: string; last: string; present: boolean }>(
        sql`select provider, month, last_month as last, present from ${remembered()} order by month, provider`,
      )
    ).map(({ provider, month, last, present }) => {
      const upTo = last === month ? '' : ` to ${last}`;
      return `${provider} ${month}${upTo} ${present ? 'present' : 'absent'}`;
    });

  /** A month by its distance from the running one, by the database's clock, in UTC. */
  const monthFromNow = async (distance: number): Promise<string> => {
    const [row] = await query<{ month: string }>(
      sql`select to_char(date_trunc('month', now() at time zone 'UTC') + make_interval(months => ${distance}), 'YYYY-MM') as month`,
    );
    return row!.month;
  };

  describe('write', () => {
    it('keeps the date of a row of the same month, and updates its price', async () => {
      const input = range('A', '2024-01-31', '2024-04-30');
      await write(input, { '2024-01-31': '1', '2024-02-29': '2', '2024-03-28': '3' });
      const result = await write(input, {
        '2024-01-01': '1',
        '2024-02-01': '2.5',
        '2024-03-01': '3',
        '2024-04-01': '4',
      });
      expect(result).toMatchObject({ inserted: 1, updated: 1, unchanged: 2, transactions: 1, failed: [] });
      expect(await rows()).toEqual(['2024-01-31 1', '2024-02-29 2.5', '2024-03-28 3', '2024-04-01 4']);
    });

    it('updates all rows of a month, where others have left several', async () => {
      await database.pool.query(sql`
        insert into ${table()} (symbol, asset_type, date, price)
        values ('A', 'STOCK', '2024-02-01', 1), ('A', 'STOCK', '2024-02-29', 2), ('A', 'CRYPTO', '2024-02-29', 2)`);
      await write(range('A', '2024-02-01', '2024-02-29'), { '2024-02-15': '3' });
      expect((await rows()).sort()).toEqual(['2024-02-01 3', '2024-02-29 2', '2024-02-29 3']);
    });

    it('writes nothing for what did not change, and burns no identity', async () => {
      const input = range('A', '2004-01-01', '2023-12-31');
      const prices = Object.fromEntries(
        monthsBetween('2004-01-01', '2023-12-31').map((month, at) => [`${month}-01`, `${at}.251`]),
      );
      await write(input, prices);
      const marks = () =>
        query(sql`
          select last_value, (select max(xmin::text::bigint) from ${table()}) as latest, (select count(*) from ${table()}) as rows
          from ${sql.ident(database.schema, 'market_data_monthly_id_seq')}`);
      const before = await marks();
      expect(await write(input, prices)).toMatchObject({ inserted: 0, updated: 0, unchanged: 240 });
      expect(await write(input, { ...prices, '2004-02-01': '7' })).toMatchObject({
        inserted: 0,
        updated: 1,
        unchanged: 239,
      });
      const after = await marks();
      expect(after.map((mark) => ({ ...(mark as object), latest: 0 }))).toEqual(
        before.map((mark) => ({ ...(mark as object), latest: 0 })),
      );
    });

    it('answers how many months were served, and keeps no prices', async () => {
      const input = { ...range('A', '2024-01-31', '2024-02-29'), storedMonths: 5 };
      const { stored } = await write(input, { '2024-01-31': '1', '2024-02-01': '2', '2024-02-29': '3' });
      expect(stored?.[0]).toMatchObject({
        status: 'ok',
        value: { symbol: 'A', assetType: 'STOCK', recordCount: 7, prices: [] },
      });
      expect(await rows()).toEqual(['2024-01-31 1', '2024-02-29 3']);
    });

    it.each([
      ['a price that is NaN', { '2024-01-31': '1', '2024-02-29': 'NaN' }, 'value_invalid'],
      ['a price that is empty', { '2024-01-31': '' }, 'value_invalid'],
      ['a price of 1e30', { '2024-01-31': '1e30' }, 'value_invalid'],
      ['a price beyond the column', { '2024-01-31': '1'.padEnd(15, '0') }, 'value_out_of_range'],
      ['a price below zero', { '2024-01-31': '-1' }, 'value_out_of_range'],
      ['a date that does not exist', { '2023-02-29': '1' }, 'date_invalid'],
      ['a date that is none', { yesterday: '1' }, 'date_invalid'],
    ])('fails an asset with %s alone, and leaves its rows as they were', async (_name, prices, code) => {
      const [bad, good] = [range('BAD', '2024-01-31', '2024-02-29'), range('GOOD', '2024-01-31', '2024-02-29')];
      await write(bad, { '2024-01-31': '7' });
      const outcomes = [
        ok(bad, months(bad, prices as Record<string, string>)),
        ok(good, months(good, { '2024-01-31': '8' })),
      ];
      const { failed, stored } = await monthlyPriceSink({ database }).write(batchOf(outcomes, 'key'), call);
      expect(failed.map(({ index, error }) => [index, error.code])).toEqual([[0, code]]);
      expect(stored?.map(({ status }) => status)).toEqual(['failed', 'ok']);
      expect(await rows()).toEqual(['2024-01-31 7', '2024-01-31 8']);
    });

    it('writes 12,000 months without comparing each with each, whatever the planner thinks', async () => {
      // A planner that takes nested loops wherever it can: then each with each takes longer than the timeout.
      const settings = { enable_hashjoin: 'off', enable_mergejoin: 'off' };
      await using own = await openWith(settings, { statementTimeoutMs: 6000 });
      const prices = Object.fromEntries(
        monthsBetween('2004-01-01', '2023-12-31').map((month) => [`${month}-01`, '1.5']),
      );
      const outcomes = Array.from({ length: 50 }, (_, row) => range(`S${row}`, '2004-01-01', '2023-12-31')).map(
        (input) => ok(input, months(input, prices)),
      );
      const sink = monthlyPriceSink({ database: own });
      expect(await sink.write(batchOf(outcomes), call)).toMatchObject({ inserted: 12_000 });
      expect(await sink.write(batchOf(outcomes), call)).toMatchObject({ inserted: 0, unchanged: 12_000 });
      const standings = await sink.current(
        outcomes.map(({ input }) => input),
        call,
      );
      expect(standings.filter(({ status }) => status === 'fresh')).toHaveLength(50);
    });
  });

  describe('current', () => {
    it('narrows a range to what is missing, and counts what is stored outside of it', async () => {
      const input = range('A', '2024-01-31', '2024-06-15');
      expect(await current(input)).toEqual({ status: 'pending', input });
      await write(range('A', '2024-01-31', '2024-04-30'), { '2024-01-31': '1', '2024-02-29': '2', '2024-04-30': '4' });
      await database.pool.query(sql`delete from ${remembered()}`);
      expect(await current(input)).toEqual({
        status: 'pending',
        input: { ...input, startDate: '2024-03-01', storedMonths: 2 },
      });
      await write(range('A', '2024-06-01', '2024-06-15'), { '2024-06-03': '6' });
      expect(await current(input)).toEqual({
        status: 'pending',
        input: { ...input, startDate: '2024-03-01', endDate: '2024-05-31', storedMonths: 3 },
      });
      const narrowed = { ...range('A', '2024-03-01', '2024-05-31'), storedMonths: 3 };
      await write(narrowed, { '2024-03-01': '3', '2024-05-01': '5' });
      expect(await current(narrowed)).toMatchObject({ status: 'fresh', value: { recordCount: 6 } });
      expect(await current(input)).toEqual({
        status: 'fresh',
        input,
        value: { symbol: 'A', assetType: 'STOCK', recordCount: 6, prices: [] },
      });
    });

    it('tells symbols, types and ranges of one call apart', async () => {
      await write(range('A', '2024-01-01', '2024-01-31'), { '2024-01-31': '1' });
      const [january, february] = [range('A', '2024-01-15', '2024-01-16'), range('A', '2024-02-01', '2024-02-29')];
      const inputs = [
        january,
        february,
        { ...january, assetType: 'CRYPTO' as const },
        range('B', '2024-01-01', '2024-01-31'),
        january,
      ];
      const standings = await monthlyPriceSink({ database }).current(inputs, call);
      expect(standings.map(({ status }) => status)).toEqual(['fresh', 'pending', 'pending', 'pending', 'fresh']);
      expect(standings.map(({ input }) => input)).toEqual(inputs);
    });

    it('takes a row of any day of a month for the month', async () => {
      const input = range('A', '2024-02-29', '2024-02-29');
      for (const date of ['2024-02-01', '2024-02-29']) {
        await emptyTables(database);
        await write(range('A', '2024-02-01', '2024-02-29'), { [date]: '1' });
        expect(await current(input)).toMatchObject({ status: 'fresh', value: { recordCount: 1 } });
      }
    });

    it('asks for nothing in the future', async () => {
      const [last, running] = [await monthFromNow(-1), await monthFromNow(0)];
      const input = range('A', `${last}-01`, '2999-12-31');
      await write(input, { [`${last}-01`]: '1', [`${running}-01`]: '2' });
      expect(await current(input)).toMatchObject({ status: 'fresh', value: { recordCount: 2 } });
      expect(await notes()).toEqual([`unknown ${running}-01 present`]);
    });

    it('asks for a month that the provider did not have again after 30 days, or the time given', async () => {
      const input = range('A', '2024-01-01', '2024-03-31');
      await write(input, { '2024-03-28': '3' }, { provider: 'one' });
      expect(await notes()).toEqual(['one 2024-01-01 to 2024-02-01 absent']);
      expect(await current(input)).toMatchObject({ status: 'fresh', value: { recordCount: 1 } });
      expect((await current(input, { absentMonthMaxAgeMs: 0 })).input).toEqual({
        ...input,
        endDate: '2024-02-29',
        storedMonths: 1,
      });
      await database.pool.query(sql`update ${remembered()} set fetched_at = now() - interval '29 days'`);
      expect((await current(input)).status).toBe('fresh');
      await database.pool.query(sql`update ${remembered()} set fetched_at = now() - interval '31 days'`);
      expect((await current(input)).status).toBe('pending');
      await write({ ...input, endDate: '2024-02-29' }, { '2024-02-29': '2' }, { provider: 'one' });
      expect(await notes()).toEqual(['one 2024-01-01 absent']);
      expect((await current(input)).status).toBe('fresh');
    });

    it('asks one provider for what another did not have', async () => {
      const input = range('A', '2024-01-01', '2024-01-31');
      await write(input, {}, { provider: 'one' });
      expect((await current(input)).status).toBe('fresh');
      expect((await current(input, { provider: 'one' })).status).toBe('fresh');
      expect((await current(input, { provider: 'two' })).status).toBe('pending');
    });

    it('asks for the running month again after 6 hours, or the time given', async () => {
      const running = await monthFromNow(0);
      const input = range('A', `${running}-01`, `${running}-28`);
      await write(input, { [`${running}-01`]: '1' });
      expect((await current(input)).status).toBe('fresh');
      expect((await current(input, { runningMonthMaxAgeMs: 0 })).status).toBe('pending');
      await write(input, { [`${running}-01`]: '1' }, { receivedAtMs: performance.now() - 7 * 3_600_000 });
      expect((await current(input)).status).toBe('fresh');
      await database.pool.query(sql`delete from ${remembered()}`);
      expect((await current(input)).status).toBe('pending');
      await write(input, { [`${running}-01`]: '1' }, { receivedAtMs: performance.now() - 7 * 3_600_000 });
      expect((await current(input)).status).toBe('pending');
    });

    it('asks soon again for a running month that was not there yet', async () => {
      const running = await monthFromNow(0);
      const input = range('A', `${running}-01`, `${running}-28`);
      await write(input, {});
      expect((await current(input)).status).toBe('fresh');
      await database.pool.query(sql`update ${remembered()} set fetched_at = now() - interval '7 hours'`);
      expect((await current(input)).status).toBe('pending');
    });

    it('asks once more for a month that was still running when it was fetched', async () => {
      const last = await monthFromNow(-1);
      const input = range('A', `${last}-01`, `${last}-28`);
      await write(input, { [`${last}-01`]: '1' });
      expect((await current(input)).status).toBe('fresh');
      await database.pool.query(sql`
        insert into ${remembered()} (provider, symbol, asset_type, month, last_month, fetched_at, present) values ('unknown', 'A', 'STOCK', ${`${last}-01`}, ${`${last}-01`}, ${`${last}-02`}::timestamp at time zone 'UTC', true)`);
      expect((await current(input)).status).toBe('pending');
      await write(input, { [`${last}-01`]: '2' });
      expect(await notes()).toEqual([]);
      expect((await current(input)).status).toBe('fresh');
    });

    // issue 10, item 10: absent months are ranges, not rows
    it('remembers the months before a first price in one row, and asks for nothing of them again', async () => {
      const input = range('A', '1950-01-01', '2024-12-31');
      await write(input, { '2023-01-31': '1', '2023-02-28': '2', '2023-06-30': '3' });
      expect(await notes()).toEqual([
        'unknown 1950-01-01 to 2022-12-01 absent',
        'unknown 2023-03-01 to 2023-05-01 absent',
        'unknown 2023-07-01 to 2024-12-01 absent',
      ]);
      expect(await current(input)).toMatchObject({ status: 'fresh', value: { recordCount: 3 } });
      expect((await current({ ...input, startDate: '1949-12-01' })).input).toMatchObject({ endDate: '1949-12-31' });
    });

    it('keeps of a note what was not asked for again', async () => {
      await write(range('A', '2020-01-01', '2020-12-31'), {}, { provider: 'one' });
      await write(range('A', '2020-01-01', '2020-12-31'), {}, { provider: 'two' });
      await write(range('A', '2020-04-01', '2020-06-30'), { '2020-05-29': '1' }, { provider: 'one' });
      expect((await notes()).filter((note) => note.startsWith('one'))).toEqual([
        'one 2020-01-01 to 2020-03-01 absent',
        'one 2020-04-01 absent',
        'one 2020-06-01 absent',
        'one 2020-07-01 to 2020-12-01 absent',
      ]);
      expect((await notes()).filter((note) => note.startsWith('two'))).toEqual(['two 2020-01-01 to 2020-12-01 absent']);
      expect(await current(range('A', '2020-01-01', '2020-12-31'))).toMatchObject({ status: 'fresh' });
    });

    it('keeps a newer note, whatever an older answer says', async () => {
      await write(range('A', '2020-01-01', '2020-12-31'), {});
      const old = { receivedAtMs: performance.now() - 3_600_000 };
      await write(range('A', '2020-03-01', '2021-02-28'), { '2021-01-29': '1' }, old);
      expect(await notes()).toEqual([
        'unknown 2020-01-01 to 2020-12-01 absent',
        'unknown 2020-03-01 to 2020-12-01 absent',
        'unknown 2021-02-01 absent',
      ]);
    });

    it('refuses a start of more than a century ago', () => {
      const sink = monthlyPriceSink({ database });
      expect(sink.refuse(range('A', '1900-01-31', '2024-01-31'))?.code).toBe('date_invalid');
      expect(sink.refuse(range('A', '1950-01-31', '9999-12-31'))).toBeUndefined();
    });

    it('leaves to the rest what it cannot ask for', async () => {
      const sink = monthlyPriceSink({ database });
      await write(range('A', '2024-01-01', '2024-01-31'), { '2024-01-31': '1' });
      const bad = [
        range('A\0', '2024-01-01', '2024-01-31'),
        range('A', '2024-02-30', '2024-03-01'),
        range('A', 'x', 'y'),
        range('A', '0000-01-01', '2024-01-01'),
      ];
      expect(bad.map((input) => sink.refuse(input)?.code)).toEqual([
        'symbol_invalid',
        'date_invalid',
        'date_invalid',
        'date_invalid',
      ]);
      const standings = await sink.current([...bad, range('A', '2024-01-01', '2024-01-31')], call);
      expect(standings.map(({ status }) => status)).toEqual(['pending', 'pending', 'pending', 'pending', 'fresh']);
      expect(sink.refuse(range('S'.repeat(255), '2024-01-01', '2024-01-31'))).toBeUndefined();
      expect(sink.refuse(range('S'.repeat(256), '2024-01-01', '2024-01-31'))?.code).toBe('symbol_too_long');
    });
  });

  it.each(['Pacific/Kiritimati', 'America/Sao_Paulo', 'Pacific/Pago_Pago'])(
    'keeps dates as they are in the time zone %s',
    async (timezone) => {
      await using own = await openWith({ timezone, DateStyle: 'SQL, DMY' });
      const input = range('A', '2018-10-31', '2018-12-31');
      const prices = { '2018-10-31': '1', '2018-11-04': '2', '2018-12-31': '3' };
      const sink = monthlyPriceSink({ database: own });
      await sink.write(batchOf([ok(input, months(input, prices))]), call);
      const stored: unknown = await own.pool.query(
        sql`select to_char(date, 'YYYY-MM-DD') as date from ${sql.ident(own.schema, 'market_data_monthly')} order by 1`,
      );
      expect(stored).toEqual(Object.keys(prices).map((date) => ({ date })));
      const asked = [input, { ...input, endDate: '2019-02-28' }];
      expect(await sink.current(asked, call)).toMatchObject([
        { status: 'fresh', value: { recordCount: 3 } },
        { status: 'pending', input: { startDate: '2019-01-01', endDate: '2019-02-28', storedMonths: 3 } },
      ]);
    },
  );

  /** A database of its own under other settings. */
  async function openWith(settings: Record<string, string>, options: { statementTimeoutMs?: number } = {}) {
    const own = track(await openTestDatabase({ shape, migrated: true, ownDatabase: true }));
    for (const [name, value] of Object.entries(settings)) {
      const statement = sql`select format('alter database %I set %I = %L', current_database(), ${name}::text, ${value}::text) as text`;
      const [row] = (await own.pool.query(statement)) as { text: string }[];
      await own.pool.query(sql.__dangerous__rawValue(row!.text));
    }
    const database = track(connectDatabase({ url: own.url, ...options }));
    return Object.assign(Object.create(database) as typeof database, {
      [Symbol.asyncDispose]: async () => {
        await database[Symbol.asyncDispose]();
        await own[Symbol.asyncDispose]();
      },
    });
  }
});
