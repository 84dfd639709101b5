import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from '@databases/pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceTables } from '../../../src/postgres/index.ts';
import { expectWindow } from '../../../src/testing/index.ts';
import {
  quoteBody,
  seriesBody,
  startMarketServer,
  twelveDataBody,
  unknownSymbol,
  yahooBody,
} from '../../support/marketServer.ts';
import { openTestDatabase, type TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { cli, temporaryFolder } from '../support/cli.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = track(await openTestDatabase({ ownDatabase: true, migrated: true }));
});
afterAll(() => database[Symbol.asyncDispose]());

/** Price tables of the test's own, in the database of the file. */
async function makePriceTables(): Promise<{ env: Record<string, string>; schema: string }> {
  const schema = `prices_${randomBytes(6).toString('hex')}`;
  await createReferenceTables({ database: { ...database, schema } });
  return { schema, env: { DATABASE_URL: database.url, DATABASE_SCHEMA_NAME: schema } };
}

/** A loopback Twelve Data that knows everything but NOPE. */
const openTwelveData = async () =>
  track(
    await startMarketServer(({ symbols }) => ({
      body: twelveDataBody(symbols, (symbol) => (symbol === 'NOPE' ? unknownSymbol : quoteBody(symbol))),
    })),
  );

const variables = (baseUrl: string) => ({
  TWELVE_DATA_API_HOST: baseUrl,
  TWELVE_DATA_API_KEY: 'some-api-key',
  TWELVE_DATA_CREDITS_PER_MINUTE: '100',
});

const recorded = ['--provider', 'recorded', '--database', 'memory'];

describe('run market-data', () => {
  it('fetches, stores, and prints the completion event as the last line of stdout', async () => {
    const { env, schema } = await makePriceTables();
    await using server = await openTwelveData();

    const { code, stdout, stderr, event, listeners } = await cli(
      ['run', 'market-data', '--symbols', 'AAPL:STOCK,BTC:CRYPTO,EUR/USD:FOREX', '--request-id', 'r1'],
      { env: { ...variables(server.baseUrl), ...env } },
    );

    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toContain('"price":228.34000');
    expect(event()).toMatchObject({ status: 'complete', totalAssets: 3, requestId: 'r1', failed: [], skipped: [] });
    expect(stderr).toMatch(
      /^market-data: batch 1: 3 ok in [\d.]+ m?s; 3 of 3 symbols done\nmarket-data: complete: 3 of 3 symbols served in 1 batch, [\d.]+ m?s\n$/,
    );
    expect(server.requests.map(({ symbols }) => symbols)).toEqual([['AAPL', 'BTC/USD', 'EUR/USD']]);
    expect(listeners).toBe(0);
    const rows = await database.pool.query(
      sql`select symbol, asset_type, price from ${sql.ident(schema, 'market_data')} order by symbol`,
    );
    expect(rows).toEqual([
      { symbol: 'AAPL', asset_type: 'STOCK', price: '228.340000' },
      { symbol: 'BTC', asset_type: 'CRYPTO', price: '228.340000' },
      { symbol: 'EUR/USD', asset_type: 'FOREX', price: '228.340000' },
    ]);
    expect(await database.pool.query(sql`select key from fintrack_pipelines.requests where key ~ 'r1'`)).toEqual([
      { key: 'run:market-data:r1' },
    ]);
  });

  it('keeps to the credits of the plan, in the window given', async () => {
    await using server = await openTwelveData();
    const symbols = ['S0', 'S1', 'S2', 'S3', 'S4'];
    const list = symbols.map((symbol) => `${symbol}:STOCK`).join();

    // With the default window of a minute, this would run into the time limit of the test.
    const { event } = await cli(['run', 'market-data', '--symbols', list, '--database', 'memory'], {
      env: { ...variables(server.baseUrl), TWELVE_DATA_CREDITS_PER_MINUTE: '2', TWELVE_DATA_WINDOW_MS: '50' },
    });

    expect(event()).toMatchObject({ status: 'complete', totalAssets: 5 });
    expect(server.requests.map((request) => request.symbols.length)).toEqual([2, 2, 1]);
  });

  it('ends partial, with code 2, and names what failed', async () => {
    await using server = await openTwelveData();

    const { code, stderr, event } = await cli(
      ['run', 'market-data', '--symbols', 'AAPL:STOCK,NOPE:STOCK,MSFT,GOLD:METAL', '--database', 'memory'],
      { env: variables(server.baseUrl) },
    );

    expect(code).toBe(2);
    expect(event()).toMatchObject({ status: 'partial', totalAssets: 4 });
    expect(stderr).toContain('market-data: partial: 1 of 4 symbols served in 1 batch, ');
    expect(stderr).toContain('  failed: NOPE STOCK: symbol_unknown: twelve-data: ');
    expect(stderr).toContain('  failed: MSFT: asset_type_unknown: MSFT: asset_type: expected one of STOCK, CRYPTO, ');
    expect(stderr).toContain('  failed: GOLD METAL: asset_type_unknown: ');
  });

  it('ends failed, with code 1, when nothing could be served', async () => {
    const symbols = Array.from({ length: 12 }, (_, index) => `NO${index}:STOCK`).join();

    const { code, stderr, event } = await cli(['run', 'market-data', '--symbols', symbols, ...recorded]);

    expect(code).toBe(1);
    expect(event()).toMatchObject({ status: 'failed', errorType: 'symbol_unknown' });
    expect(event()).not.toHaveProperty('assets');
    expect(stderr.match(/^ {2}failed: NO\d+ STOCK/gm)).toHaveLength(10);
    expect(stderr).toContain('  failed: 2 more, listed in the event');
  });

  it('makes a request id of its own', async () => {
    const run = ['run', 'market-data', '--symbols', 'AAPL:STOCK', ...recorded];

    const [first, second] = [(await cli(run)).event(), (await cli(run)).event()];

    expect(first['requestId']).toMatch(/^[\da-f-]{36}$/);
    expect(second['requestId']).not.toBe(first['requestId']);
  });

  it('shows a live line on a terminal and clears it', async () => {
    const { stderr } = await cli(['run', 'market-data', '--symbols', 'AAPL:STOCK', ...recorded], { terminal: 100 });

    expect(stderr).toContain('\r\u001B[2Kmarket-data: 0/1 done (0 ok)');
    expect(stderr).toMatch(/\r\u001B\[2Kmarket-data: complete: 1 of 1 symbols served in 1 batch, \d+ ms\n$/);
  });
});

describe('run market-index-data', () => {
  it('asks Yahoo through RapidAPI for bare symbols', async () => {
    await using server = track(await startMarketServer(({ symbols }) => ({ body: yahooBody(symbols) })));

    const { code, event } = await cli(['run', 'market-index-data', '--symbols', '^GSPC,GC=F', '--database', 'memory'], {
      env: { RAPIDAPI_HOST: server.baseUrl, RAPIDAPI_KEY: 'some-api-key', RAPIDAPI_MARKET_GET_QUOTES: '/quotes' },
    });

    expect(code).toBe(0);
    expect(event()).toMatchObject({ status: 'complete', totalSymbols: 2 });
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.url).toMatch(/^\/quotes\?/);
    expect(server.requests[0]?.symbols).toEqual(['^GSPC', 'GC=F']);
    expect(server.requests[0]?.headers['x-rapidapi-key']).toBe('some-api-key');
  });
});

describe('run historical-market-data', () => {
  it('stores the months, and asks for nothing the second time', async () => {
    const { env } = await makePriceTables();
    await using server = track(
      await startMarketServer(({ symbols }) => ({
        body: twelveDataBody(symbols, (symbol) => seriesBody(symbol, ['2024-03-01', '2024-02-01', '2024-01-01'])),
      })),
    );
    const run = [
      'run',
      'historical-market-data',
      '--symbols',
      'AAPL:STOCK',
      '--start',
      '2024-01-31',
      '--end',
      '2024-03-31',
    ];
    const options = { env: { ...env, ...variables(server.baseUrl), TWELVE_DATA_API_TIMESERIES: '/series' } };

    const first = await cli(run, options);
    const second = await cli(run, options);

    expect(first.event()).toMatchObject({ status: 'complete', record_count: 3, end_date: '2024-03-31' });
    expect(second.event()).toMatchObject({ status: 'complete', record_count: 3 });
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.url).toMatch(/^\/series\?/);
  });

  it('takes today as the end', async () => {
    const run = ['run', 'historical-market-data', '--symbols', 'AAPL:STOCK', '--start', '2010-01-31', ...recorded];

    const before = new Date().toISOString().slice(0, 10);
    const { event } = await cli(run);
    const after = new Date().toISOString().slice(0, 10);

    expect([before, after]).toContain(event()['end_date']);
    expect(event()).toMatchObject({ record_count: 3 });
  });

  it('answers a start after the end with a failed event', async () => {
    const run = ['run', 'historical-market-data', '--symbols', 'AAPL:STOCK', ...recorded];

    const { code, event, stderr } = await cli([
      ...run,
      '--start',
      '2024-03-31',
      '--end',
      '2024-01-31',
      '--request-id',
      'r2',
    ]);

    expect(code).toBe(1);
    expect(stderr).toBe('fintrack-pipelines: request: start_date 2024-03-31 is after end_date 2024-01-31\n');
    expect(event()).toMatchObject({ status: 'failed', errorType: 'date_invalid', requestId: 'r2', record_count: 0 });
  });
});

describe('the symbols of a file or a table', () => {
  it('come from a CSV file, bad rows as failed symbols', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'list.csv'), 'symbol,asset_type\nAAPL,STOCK\nIBM,STOCK\nIBM,STOCK\nGOLD,METAL\n');

    const { code, event } = await cli(['run', 'market-data', '--file', 'list.csv', ...recorded], { cwd: folder.path });

    expect(code).toBe(2);
    expect(event()).toMatchObject({
      totalAssets: 3,
      assets: [{ symbol: 'AAPL' }, { symbol: 'IBM' }],
      failed: [{ symbol: 'GOLD', asset_type: 'METAL', reason: 'asset_type_unknown' }],
    });
  });

  it('come from a CSV file of indexes', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'list.csv'), 'symbol\n^GSPC\n');

    const { event } = await cli(['run', 'market-index-data', '--file', join(folder.path, 'list.csv'), ...recorded]);

    expect(event()).toMatchObject({ status: 'complete', totalSymbols: 1 });
  });

  it('may be none: a file with nothing but its header is a complete request', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'list.csv'), 'symbol,asset_type\n');

    const { code, event } = await cli(['run', 'market-data', '--file', 'list.csv', ...recorded], { cwd: folder.path });

    expect(code).toBe(0);
    expect(event()).toMatchObject({ status: 'complete', totalAssets: 0, totalBatches: 0 });
  });

  it('get one sentence when the file is not there, or is another one', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'other.csv'), 'name,price\nApple,1\n');

    const missing = await cli(['run', 'market-data', '--file', 'list.csv', ...recorded], { cwd: folder.path });
    const other = await cli(['run', 'market-data', '--file', 'other.csv', ...recorded], { cwd: folder.path });

    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toBe(
      `fintrack-pipelines: run: --file: expected a file that can be read, got "${join(folder.path, 'list.csv')}": ` +
        'there is no such file\n',
    );
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/^fintrack-pipelines: .*other\.csv, line 1: .*symbol.*\n$/);
    expect(other.event()).toMatchObject({ status: 'failed', errorType: 'request_malformed' });
  });

  it('come from a table of the price schema or of another one', async () => {
    const { env, schema } = await makePriceTables();
    const watchlist = sql.ident(schema, 'watchlist');
    await database.pool.query(sql`create table ${watchlist} (symbol text, asset_type text)`);
    await database.pool.query(sql`insert into ${watchlist} values ('AAPL', 'STOCK'), ('GOLD', 'METAL')`);
    await database.pool.query(sql`create schema if not exists mine`);
    await database.pool.query(sql`create table mine.indexes as select '^GSPC' as symbol`);
    const from = (pipeline: string, table: string) =>
      cli(['run', pipeline, '--from-table', table, '--provider', 'recorded'], { env });

    const assets = await from('market-data', 'watchlist');
    const indexes = await from('market-index-data', 'mine.indexes');

    expect(assets.event()).toMatchObject({
      status: 'partial',
      assets: [{ symbol: 'AAPL' }],
      failed: [{ symbol: 'GOLD' }],
    });
    expect(indexes.event()).toMatchObject({ status: 'complete', totalSymbols: 1 });
  });

  it('get one sentence and a failed event when the table is not there', async () => {
    const { env, schema } = await makePriceTables();
    const run = ['run', 'market-data', '--from-table', 'watchlist', '--provider', 'recorded'];

    const { code, stderr, event } = await cli(run, { env });

    expect(code).toBe(1);
    expect(stderr).toBe(
      'fintrack-pipelines: run: --from-table: expected a table or view with the columns symbol and asset_type ' +
        `in schema "${schema}", or schema.table, got: relation "${schema}.watchlist" does not exist\n`,
    );
    expect(event()).toMatchObject({ status: 'failed', errorType: 'database_not_ready' });
  });
});

describe('a database that is not ready', () => {
  const run = ['run', 'market-data', '--symbols', 'AAPL:STOCK,IBM:STOCK,X:METAL', '--provider', 'recorded'];

  it('without our tables gets the command that makes them', async () => {
    await using bare = track(await openTestDatabase({ ownDatabase: true, shape: 'S1' }));

    const { code, stderr, event } = await cli([...run, '--database', bare.url]);

    expect(code).toBe(1);
    expect(stderr).toMatch(/^fintrack-pipelines: PostgreSQL at .*: run `fintrack-pipelines migrate`.*\n$/);
    expect(event()).toMatchObject({ status: 'failed', errorType: 'database_not_ready', totalAssets: 3 });
  });

  it('without price tables gets a sentence that names them', async () => {
    const { stderr } = await cli([...run, '--database', database.url], { env: { DATABASE_SCHEMA_NAME: 'other' } });

    expect(stderr).toMatch(/^fintrack-pipelines: PostgreSQL at .*: there is no market_data in schema "other": .*\n$/);
  });

  it('that cannot be reached gets a sentence and an event that lists every symbol', async () => {
    const { code, stderr, event } = await cli([...run, '--database', 'postgres://me:secret@127.0.0.1:1/db']);

    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^fintrack-pipelines: cannot reach PostgreSQL at 127\.0\.0\.1:1 \(.*\): check that the server runs .*\n$/,
    );
    expect(stderr).not.toContain('secret');
    expect(event()).toMatchObject({
      status: 'failed',
      errorType: 'database_unavailable',
      totalAssets: 3,
      failed: [
        { symbol: 'X', reason: 'asset_type_unknown' },
        { symbol: 'AAPL', reason: 'database_unavailable' },
        { symbol: 'IBM', reason: 'database_unavailable' },
      ],
    });
  });

  it('that refuses the login gets a sentence', async () => {
    const url = new URL(database.url);
    url.username = 'nobody_of_that_name';
    url.pathname = '/no_such_database';

    const { code, stderr } = await cli([...run, '--database', url.href]);

    expect(code).toBe(1);
    expect(stderr).toMatch(/^fintrack-pipelines: PostgreSQL at .*nobody_of_that_name.*\n$/);
  });
});

// Issue 10, 21.
describe('--batch-size', () => {
  const run = ['market-data', '--symbols', 'A:STOCK,B:STOCK,C:STOCK,D:STOCK,E:STOCK', '--provider', 'simulated'];

  it('cuts a new request, and leaves one under way as it is', async () => {
    const { env } = await makePriceTables();
    const request = [...run, '--request-id', 'sizes'];
    const batchesOf = async (argv: readonly string[], more: Record<string, string> = {}) =>
      (await cli(argv, { env: { ...env, ...more } })).event()['totalBatches'];

    expect(await batchesOf(['run', ...run], { MARKET_DATA_BATCH_SIZE: '4' })).toBe(2);
    expect(await batchesOf(['run', ...run, '--batch-size', '1'], { MARKET_DATA_BATCH_SIZE: '4' })).toBe(5);
    expect(await batchesOf(['run', ...request, '--batch-size', '2'])).toBe(3);
    expect(await batchesOf(['run', ...request, '--batch-size', '5'])).toBe(3);

    const planned = await cli(['plan', ...request, '--batch-size', '5', '--json'], { env });
    expect(planned.event()).toMatchObject({ batches: 3, stored: 5, toFetch: 0 });
    const other = await cli(['plan', ...run, '--batch-size', '4', '--json'], { env });
    expect(other.event()).toMatchObject({ batches: 2 });
  });
});

describe('Ctrl-C and --request-id', () => {
  const symbols = Array.from({ length: 10 }, (_, index) => `S${index}:STOCK`).join();

  it('stops with what is done, and the same request goes on from there', async () => {
    const tables = await makePriceTables();
    await using server = await openTwelveData();
    const run = ['run', 'market-data', '--symbols', symbols, '--request-id', 'r3'];
    const env = { ...tables.env, ...variables(server.baseUrl), TWELVE_DATA_API_KEY: 'key-of-r3' };

    let isStopped = false;
    const stopped = await cli(run, {
      env: { ...env, TWELVE_DATA_CREDITS_PER_MINUTE: '4' },
      terminal: 200,
      onLog: (text, signals) => {
        if (!isStopped && text.includes('waiting for 4 credits until') && text.includes('4/10 done')) {
          isStopped = true;
          signals.emit('SIGINT', 'SIGINT');
        }
      },
    });
    const asked = server.requests.flatMap((request) => request.symbols);
    // Another key: the window of the first is in the table, and still full.
    const resumed = await cli(run, { env: { ...env, TWELVE_DATA_API_KEY: 'other-key-of-r3' } });

    expect(stopped.code).toBe(2);
    expect(stopped.event()).toMatchObject({ status: 'partial', totalAssets: 10, failed: [] });
    expect(stopped.event()['assets']).toHaveLength(4);
    expect(stopped.event()['skipped']).toHaveLength(6);
    expect(stopped.stderr).toContain('stopping: ');
    expect(stopped.stderr).toContain('  skipped: 6: the run was stopped\n');
    expect(stopped.stderr).toContain('to go on where it stopped, run the same command with --request-id r3\n');
    expect(stopped.exits).toEqual([]);
    expect(stopped.listeners).toBe(0);
    expect(asked).toHaveLength(4);
    expect(resumed.code).toBe(0);
    expect(resumed.event()).toMatchObject({ status: 'complete', totalAssets: 10 });
    expect(resumed.event()['assets']).toHaveLength(10);
    expect(server.requests.flatMap((request) => request.symbols).sort()).toEqual(
      symbols.split(',').map((symbol) => symbol.slice(0, 2)),
    );
  });

  it('gives up a call that is on its way, and ends at once at the second signal', async () => {
    let signal = (): void => {};
    await using server = track(
      await startMarketServer(() => {
        signal();
        return new Promise(() => {});
      }),
    );

    const { code, event, exits } = await cli(
      ['run', 'market-data', '--symbols', 'AAPL:STOCK', '--database', 'memory'],
      {
        env: variables(server.baseUrl),
        onSignals: (signals) => {
          signal = () => {
            signals.emit('SIGTERM', 'SIGTERM');
            signals.emit('SIGTERM', 'SIGTERM');
          };
        },
      },
    );

    expect(exits).toEqual([143]);
    expect(code).toBe(1);
    expect(event()).toMatchObject({ status: 'failed', skipped: [{ symbol: 'AAPL', reason: 'canceled' }] });
  });

  it('refuses the id of a request for other symbols', async () => {
    const { env } = await makePriceTables();
    const run = ['run', 'market-data', '--provider', 'recorded', '--request-id', 'r4'];

    await cli([...run, '--symbols', 'AAPL:STOCK'], { env });
    const { code, event, stderr } = await cli([...run, '--symbols', 'IBM:STOCK'], { env });

    expect(code).toBe(1);
    expect(event()).toMatchObject({ status: 'failed', errorType: 'request_conflict', requestId: 'r4' });
    expect(stderr).toMatch(/^fintrack-pipelines: .*run:market-data:r4.*\n$/);
  });

  it('answers an id that is too long with a failed event', async () => {
    const id = 'x'.repeat(201);
    const { code, event } = await cli([
      'run',
      'market-data',
      '--symbols',
      'AAPL:STOCK',
      ...recorded,
      '--request-id',
      id,
    ]);

    expect(code).toBe(1);
    expect(event()).toMatchObject({ status: 'failed', errorType: 'request_malformed', requestId: id });
  });
});

describe('the credits of a day', () => {
  const symbols = Array.from({ length: 8 }, (_, index) => `D${index}:STOCK`);

  it('end a run as partial, which says when they come back; it goes on from there, and another run knows', async () => {
    const tables = await makePriceTables();
    await using server = await openTwelveData();
    const env = { ...tables.env, ...variables(server.baseUrl), TWELVE_DATA_API_KEY: 'key-of-a-day' };
    const limited = { ...env, TWELVE_DATA_CREDITS_PER_DAY: '5' };
    const run = ['run', 'market-data', '--symbols', symbols.join(), '--request-id', 'day'];

    const first = await cli(run, { env: limited });
    const asked = server.requests.flatMap((request) => request.symbols);
    const other = await cli(['run', 'market-data', '--symbols', 'OTHER:STOCK'], { env: limited });
    const askedByOther = server.requests.flatMap((request) => request.symbols).length - asked.length;
    const resumed = await cli(run, { env });

    expect(first.code).toBe(2);
    expect(first.event()).toMatchObject({ status: 'partial', failed: [], totalAssets: 8 });
    expect(first.event()['skipped']).toHaveLength(3);
    const [skipped] = first.event()['skipped'] as readonly { readonly reason: string; readonly until: string }[];
    expect(skipped?.reason).toBe('quota');
    expect(skipped?.until).toMatch(/T00:00:00/);
    const midnight = `${skipped?.until.slice(0, 10) ?? ''} 00:00:00 UTC`;
    expect(first.stderr).toContain(`  skipped: 3: the provider's quota is used up; it comes back at ${midnight}\n`);
    expect(first.stderr).toContain(
      `to go on where it stopped, from ${midnight} on run the same command with --request-id day\n`,
    );
    expect(asked).toHaveLength(5);
    expect(other.event()).toMatchObject({ status: 'failed', errorType: 'quota_exhausted' });
    expect(askedByOther).toBe(0);
    expect(resumed.event()).toMatchObject({ status: 'complete', totalAssets: 8 });
    expect(server.requests.flatMap((request) => request.symbols).sort()).toEqual(
      symbols.map((symbol) => symbol.slice(0, 2)),
    );
  });

  it('are counted in memory too, for the one run', async () => {
    await using server = await openTwelveData();
    const { event, stderr } = await cli(['run', 'market-data', '--symbols', symbols.join(), '--database', 'memory'], {
      env: { ...variables(server.baseUrl), TWELVE_DATA_CREDITS_PER_DAY: '5' },
    });
    expect(event()['assets']).toHaveLength(5);
    expect(stderr).toContain("  skipped: 3: the provider's quota is used up; it comes back at ");
    expect(stderr).not.toContain('--request-id');
  });

  it('of a month are counted for RapidAPI', async () => {
    const tables = await makePriceTables();
    await using server = track(await startMarketServer(({ symbols: asked }) => ({ body: yahooBody(asked) })));
    const env = {
      ...tables.env,
      RAPIDAPI_HOST: server.baseUrl,
      RAPIDAPI_KEY: 'key-of-a-month',
      RAPIDAPI_REQUESTS_PER_MONTH: '1',
    };
    const index = (symbol: string) => cli(['run', 'market-index-data', '--symbols', symbol], { env });
    expect((await index('^GSPC')).event()).toMatchObject({ status: 'complete' });
    expect((await index('^NDX')).event()).toMatchObject({ status: 'failed', errorType: 'quota_exhausted' });
    expect(server.requests).toHaveLength(1);
  });
});

it('shares the window with other runs on the key', async () => {
  const arrivals: number[] = [];
  await using server = track(
    await startMarketServer(({ symbols }) => {
      arrivals.push(...symbols.map(() => performance.now()));
      return { body: twelveDataBody(symbols, (symbol) => quoteBody(symbol)) };
    }),
  );
  const window = { credits: 2, windowMs: 250 };
  const runs = ['W0,W1,W2', 'X0,X1,X2'].map(async (list) => {
    const tables = await makePriceTables();
    const symbols = list.split(',').map((symbol) => `${symbol}:STOCK`);
    const env = {
      ...tables.env,
      ...variables(server.baseUrl),
      TWELVE_DATA_API_KEY: 'key-of-two',
      TWELVE_DATA_CREDITS_PER_MINUTE: String(window.credits),
      TWELVE_DATA_WINDOW_MS: String(window.windowMs),
    };
    return await cli(['run', 'market-data', '--symbols', symbols.join()], { env });
  });
  for (const { code } of await Promise.all(runs)) expect(code).toBe(0);
  expect(expectWindow(arrivals, { limit: window.credits, windowMs: window.windowMs })).toBe(2);
  expect(arrivals).toHaveLength(6);
});

describe('other providers', () => {
  it('are asked for what the first cannot serve', async () => {
    await using server = track(
      await startMarketServer(() => ({
        status: 403,
        body: { code: 403, message: '/quote is available exclusively with pro or enterprise plans.', status: 'error' },
      })),
    );
    const run = ['run', 'market-data', '--symbols', 'AAPL:STOCK', '--database', 'memory', '--fallback', 'recorded'];
    const { code, event } = await cli(run, { env: variables(server.baseUrl) });
    expect(code).toBe(0);
    expect(event()).toMatchObject({ status: 'complete', assets: [{ symbol: 'AAPL' }] });
    expect(server.requests).toHaveLength(1);
  });

  it('frankfurter serves currency pairs without a key', async () => {
    const rates = [
      { date: '2026-07-16', base: 'EUR', quote: 'USD', rate: 1.14 },
      { date: '2026-07-17', base: 'EUR', quote: 'USD', rate: 1.1457 },
    ];
    await using server = track(await startMarketServer(() => ({ body: rates })));
    const run = ['run', 'market-data', '--symbols', 'EUR/USD:FOREX', '--database', 'memory'];
    const { stdout } = await cli([...run, '--provider', 'frankfurter'], {
      env: { FRANKFURTER_API_HOST: server.baseUrl },
    });
    expect(stdout).toContain('"price":1.1457');
  });

  it('massive serves months', async () => {
    const bars = { ticker: 'AAPL', status: 'OK', resultsCount: 1, results: [{ c: 185.92, t: 1_704_085_200_000 }] };
    await using server = track(await startMarketServer(() => ({ body: bars })));
    const { code, event } = await cli(
      [
        ...['run', 'historical-market-data', '--symbols', 'AAPL:STOCK', '--start', '2024-01-31', '--end', '2024-01-31'],
        ...['--database', 'memory', '--provider', 'massive'],
      ],
      { env: { MASSIVE_API_HOST: server.baseUrl, MASSIVE_API_KEY: 'some-api-key' } },
    );
    expect(code).toBe(0);
    expect(event()).toMatchObject({ status: 'complete', record_count: 1 });
  });
});
