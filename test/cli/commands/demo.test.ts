import { EventEmitter } from 'node:events';
import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { createDemo } from '../../../src/cli/commands/demo.ts';
import { createWriter } from '../../../src/cli/output/writer.ts';
import { withStopSignals } from '../../../src/cli/stopSignals.ts';
import {
  historicalMarketDataCompletedSchema,
  marketDataCompletedSchema,
  marketIndexDataCompletedSchema,
  parseEvent,
  SinkError,
} from '../../../src/index.ts';
import type { EmbeddedPostgres } from '../../../src/postgres/index.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { cli } from '../support/cli.ts';

const eventsOf = (stdout: string) => {
  const lines = stdout.trimEnd().split('\n').slice(-3).map(parseEvent);
  return {
    market: marketDataCompletedSchema.parse(lines[0]),
    index: marketIndexDataCompletedSchema.parse(lines[1]),
    historical: historicalMarketDataCompletedSchema.parse(lines[2]),
  };
};

/** Runs the demo with a server that is not started for it. */
async function demoWith(
  startServer: () => Promise<EmbeddedPostgres>,
  options: Record<string, string> = {},
  onLog: (text: string, signals: EventEmitter) => void = () => {},
) {
  const signals = new EventEmitter();
  let stdout = '';
  let stderr = '';
  const writer = createWriter(
    { write: (text) => (stdout += text) },
    {
      write: (text) => {
        stderr += text;
        onLog(text, signals);
      },
    },
    (text) => text,
  );
  const work = (signal: AbortSignal) =>
    createDemo(startServer).run({
      positionals: [],
      options,
      environment: {},
      cwd: '/',
      writer,
      signal,
      exit: () => {},
    });
  const [outcome] = await Promise.allSettled([withStopSignals({ signals, exit: () => {} }, () => {}, work)]);
  return { outcome, stdout, stderr };
}

/** A server of the test run in the place of one started for the demo. */
function testServer(url: string) {
  let stops = 0;
  const stop = async (): Promise<void> => void (stops += 1);
  const start = async (): Promise<EmbeddedPostgres> => ({ url, stop, [Symbol.asyncDispose]: stop });
  return { start, stops: () => stops };
}

const notInstalled = async (): Promise<never> => {
  throw new SinkError('database_not_ready', 'startEmbeddedPostgres: the optional package is not installed');
};

describe('demo', () => {
  it('runs the three pipelines on the recorded prices in memory', async () => {
    const { code, stdout, stderr, listeners } = await cli(['demo', '--database', 'memory']);

    const { market, index, historical } = eventsOf(stdout);
    expect(code).toBe(0);
    expect(market).toMatchObject({ status: 'complete', totalAssets: 5, requestId: 'demo-market-data' });
    expect(market.assets?.find(({ symbol }) => symbol === 'AAPL')?.price).toBe('223.02');
    expect(index).toMatchObject({ status: 'complete', totalSymbols: 1 });
    expect(historical).toMatchObject({ status: 'complete', totalAssets: 5, record_count: 560 });
    expect(stdout).toMatch(/^AAPL +STOCK +223\.02 +18\.40 +8\.99228 +223\.02 +125\.83$/m);
    expect(stdout).toMatch(/^\^GSPC +1140\.45 /m);
    expect(stdout).toMatch(/^GOOG +STOCK +68 +2004-08-01 +2010-03-01 +560\.19$/m);
    expect(stderr).toContain('market-data: complete: 5 of 5 symbols served in 1 batch, ');
    expect(listeners).toBe(0);
  });

  it('stores into the PostgreSQL it started, shows the rows, and stops it before the events', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true }));
    const server = testServer(database.url);

    const { outcome, stdout, stderr } = await demoWith(server.start);

    expect(outcome).toEqual({ status: 'fulfilled', value: 0 });
    expect(server.stops()).toBe(1);
    expect(eventsOf(stdout).historical.record_count).toBe(560);
    expect(stdout).toMatch(/^AAPL +STOCK +223\.02 +18\.4 +8\.99228 +223\.02 +125\.83$/m);
    expect(stdout).toMatch(/^GOOG +STOCK +68 +2004-08-01 +2010-03-01 +560\.19$/m);
    expect(stderr).toContain('demo: starting a PostgreSQL server for this demo only\ndemo: PostgreSQL is up after ');
    expect(stderr).toMatch(/demo: stopped PostgreSQL and removed its data\n$/);
    expect(stderr + stdout).not.toContain(new URL(database.url).password || 'no password');
    expect(await database.pool.query(sql`select count(*)::int from financial_tracker.market_data_monthly`)).toEqual([
      { count: 560 },
    ]);
  });

  it('writes to a schema of its own on a server that somebody names, and may be run again', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true }));
    const argv = ['demo', '--database', database.url];

    const first = await cli(argv);
    const second = await cli(argv, { env: { DATABASE_SCHEMA_NAME: 'ignored', DATABASE_URL: 'ignored' } });

    expect(first.code).toBe(0);
    expect(second.code).toBe(0);
    expect(eventsOf(second.stdout).historical.record_count).toBe(560);
    expect(
      await database.pool.query(sql`select nspname from pg_namespace where nspname ~ 'f' and nspname !~ '^(pg_|info)'`),
    ).toEqual([{ nspname: 'fintrack_demo' }, { nspname: 'fintrack_demo_pipelines' }]);
  });

  it('keeps everything in memory when no server can be started, and says so in one line', async () => {
    const { outcome, stdout, stderr } = await demoWith(notInstalled);

    expect(outcome).toEqual({ status: 'fulfilled', value: 0 });
    expect(stderr).toContain('demo: keeping everything in memory instead: the optional package is not installed\n');
    expect(eventsOf(stdout).market.status).toBe('complete');
  });

  it('fails when the embedded server was asked for and cannot be started', async () => {
    const { outcome, stdout } = await demoWith(notInstalled, { database: 'embedded' });

    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'database_not_ready' } });
    expect(stdout).toBe('');
  });

  it('stops the server and prints no event on Ctrl-C while it starts', async () => {
    const server = testServer('postgres://nobody@127.0.0.1:1/none');

    const { outcome, stdout, stderr } = await demoWith(server.start, {}, (text, signals) => {
      if (text.includes('starting')) signals.emit('SIGINT', 'SIGINT');
    });

    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'canceled' } });
    expect(server.stops()).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('stopped PostgreSQL');
  });

  it('stops the server on Ctrl-C between two pipelines', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true }));
    const server = testServer(database.url);

    const { outcome, stdout } = await demoWith(server.start, {}, (text, signals) => {
      if (text.startsWith('market-data: complete')) signals.emit('SIGTERM', 'SIGTERM');
    });

    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'canceled' } });
    expect(server.stops()).toBe(1);
    expect(stdout).toBe('');
  });
});
