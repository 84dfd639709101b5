import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { checkTables } from '../../../src/postgres/checkTables.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import type { ConnectDatabaseOptions, Database } from '../../../src/postgres/connectDatabase.ts';
import { databaseError } from '../../../src/postgres/errors.ts';
import { fromTable } from '../../../src/postgres/fromTable.ts';
import { migrate } from '../../../src/postgres/migrate.ts';
import { postgresQuotaStore } from '../../../src/postgres/limits/postgresQuotaStore.ts';
import { postgresWindow } from '../../../src/postgres/limits/postgresWindow.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { lastValueFrom, toArray } from 'rxjs';
import { cli } from '../../cli/support/cli.ts';
import { pgBouncerProgram, startPgBouncer } from '../../support/pgBouncer.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { asset, batchOf, call, months, ok, quote, range } from '../sinks/samples.ts';

const program = pgBouncerProgram();

// Issue 10, item 17.
describe.skipIf(program === undefined)('a database behind PgBouncer in transaction mode', () => {
  const startPooler = (settings?: Record<string, string>) => startPgBouncer(program ?? '', settings);
  const connect = ({ schema, ownSchema }: TestDatabase, url: string, options: Partial<ConnectDatabaseOptions> = {}) =>
    connectDatabase({ url, schema, ownSchema, poolSize: 4, ...options });

  it('is written and read without prepared statements, by many at once', async () => {
    await using pooler = track(await startPooler());
    await using direct = track(await openTestDatabase({ shape: 'S1' }));
    await using database = track(connect(direct, pooler.url, { preparedStatements: false }));
    await Promise.all([migrate({ database }), migrate({ database })]);
    await checkTables({ database });
    const sinks = [marketDataSink({ database }), marketDataSink({ database })];
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    await Promise.all(
      numbers.map(async (number) => {
        const outcomes = [ok(asset(`S${number}`), quote(asset(`S${number}`), '1.5'))];
        const written = await sinks[number % 2]?.write(batchOf(outcomes, `request ${number}`), call);
        expect(written).toMatchObject({ inserted: 1, failed: [] });
        expect(await sinks[number % 2]?.ledger.stored(`request ${number}`, 0)).toMatchObject({ index: 0 });
      }),
    );
    const table = fromTable({ database, table: 'market_data' });
    expect(await lastValueFrom(table.pipe(toArray()))).toHaveLength(20);
    // The path with savepoints, of a batch with a row that the server refuses.
    await direct.pool.query(sql`
      alter table ${sql.ident(direct.schema, 'market_data_monthly')} add check (price < 100)`);
    const input = range('A', '2024-01-01', '2024-02-29');
    const monthly = await monthlyPriceSink({ database }).write(
      batchOf([ok(input, months(input, { '2024-01-31': '100' }))], 'months'),
      call,
    );
    expect(monthly.failed.map(({ error }) => error.code)).toEqual(['row_rejected']);
  });

  it('counts credits and days for several processes', async () => {
    await using pooler = track(await startPooler());
    await using direct = track(await openTestDatabase({ migrated: true }));
    await using database = track(connect(direct, pooler.url, { preparedStatements: false }));
    const key = { database, provider: 'p', apiKey: 'k' };
    const [first, second] = [postgresWindow({ ...key, credits: 8 }), postgresWindow({ ...key, credits: 8 })];
    const want = { min: 1, reserve: 0, holdMs: 75_000, signal: call.signal };
    const grants = [await first.take({ credits: 6, ...want }), await second.take({ credits: 6, ...want })];
    expect(grants).toMatchObject([{ credits: 6 }, { credits: 2 }]);
    expect(await postgresQuotaStore(key).book('2026-11-24', 20, 30)).toBe(20);
  });

  it('keeps the time limits of statements and locks, which no session holds', async () => {
    await using pooler = track(await startPooler());
    await using direct = track(await openTestDatabase({ shape: 'S1' }));
    const limits = { statementTimeoutMs: 400, lockTimeoutMs: 50, preparedStatements: false };
    await using database = track(connect(direct, pooler.url, limits));
    await expect(database.pool.query(sql`select pg_sleep(60)`)).rejects.toMatchObject({ code: '57014' });
    const table = sql.ident(direct.schema, 'market_data');
    await direct.pool.tx(async (transaction) => {
      await transaction.query(sql`lock table ${table}`);
      await expect(database.pool.query(sql`select * from ${table}`)).rejects.toMatchObject({ code: '55P03' });
    });
    // What a transaction says of its own goes before.
    const shown = await database.pool.tx((transaction) => transaction.query(sql`show lock_timeout`), {
      lockTimeoutMilliseconds: 70,
    });
    expect(shown).toEqual([{ lock_timeout: '70ms' }]);
    await using neighbor = track(connect(direct, pooler.url, { preparedStatements: false, statementTimeoutMs: 9000 }));
    expect(await neighbor.pool.query(sql`show statement_timeout`)).toEqual([{ statement_timeout: '9s' }]);
  });

  /** What a database says that takes PgBouncer for a server: of its start, or of a statement that another session prepared. */
  async function refusal(database: Database, calls = 1): Promise<string> {
    const sink = marketDataSink({ database });
    const results = await Promise.allSettled(
      Array.from({ length: calls }, (_, number) => sink.ledger.stored(`r${number}`, 0)),
    );
    const refused = results.find((result) => result.status === 'rejected');
    const error = databaseError(refused?.reason, database);
    expect(error).toMatchObject({ code: 'database_not_ready', retryable: false });
    return error.message;
  }

  const advice = 'preparedStatements: false, or DATABASE_PREPARED_STATEMENTS=off';

  it('names the option where the pooler refuses the connection', async () => {
    await using pooler = track(await startPooler());
    await using direct = track(await openTestDatabase({ migrated: true }));
    await using database = track(connect(direct, pooler.url));
    expect(await refusal(database)).toMatch(new RegExp(`startup parameter.*${advice}`));
  });

  it('names the option where sessions mix up prepared statements (42P05, 26000)', async () => {
    const ignored = 'statement_timeout,lock_timeout,idle_in_transaction_session_timeout';
    await using pooler = track(await startPooler({ ignore_startup_parameters: ignored }));
    await using direct = track(await openTestDatabase({ migrated: true }));
    await using database = track(connect(direct, pooler.url));
    expect(await refusal(database, 30)).toMatch(new RegExp(`prepared statement.*(42P05|26000).*${advice}`));
  });

  it('is used by the command line with DATABASE_PREPARED_STATEMENTS=off', async () => {
    await using pooler = track(await startPooler());
    await using direct = track(await openTestDatabase({ shape: 'S1', ownDatabase: true }));
    const url = new URL(pooler.url);
    url.pathname = new URL(direct.url).pathname;
    const env = { DATABASE_URL: url.href, DATABASE_PREPARED_STATEMENTS: 'off' };
    expect(await cli(['migrate'], { env })).toMatchObject({ code: 0 });
    const refused = await cli(['migrate'], { env: { DATABASE_URL: url.href } });
    expect(refused.stderr).toContain(advice);
  });
});
