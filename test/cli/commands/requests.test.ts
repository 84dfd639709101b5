import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProviderError, SinkError } from '../../../src/index.ts';
import type { Asset, Outcome, Quote } from '../../../src/index.ts';
import { marketDataSink, marketIndexSink } from '../../../src/postgres/index.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { asset, ok, quote } from '../../postgres/sinks/samples.ts';
import { cli, type CliResult } from '../support/cli.ts';

const { signal } = new AbortController();
const doneKey = 'MARKET_DATA_UPDATE_REQUEST-0-17-1764000000000';

/** One request that is done, with every kind of outcome, and one that is open. */
async function fill(database: TestDatabase): Promise<void> {
  const sink = marketDataSink({ database });
  const inputs = ['A', 'B', 'NOWHERE', 'D'].map((symbol) => asset(symbol));
  const [a, b, nowhere, d] = inputs as [Asset, Asset, Asset, Asset];
  await sink.ledger.accept({ key: doneKey, pipeline: 'market-data', inputs, batchSize: 2 });
  const unknown = new ProviderError('symbol_unknown', 'twelve-data: \u001B[31munknown\n symbol');
  const outcomes: Outcome<Asset, Quote>[][] = [
    [ok(a, quote(a, '1')), { status: 'fresh', input: b, value: quote(b, '2') }],
    [
      { status: 'failed', input: nowhere, stage: 'fetch', error: unknown },
      {
        status: 'failed',
        input: d,
        stage: 'write',
        error: new SinkError('value_out_of_range', 'market_data: D: too much'),
      },
    ],
  ];
  for (const [index, batch] of outcomes.entries()) {
    await sink.write({ index, request: doneKey, outcomes: batch }, { signal });
  }
  const indexes = marketIndexSink({ database });
  const symbols = ['^GSPC', '^NDX'].map((symbol) => ({ symbol }));
  await indexes.ledger.accept({
    key: 'run:market-index-data:7',
    pipeline: 'market-index-data',
    inputs: symbols,
    batchSize: 1,
  });
  const until = new Date('2099-01-02T00:00:00Z');
  const skipped = { status: 'skipped', input: { symbol: '^GSPC' }, reason: 'quota', until } as const;
  await indexes.write({ index: 0, request: 'run:market-index-data:7', outcomes: [skipped] }, { signal });
}

describe('requests', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ ownDatabase: true, shape: 'S1', migrated: true });
    await fill(database);
  });
  afterAll(() => database[Symbol.asyncDispose]());

  const requests = (...words: string[]): Promise<CliResult> =>
    cli(['requests', ...words], { env: { DATABASE_URL: database.url } });

  it('lists the latest first, each with how far it is', async () => {
    const { code, stdout, stderr } = await requests('list');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(withoutTimes(stdout)).toBe(
      [
        'request                                        pipeline           state  batches  ok  fresh  failed  skipped  accepted      last active',
        '---------------------------------------------  -----------------  -----  -------  --  -----  ------  -------  ------------  ------------',
        'run:market-index-data:7                        market-index-data  open   0/2       0      0       0        1  HH:MM:SS UTC  HH:MM:SS UTC',
        `${doneKey}  market-data        done   2/2       1      1       2        0  HH:MM:SS UTC  HH:MM:SS UTC`,
        '',
      ].join('\n'),
    );
  });

  it('lists those in one state, and no more than asked for', async () => {
    expect((await requests('list', '--state', 'open')).stdout).not.toContain(doneKey);
    expect((await requests('list', '--state', 'done')).stdout).not.toContain('run:');
    const one = await requests('list', '--limit', '1');
    expect(one.stdout).not.toContain(doneKey);
    expect(one.stderr).toBe('these are the latest 1; --limit shows more\n');
  });

  it('lists them as lines of JSON', async () => {
    const { stdout, stderr } = await requests('list', '--json');
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(stderr).toBe('');
    expect(lines.map(({ key }) => key)).toEqual(['run:market-index-data:7', doneKey]);
    expect(lines[1]).toEqual({
      key: doneKey,
      pipeline: 'market-data',
      state: 'done',
      inputs: 4,
      batchSize: 2,
      totalBatches: 2,
      storedBatches: 2,
      counts: { ok: 1, fresh: 1, failed: 2, skipped: 0 },
      acceptedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
      lastActiveAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
    });
  });

  it('shows what became of each batch, and what failed, and why', async () => {
    const { code, stdout, stderr } = await requests('show', doneKey);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(withoutTimes(stdout)).toBe(
      [
        `request      ${doneKey}`,
        'pipeline     market-data',
        'state        done, 2 of 2 batches stored',
        'inputs       4, 2 a batch',
        'accepted     HH:MM:SS UTC',
        'last active  HH:MM:SS UTC',
        '',
        'batch  state  ok  fresh  failed  skipped  inserted  updated  unchanged  stored',
        '-----  -----  --  -----  ------  -------  --------  -------  ---------  ------------',
        '    0  done    1      1       0        0         1        0          0  HH:MM:SS UTC',
        '    1  done    0      0       2        0         0        0          0  HH:MM:SS UTC',
        '',
        'outcome  reason              inputs',
        '-------  ------------------  ------',
        'failed   symbol_unknown           1',
        'failed   value_out_of_range       1',
        '',
        'input          batch  outcome  reason              message',
        '-------------  -----  -------  ------------------  --------------------------------',
        'NOWHERE STOCK      1  failed   symbol_unknown      twelve-data: \u{FFFD}[31munknown symbol',
        'D STOCK            1  failed   value_out_of_range  market_data: D: too much',
        '',
      ].join('\n'),
    );
  });

  it('shows what is left to do of an open one', async () => {
    const { stdout } = await requests('show', 'run:market-index-data:7');
    expect(stdout).toContain('state        open, 0 of 2 batches stored\n');
    expect(stdout).toMatch(/^ {4}0 {2}left /m);
    expect(stdout).toMatch(/^\^GSPC {6}0 {2}skipped {2}quota {3}until 2099-01-02 00:00:00 UTC$/m);
  });

  it('shows all of it as a line of JSON', async () => {
    const { stdout } = await requests('show', '--json', doneKey);
    expect(JSON.parse(stdout)).toMatchObject({
      key: doneKey,
      batches: [
        { number: 0, state: 'done', written: { inserted: 1, updated: 0, unchanged: 0, transactions: 1 } },
        { number: 1, state: 'done', counts: { ok: 0, fresh: 0, failed: 2, skipped: 0 } },
      ],
      shortfalls: [
        { batch: 1, input: ['NOWHERE', 'STOCK'], status: 'failed', stage: 'fetch', reason: 'symbol_unknown' },
        { batch: 1, input: ['D', 'STOCK'], status: 'failed', stage: 'write', reason: 'value_out_of_range' },
      ],
    });
  });

  it('says so where there is no such request', async () => {
    const { code, stdout, stderr } = await requests('show', 'abc');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'fintrack-pipelines: requests: the ledger knows no request "abc": give its key as requests list shows it, ' +
        "not a client's requestId; requests are forgotten 7 days after their last activity\n",
    );
    expect((await requests('show', 'postgres://me:hidden@host/db')).stderr).not.toContain('hidden');
  });

  it.each([
    [[], 'requests: expected list, or show and the ID of a request'],
    [['lsit'], 'requests: expected list, or show and the ID of a request'],
    [['list', 'abc'], 'requests: list takes no argument: give show and the ID of a request'],
    [['show'], 'requests: show needs the ID of a request, as requests list shows it'],
    [['show', 'abc', '--limit', '3'], 'requests: --limit is for list'],
    [['list', '--state', 'failed'], 'requests: --state: expected open or done, got "failed"'],
    [['list', '--limit', '0'], 'requests: --limit: expected a number from 1 to 10000, got "0"'],
    [['list', '--database', 'memory'], 'requests: --database memory keeps no requests: name a server'],
  ])('refuses %j', async (words, message) => {
    expect(await requests(...words)).toMatchObject({ code: 1, stdout: '', stderr: `fintrack-pipelines: ${message}\n` });
  });
});

describe('requests on a ledger without any', () => {
  it('says that there are none', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true, migrated: true }));
    const list = (...options: string[]) => cli(['requests', 'list', '--database', database.url, ...options]);
    expect(await list()).toMatchObject({ code: 0, stdout: '', stderr: 'the ledger has no requests\n' });
    expect(await list('--state', 'open')).toMatchObject({ code: 0, stderr: 'the ledger has no open requests\n' });
    expect(await list('--json')).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  it('says what to do where there is no ledger, no server or no name of one', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true }));
    for (const words of [['list'], ['show', 'abc']]) {
      const { code, stderr } = await cli(['requests', ...words, '--database', database.url]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^fintrack-pipelines: PostgreSQL at .* does not exist: run `fintrack-pipelines migrate`/);
    }
    const gone = await cli(['requests', 'list', '--database', 'postgres://me:secret@127.0.0.1:1/db']);
    expect(gone.stderr).toMatch(/^fintrack-pipelines: cannot reach PostgreSQL at 127\.0\.0\.1:1/);
    expect(gone.stderr).not.toContain('secret');
    expect((await cli(['requests', 'list'])).stderr).toMatch(
      /^fintrack-pipelines: requests: no database is named: set /,
    );
  });
});

/** The hours of a run; around midnight a date stands before some of them. */
function withoutTimes(text: string): string {
  return text.replaceAll(/(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC/g, 'HH:MM:SS UTC');
}
