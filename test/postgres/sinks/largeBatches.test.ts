// Issue 10, item 10: the rows of a batch go in pages, all of them in one transaction with its entry in the ledger.
import { sql } from '@databases/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Batch } from '../../../src/model/batch.ts';
import type { MonthlyPrices, MonthlyRange } from '../../../src/model/records.ts';
import { connectDatabase, type Database } from '../../../src/postgres/connectDatabase.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { openTestDatabase, type TestDatabase } from '../../support/postgres.ts';
import { startTcpProxy, type ProxiedConnection, type TcpProxy } from '../../support/tcpProxy.ts';
import { postgresWire, type PostgresRequest } from '../../support/wire/postgresWire.ts';
import { emptyTables } from './emptyTables.ts';
import { batchOf, call, months, ok, range } from './samples.ts';

/** As long as a request may reach back. */
const [assets, monthsOfEach] = [17, 1_200];
const rowsOfAll = assets * monthsOfEach;
const dates = Array.from({ length: monthsOfEach }, (_, month) => {
  const [year, number] = [1926 + Math.floor(month / 12), (month % 12) + 1];
  return `${year}-${String(number).padStart(2, '0')}-28`;
});

function largeBatch(request?: string): Batch<MonthlyRange, MonthlyPrices> {
  const prices = Object.fromEntries(dates.map((date, month) => [date, `${month + 1}`]));
  const outcomes = Array.from({ length: assets }, (_, number) => {
    const input = range(`A${String(number).padStart(2, '0')}`, dates[0]!, dates.at(-1)!);
    return ok(input, months(input, prices));
  });
  return batchOf(outcomes, request);
}

describe('a batch of 20,400 rows', { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let proxied: Database;
  /** The statements that wrote rows: how many values each had, and how many bytes. */
  let writes: { readonly rows: number; readonly bytes: number }[] = [];
  let onWrite: (connection: ProxiedConnection) => Promise<void> | undefined = () => undefined;

  const see = async (message: PostgresRequest, connection: ProxiedConnection): Promise<undefined> => {
    if (message.type !== 'bind' || !/insert into\s+"[^"]+"\."market_data_monthly"/i.test(message.text)) return;
    const [symbols] = message.parameters;
    const bytes = message.parameters.reduce((sum, value) => sum + (value?.length ?? 0), 0);
    writes.push({ rows: symbols?.split(',').length ?? 0, bytes });
    await onWrite(connection);
  };

  beforeAll(async () => {
    database = await openTestDatabase({ shape: 'S1', migrated: true, poolSize: 4 });
    const url = new URL(database.url);
    const port = Number(url.port);
    proxy = await startTcpProxy({ target: () => port, protocol: postgresWire, onClientMessage: see });
    url.port = String(proxy.port);
    const { schema, ownSchema } = database;
    proxied = connectDatabase({ url: url.href, schema, ownSchema, poolSize: 4 });
  });
  beforeEach(async () => {
    await emptyTables(database);
    writes = [];
    onWrite = () => undefined;
  });
  afterAll(async () => {
    await proxied.close();
    await proxy[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  /** Rows and batches that are committed. */
  const committed = async (): Promise<{ rows: number; batches: number }> => {
    const [counts] = (await database.pool.query(sql`
      select (select count(*)::integer from ${sql.ident(database.schema, 'market_data_monthly')}) as rows,
        (select count(*)::integer from ${sql.ident(database.ownSchema, 'batches')}) as batches`)) as {
      rows: number;
      batches: number;
    }[];
    return counts!;
  };

  it.each([undefined, 'large'])(
    'has no statement of more than 10,000 rows, nor of a megabyte: request %s',
    async (key) => {
      const result = await monthlyPriceSink({ database: proxied }).write(largeBatch(key), call);
      expect(result).toMatchObject({ inserted: rowsOfAll, updated: 0, unchanged: 0, transactions: 1, failed: [] });
      expect(result.stored).toHaveLength(assets);
      expect(result.stored?.at(-1)).toMatchObject({ status: 'ok', value: { recordCount: monthsOfEach, prices: [] } });
      expect(writes.reduce((sum, { rows }) => sum + rows, 0)).toBe(rowsOfAll);
      expect(Math.max(...writes.map(({ rows }) => rows))).toBeLessThanOrEqual(10_000);
      expect(Math.max(...writes.map(({ bytes }) => bytes))).toBeLessThan(1_000_000);
      expect(await committed()).toEqual({ rows: rowsOfAll, batches: key === undefined ? 0 : 1 });
    },
  );

  it('counts what is there already', async () => {
    const sink = monthlyPriceSink({ database: proxied });
    await sink.write(batchOf(largeBatch().outcomes.slice(3)), call);
    const result = await sink.write(largeBatch('large'), call);
    const inserted = 3 * monthsOfEach;
    expect(result).toMatchObject({ inserted, updated: 0, unchanged: rowsOfAll - inserted, transactions: 1 });
  });

  it('is told by the ledger as it is told to whoever writes it, and written once', async () => {
    const sinks = [monthlyPriceSink({ database: proxied }), monthlyPriceSink({ database: proxied })];
    const [one, other] = await Promise.all(sinks.map((sink) => sink.write(largeBatch('large'), call)));
    for (const result of [one, other])
      expect(result).toMatchObject({ inserted: rowsOfAll, transactions: 1, failed: [] });
    expect(writes.reduce((sum, { rows }) => sum + rows, 0)).toBe(rowsOfAll);
    const stored = await sinks[0]!.ledger.stored('large', 0);
    expect(stored?.written).toMatchObject({ inserted: rowsOfAll, updated: 0, unchanged: 0, transactions: 1 });
    expect(stored?.outcomes).toHaveLength(assets);
  });

  it('is not there by halves when the connection is lost between two pages, and is written again', async () => {
    let seen: Awaited<ReturnType<typeof committed>> | undefined;
    onWrite = async (connection) => {
      if (writes.length !== 3) return;
      seen = await committed();
      connection.reset();
    };
    const result = await monthlyPriceSink({ database: proxied }).write(largeBatch('large'), call);
    expect(seen).toEqual({ rows: 0, batches: 0 });
    expect(result).toMatchObject({ inserted: rowsOfAll, transactions: 1, failed: [] });
    expect(await committed()).toEqual({ rows: rowsOfAll, batches: 1 });
  });

  it('loses only the asset that the database refuses', async () => {
    const table = sql.ident(database.schema, 'market_data_monthly');
    await database.pool.query(
      sql`alter table ${table} add constraint refused check (symbol <> 'A12' or date < '2000-01-01')`,
    );
    try {
      const result = await monthlyPriceSink({ database: proxied }).write(largeBatch('large'), call);
      expect(result.failed.map(({ index, error }) => [index, error.code])).toEqual([[12, 'row_rejected']]);
      expect(result).toMatchObject({ inserted: rowsOfAll - monthsOfEach, transactions: 1 });
      expect(Math.max(...writes.map(({ rows }) => rows))).toBeLessThanOrEqual(10_000);
      expect(await committed()).toEqual({ rows: rowsOfAll - monthsOfEach, batches: 1 });
    } finally {
      await database.pool.query(sql`alter table ${table} drop constraint refused`);
    }
  });

  it('loses only the asset that a trigger leaves out', async () => {
    const [table, leaveOut] = [
      sql.ident(database.schema, 'market_data_monthly'),
      sql.ident(database.schema, 'leave_out'),
    ];
    await database.pool.query(sql`
      create function ${leaveOut}() returns trigger language plpgsql
        as $$ begin if new.symbol = 'A12' then return null; end if; return new; end $$`);
    await database.pool.query(
      sql`create trigger leaves_out before insert on ${table} for each row execute function ${leaveOut}()`,
    );
    try {
      const result = await monthlyPriceSink({ database: proxied }).write(largeBatch('large'), call);
      expect(result.failed.map(({ index, error }) => [index, error.code])).toEqual([[12, 'row_rejected']]);
      expect(result).toMatchObject({ inserted: rowsOfAll - monthsOfEach, transactions: 1 });
      expect(Math.max(...writes.map(({ rows }) => rows))).toBeLessThanOrEqual(10_000);
    } finally {
      await database.pool.query(sql`drop trigger leaves_out on ${table}`);
    }
  });
});
