import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, temporaryFolder } from './support/cli.ts';

const someDatabase = 'postgres://user:secret@127.0.0.1:5432/db';
const memory = ['--database', 'memory', '--provider', 'recorded'];
const marketData = ['run', 'market-data'];
const symbols = ['--symbols', 'AAPL:STOCK'];

const commands = ['demo', 'run', 'plan', 'work', 'requests', 'redrive', 'partitions', 'migrate'];
const names = commands.join(', ');

describe('help and version', () => {
  it.each([['--help'], ['-h']])('%s shows the commands', async (option) => {
    const { code, stdout, stderr } = await cli([option]);

    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} +\\S`, 'm'));
  });

  it.each(commands)('%s --help shows its options, whatever else is given', async (command) => {
    const { code, stdout, stderr } = await cli([command, '--help', 'surplus']);

    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toContain(`Usage: fintrack-pipelines ${command}`);
    expect(stdout).toContain(['redrive', 'partitions'].includes(command) ? '--brokers' : '--database');
  });

  it('fits into 120 columns', async () => {
    for (const argv of [['--help'], ...commands.map((command) => [command, '-h'])]) {
      const { stdout } = await cli(argv);
      expect(stdout.split('\n').filter((line) => line.length > 120)).toEqual([]);
    }
  });

  it('shows the version of the package', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };

    expect(await cli(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('a wrong argument', () => {
  it.each([
    [[], `a command is missing: give one of ${names}; see fintrack-pipelines --help`],
    [['serve'], `unknown command 'serve'; the commands are ${names}; see fintrack-pipelines --help`],
    [['--verbose'], `unknown command '--verbose'; the commands are ${names}; see fintrack-pipelines --help`],
    [['demo', '--databse', 'memory'], "demo: unknown option '--databse'; the options are --help, --database"],
    [['demo', '-x'], "demo: unknown option '-x'; the options are --help, --database"],
    [['demo', '--database'], 'demo: --database needs a value; see fintrack-pipelines demo --help'],
    [['demo', '--database='], 'demo: --database needs a value; see fintrack-pipelines demo --help'],
    [['demo', 'now'], "demo: unexpected argument 'now'"],
    [['demo', '--database', 'memory', '--database', 'memory'], 'demo: --database was given twice'],
    [['migrate', someDatabase], 'migrate: unexpected argument that is not shown, because it may hold a password'],
    [
      ['demo', '--database', 'mysql'],
      "--database: expected postgres://user:password@host:port/database or one of the words in --help, got 'mysql'",
    ],
    [
      ['demo', '--database', 'user:secret@host/db'],
      '--database: expected postgres://user:password@host:port/database or one of the words in --help, ' +
        'got a value that is not shown because it may hold a password',
    ],
    [['run'], 'run: a pipeline is missing: give one of market-data, market-index-data, historical-market-data'],
    [
      ['run', 'markets'],
      "run: unknown pipeline 'markets'; the pipelines are market-data, market-index-data, historical-market-data",
    ],
    [['run', 'market-data', 'more'], "run: unexpected argument 'more'"],
    [[...marketData, ...memory], 'run: give one of --symbols, --file and --from-table, got none'],
    [
      [...marketData, ...memory, ...symbols, '--file', 'a.csv'],
      'run: give one of --symbols, --file and --from-table, got --symbols and --file',
    ],
    [
      [...marketData, ...memory, '--symbols', '--file'],
      'run: --symbols needs a value; see fintrack-pipelines run --help',
    ],
    [
      [...marketData, ...memory, '--symbols', ' , '],
      'run: --symbols: expected a list such as AAPL:STOCK,BTC:CRYPTO,EUR/USD:FOREX, got no symbol',
    ],
    [
      ['run', 'market-index-data', ...memory, '--symbols', ','],
      'run: --symbols: expected a list such as ^GSPC,GC=F, got no symbol',
    ],
    [
      [...marketData, ...memory, '--from-table', 'watchlist'],
      'run: --from-table needs a PostgreSQL server, got --database memory: use --symbols or --file',
    ],
    [
      [...marketData, ...memory, ...symbols, '--start', '2024-01-31'],
      'run: --start, --end and --max-months are for historical-market-data, not for market-data',
    ],
    [['run', 'historical-market-data', ...memory, ...symbols], 'run: historical-market-data needs --start YYYY-MM-DD'],
    [
      ['run', 'historical-market-data', ...memory, ...symbols, '--start', '2024-02-30'],
      "run: --start: expected a date that exists, as YYYY-MM-DD, got '2024-02-30'",
    ],
    [
      ['run', 'historical-market-data', ...memory, ...symbols, '--start', '2024-02-29', '--end', 'today'],
      "run: --end: expected a date that exists, as YYYY-MM-DD, got 'today'",
    ],
    [
      [...marketData, ...symbols, '--provider', 'yahoo-rapidapi'],
      "run: --provider: expected one of twelve-data, frankfurter, recorded, simulated for market-data, got 'yahoo-rapidapi'",
    ],
    [
      [...marketData, ...symbols, '--provider', 'recorded'],
      'run: no database is named: set DATABASE_URL, or DATABASE_HOST, DATABASE_NAME, DATABASE_USER and DATABASE_PASSWORD, ' +
        'or give --database postgres://user:password@host:port/database, or --database memory, which keeps nothing',
    ],
    [
      ['migrate'],
      'migrate: no database is named: set DATABASE_URL, or DATABASE_HOST, DATABASE_NAME, DATABASE_USER and ' +
        'DATABASE_PASSWORD, or give --database postgres://user:password@host:port/database',
    ],
    [
      [...marketData, ...symbols, ...memory, '--fallback', 'recorded'],
      'run: --fallback: expected another provider than recorded',
    ],
    [
      [...marketData, ...symbols, ...memory, '--fallback', 'massive'],
      "run: --fallback: expected one of twelve-data, frankfurter, recorded, simulated for market-data, got 'massive'",
    ],
    [['plan'], 'plan: a pipeline is missing: give one of market-data, market-index-data, historical-market-data'],
    [['plan', 'market-data', ...memory], 'plan: give one of --symbols, --file and --from-table, got none'],
    [
      ['plan', 'market-data', ...memory, '--from-table', 'watchlist'],
      'plan: --from-table needs a PostgreSQL server, got --database memory: use --symbols or --file',
    ],
    [['plan', 'market-data', '--json=no'], 'plan: --json takes no value; see fintrack-pipelines plan --help'],
    [['plan', 'market-data', '--json', '--json'], 'plan: --json was given twice'],
    [['plan', '--json', 'market-data', 'more'], "plan: unexpected argument 'more'"],
    [['migrate', '--database', 'memory'], 'migrate: --database memory needs no tables: name a server'],
    [
      ['migrate', '--database', someDatabase, '--retention-days', 'a week'],
      'migrate: --retention-days: expected a number of days from 0 to 36500, got "a week"',
    ],
    [
      ['migrate', '--database', 'postgres://user:secret@127.0.0.1:99999/db'],
      '--database: expected a port from 1 to 65535, got "99999"',
    ],
  ])('%j gets one sentence', async (argv, expected) => {
    const { code, stdout, stderr, listeners } = await cli(argv);

    expect(stderr).toBe(`fintrack-pipelines: ${expected}\n`);
    expect(stdout).toBe('');
    expect(code).toBe(1);
    expect(listeners).toBe(0);
  });
});

describe('a wrong variable', () => {
  const key = { TWELVE_DATA_API_KEY: 'some-key' };
  const run = [...marketData, ...symbols, '--database', 'memory'];
  const index = ['run', 'market-index-data', '--symbols', '^GSPC', '--database', 'memory'];
  const offline = 'or use --provider recorded or --provider simulated, which need no key';
  const parts = 'DATABASE_HOST, DATABASE_NAME and DATABASE_USER are needed together, or DATABASE_URL instead';

  it.each<[string[], Record<string, string>, string]>([
    [run, {}, `TWELVE_DATA_API_KEY is not set: set it to your Twelve Data API key, ${offline}`],
    [
      run,
      { TWELVE_DATA_API_KEY: ' ' },
      `TWELVE_DATA_API_KEY is not set: set it to your Twelve Data API key, ${offline}`,
    ],
    [
      run,
      { TWELVE_DATA_API_KEY: 'my key' },
      'TWELVE_DATA_API_KEY must be visible ASCII characters without blanks: its value is not shown',
    ],
    [
      run,
      { ...key, TWELVE_DATA_CREDITS_PER_MINUTE: 'eight' },
      'TWELVE_DATA_CREDITS_PER_MINUTE must be a whole number from 1 to 1000000000, but is "eight"',
    ],
    [
      run,
      { ...key, TWELVE_DATA_WINDOW_MS: '0' },
      'TWELVE_DATA_WINDOW_MS must be a whole number from 1 to 86400000, but is "0"',
    ],
    [
      run,
      { ...key, TWELVE_DATA_API_HOST: 'http://user:secret@host' },
      'TWELVE_DATA_API_HOST must be a host name or a http(s) URL without user, query and fragment: its value is not shown',
    ],
    [
      index,
      {},
      `RAPIDAPI_KEY is not set: set it to your RapidAPI API key, ${offline}; ` +
        `RAPIDAPI_HOST is not set: set it to the host of the API you subscribed to at RapidAPI, ${offline}`,
    ],
    [
      index,
      { RAPIDAPI_KEY: 'k', RAPIDAPI_HOST: 'h', RAPIDAPI_REQUESTS_PER_SECOND: '2.5' },
      'RAPIDAPI_REQUESTS_PER_SECOND must be a whole number from 1 to 1000000000, but is "2.5"',
    ],
    [
      run,
      { ...key, TWELVE_DATA_CREDITS_PER_DAY: 'many' },
      'TWELVE_DATA_CREDITS_PER_DAY must be a whole number from 1 to 1000000000, or none, but is "many"',
    ],
    [
      [...run, '--fallback', 'frankfurter'],
      { ...key, FRANKFURTER_API_HOST: 'a host' },
      'FRANKFURTER_API_HOST must be a host name or a http(s) URL without user, query and fragment: its value is not shown',
    ],
    [
      [
        'plan',
        'historical-market-data',
        ...symbols,
        '--start',
        '2024-01-31',
        '--provider',
        'massive',
        '--database',
        'memory',
      ],
      {},
      `MASSIVE_API_KEY is not set: set it to your Massive API key, ${offline}`,
    ],
    [['migrate'], { DATABASE_HOST: 'localhost', DATABASE_USER: 'me' }, `DATABASE_NAME is not set: ${parts}`],
    [
      ['migrate'],
      { DATABASE_PASSWORD: 'secret', DATABASE_NAME: 'db', DATABASE_USER: 'me' },
      `DATABASE_HOST is not set: ${parts}`,
    ],
    [
      ['migrate'],
      { DATABASE_HOST: 'localhost', DATABASE_NAME: 'db', DATABASE_USER: 'me', DATABASE_PORT: 'abc' },
      'DATABASE_PORT must be a whole number from 1 to 65535, but is "abc"',
    ],
    [
      ['migrate'],
      { DATABASE_URL: 'mysql://me:secret@localhost/db' },
      'DATABASE_URL: expected postgres://user:password@host:port/database, got a value that is not shown because it may hold ' +
        'a password; characters such as @ : / ? # in the user name or password must be percent-encoded',
    ],
  ])('%j with %j gets one sentence', async (argv, env, expected) => {
    expect(await cli(argv, { env })).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `fintrack-pipelines: ${expected}\n`,
    });
  });
});

describe('the file .env', () => {
  const run = [...marketData, ...symbols, '--database', 'memory'];

  it('is read, and the environment wins over it', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, '.env'), '# keys\nTWELVE_DATA_API_KEY="a key"\nTWELVE_DATA_WINDOW_MS=none\n');

    const fromFile = await cli(run, { cwd: folder.path });
    expect(fromFile.stderr).toContain('TWELVE_DATA_API_KEY must be visible ASCII');
    expect(fromFile.stderr).toContain('TWELVE_DATA_WINDOW_MS must be a whole number from 1 to 86400000, but is "none"');

    const overridden = await cli(run, {
      cwd: folder.path,
      env: { TWELVE_DATA_API_KEY: 'key', TWELVE_DATA_WINDOW_MS: '0' },
    });
    expect(overridden.stderr).not.toContain('TWELVE_DATA_API_KEY');
    expect(overridden.stderr).toContain('TWELVE_DATA_WINDOW_MS must be a whole number from 1 to 86400000, but is "0"');
  });

  it('does not lose to a variable that is set to nothing, as compose files do', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, '.env'), 'TWELVE_DATA_WINDOW_MS=none\n');

    const { stderr } = await cli(run, {
      cwd: folder.path,
      env: { TWELVE_DATA_API_KEY: 'key', TWELVE_DATA_WINDOW_MS: '' },
    });
    expect(stderr).toContain('but is "none"');
  });

  // Issue 10, 15; seen: the value of the first line was lost.
  it('may begin with a byte order mark', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, '.env'), '\uFEFFTWELVE_DATA_WINDOW_MS=none\n');
    const env = { TWELVE_DATA_API_KEY: 'key' };
    expect((await cli(run, { cwd: folder.path, env })).stderr).toContain('but is "none"');
  });

  it('in UTF-16 gets one sentence', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, '.env'), '\uFEFFTWELVE_DATA_WINDOW_MS=none\n', 'utf16le');
    expect(await cli(run, { cwd: folder.path })).toMatchObject({
      code: 1,
      stderr: 'fintrack-pipelines: .env is saved as UTF-16, or holds zero bytes: save it as UTF-8\n',
    });
  });

  it('gets one sentence when it cannot be read', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, '.env'));

    expect(await cli(run, { cwd: folder.path })).toMatchObject({
      code: 1,
      stderr: 'fintrack-pipelines: .env cannot be read (EISDIR): make it readable, or remove it\n',
    });
  });
});
