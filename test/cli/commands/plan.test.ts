import { sql } from '@databases/pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createReferenceTables } from '../../../src/postgres/index.ts';
import { quoteBody, startMarketServer, twelveDataBody } from '../../support/marketServer.ts';
import { openTestDatabase, type TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { cli } from '../support/cli.ts';

const listOf = (count: number) => Array.from({ length: count }, (_, index) => `S${String(index)}:STOCK`).join();
const key = { TWELVE_DATA_API_KEY: 'some-api-key' };
const plan = (...more: readonly string[]) => ['plan', 'market-data', ...more];

describe('plan in memory', () => {
  it('says what a run would take, and when it would be done, as people read it', async () => {
    vi.useFakeTimers({ now: new Date('2026-11-24T14:00:13Z'), toFake: ['Date'] });
    const { code, stdout, stderr } = await cli(plan('--symbols', `${listOf(100)},MSFT`, '--database', 'memory'), {
      env: key,
    });
    expect(stdout.split('\n')).toEqual([
      'market-data by twelve-data: 101 symbols in 1 batch',
      '       1 refused: can never be served',
      '     100 to fetch in 13 calls',
      '     100 credits',
      '  of 8 credits in a minute, 8 left: 13 windows',
      '  of 800 credits until 2026-11-25 00:00:00 UTC, 800 left',
      expect.stringMatching(/^ {2}done at 14:12:13 UTC, in 12 min 0 s$/),
      '',
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  it('says what a day lacks', async () => {
    const { stdout } = await cli(plan('--symbols', listOf(100), '--database', 'memory'), {
      env: { ...key, TWELVE_DATA_CREDITS_PER_DAY: '30' },
    });
    expect(stdout).toMatch(
      /^ {2}of 30 credits until .*, 30 left: 70 too few; what they do not pay for is left to a run after/m,
    );
    expect(stdout).toMatch(/^ {2}done at .*, in 3 min 0 s$/m);
  });

  it('prints JSON for programs', async () => {
    const { stdout } = await cli(plan('--symbols', listOf(9), '--database', 'memory', '--json'), { env: key });
    const planned = JSON.parse(stdout) as Record<string, unknown>;
    expect(planned).toMatchObject({
      pipeline: 'market-data',
      providers: ['twelve-data'],
      inputs: 9,
      calls: 2,
      credits: 9,
    });
    expect(planned['doneAt']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(planned['windows']).toMatchObject([
      { credits: 8, rounds: 2 },
      { credits: 800, lacking: 0 },
    ]);
  });

  it('knows of no window where there is none', async () => {
    const { stdout } = await cli(plan('--symbols', 'AAPL:STOCK', '--database', 'memory', '--provider', 'recorded'));
    expect(stdout).toMatch(
      /^market-data by recorded: 1 symbol in 1 batch\n {7}1 to fetch in 1 call\n {7}1 credit\n {2}done at .*, without a wait\n$/,
    );
  });

  it('names the fallback', async () => {
    const { stdout } = await cli(plan('--symbols', 'AAPL:STOCK', '--database', 'memory', '--fallback', 'recorded'), {
      env: key,
    });
    expect(stdout).toContain('market-data by twelve-data, recorded: 1 symbol');
  });

  it('gets one sentence when there is no request', async () => {
    const historical = ['plan', 'historical-market-data', '--symbols', 'AAPL:STOCK', '--provider', 'recorded'];
    const { code, stdout, stderr } = await cli([
      ...historical,
      ...['--database', 'memory', '--start', '2024-03-31', '--end', '2024-01-31'],
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe('fintrack-pipelines: request: start_date 2024-03-31 is after end_date 2024-01-31\n');
  });
});

describe('plan on a database', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = track(await openTestDatabase({ ownDatabase: true, migrated: true }));
    await createReferenceTables({ database });
  });
  afterAll(() => database[Symbol.asyncDispose]());

  it('knows what is stored, fresh and spent, sends nothing and writes nothing', async () => {
    await using server = track(
      await startMarketServer(({ symbols }) => ({ body: twelveDataBody(symbols, (symbol) => quoteBody(symbol)) })),
    );
    const env = {
      ...key,
      DATABASE_URL: database.url,
      DATABASE_SCHEMA_NAME: database.schema,
      TWELVE_DATA_API_HOST: server.baseUrl,
      TWELVE_DATA_CREDITS_PER_MINUTE: '100',
    };
    const json = async (...more: readonly string[]) =>
      JSON.parse((await cli(plan(...more, '--json'), { env })).stdout) as Record<string, unknown>;

    await cli(['run', 'market-data', '--symbols', listOf(3), '--request-id', 'r1'], { env });
    const again = await json('--symbols', listOf(3), '--request-id', 'r1');
    const other = await json('--symbols', listOf(5), '--request-id', 'r2');
    const known = await database.pool.query(sql`select key from fintrack_pipelines.requests`);

    expect(again).toMatchObject({ inputs: 3, stored: 3, fresh: 0, toFetch: 0, calls: 0 });
    expect(other).toMatchObject({ inputs: 5, stored: 0, fresh: 3, toFetch: 2, calls: 1, credits: 2 });
    expect(other['windows']).toMatchObject([{ credits: 800, left: 797 }, { credits: 100 }]);
    expect(server.requests).toHaveLength(1);
    expect(known).toEqual([{ key: 'run:market-data:r1' }]);
  });

  it('gets one sentence when the tables are not there', async () => {
    const env = { ...key, DATABASE_URL: database.url, DATABASE_SCHEMA_NAME: 'other' };
    const { code, stdout, stderr } = await cli(plan('--symbols', 'AAPL:STOCK'), { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^fintrack-pipelines: PostgreSQL at .*: there is no market_data in schema "other": .*\n$/);
  });
});
