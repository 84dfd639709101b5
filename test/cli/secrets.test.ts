import { describe, expect, it } from 'vitest';
import { quoteBody, startMarketServer, twelveDataBody, yahooBody, type Answer } from '../support/marketServer.ts';
import { openTestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';
import { cli, type CliResult } from './support/cli.ts';

const canaries = {
  TWELVE_DATA_API_KEY: 'canary-twelve-data',
  RAPIDAPI_KEY: 'canary-rapidapi',
  MASSIVE_API_KEY: 'canary-massive',
  DATABASE_PASSWORD: 'canary-p@ss:word',
};

function expectNoCanary({ stdout, stderr }: CliResult): void {
  const output = stdout + stderr;
  expect(output).not.toBe('');
  expect(output).not.toMatch(/canary/i);
}

/** A provider that repeats every secret it was sent, in answers of every kind. */
const openEcho = async (answer: (secret: string, symbols: readonly string[]) => Answer) =>
  track(
    await startMarketServer(({ headers, symbols }) =>
      answer(`${String(headers.authorization)} ${String(headers['x-rapidapi-key'])}`, symbols),
    ),
  );

const echoes: [string, (secret: string, symbols: readonly string[]) => Answer][] = [
  [
    'success',
    (_, symbols) => ({ body: symbols[0]?.startsWith('^') ? yahooBody(symbols) : twelveDataBody(symbols, quoteBody) }),
  ],
  [
    'a refused key',
    (secret) => ({ status: 401, body: { code: 401, status: 'error', message: `wrong key ${secret}` } }),
  ],
  ['a failed symbol', (secret) => ({ body: { code: 404, status: 'error', message: `unknown to ${secret}` } })],
  ['a page', (secret) => ({ body: `<html>${secret}</html>` })],
  ['a cut-off body', (secret) => ({ status: 403, body: `{"message":"${secret}` })],
  ['a price', (secret, symbols) => ({ body: twelveDataBody(symbols, (symbol) => quoteBody(symbol, secret)) })],
];

describe('a secret planted in every variable', () => {
  it.each(echoes)('appears in no output, with %s', async (_, answer) => {
    await using server = await openEcho(answer);
    const hosts = ['TWELVE_DATA_API_HOST', 'RAPIDAPI_HOST', 'MASSIVE_API_HOST'].map((host) => [host, server.baseUrl]);
    const env = { ...canaries, ...Object.fromEntries(hosts) } as Record<string, string>;

    const start = ['--start', '2024-01-31'];
    const run = (pipeline: string, symbols: string, ...more: string[]) =>
      cli(['run', pipeline, '--symbols', symbols, '--database', 'memory', ...more], { env });
    const results = await Promise.all([
      run('market-data', 'AAPL:STOCK,IBM:STOCK'),
      run('market-index-data', '^GSPC'),
      run('historical-market-data', 'AAPL:STOCK', ...start),
      run('historical-market-data', 'AAPL:STOCK', ...start, '--provider', 'massive', '--fallback', 'twelve-data'),
      cli(['plan', 'market-data', '--symbols', 'AAPL:STOCK', '--database', 'memory', '--json'], { env }),
    ]);
    for (const result of results) expectNoCanary(result);
    expect(server.requests.length).toBeGreaterThan(0);
  });

  const password = encodeURIComponent(canaries.DATABASE_PASSWORD);
  const recorded = ['run', 'market-data', '--symbols', 'AAPL:STOCK', '--provider', 'recorded'];

  it('appears in no output of a database that cannot be reached, whichever way it is named', async () => {
    const url = `postgres://me:${password}@127.0.0.1:1/db`;
    const parts = { DATABASE_HOST: '127.0.0.1', DATABASE_PORT: '1', DATABASE_NAME: 'db', DATABASE_USER: 'me' };

    const results = await Promise.all([
      cli([...recorded, '--database', url]),
      cli(recorded, { env: { DATABASE_URL: url } }),
      cli(recorded, { env: { ...canaries, ...parts } }),
      cli(['migrate', '--database', url]),
      cli(['demo', '--database', url]),
    ]);
    for (const result of results) {
      expect(result.code).toBe(1);
      expectNoCanary(result);
    }
  });

  it.each([
    'postgres://me:canary@secret@host:port/db',
    'postgres://me:canary/secret@127.0.0.1:1/db',
    'mysql://me:canary@host/db',
    'me:canary@host/db',
    'postgres://me:canary@127.0.0.1:1/db?password=canary',
  ])('appears in no output of the malformed URL %s', async (url) => {
    for (const command of [recorded, ['migrate'], ['demo']]) {
      expectNoCanary(await cli([...command, '--database', url]));
      expectNoCanary(await cli([...command, url]));
      expectNoCanary(await cli([...command, `--${url}`]));
      if (command[0] !== 'demo') expectNoCanary(await cli(command, { env: { DATABASE_URL: url } }));
    }
    expectNoCanary(await cli([url]));
  });

  it('appears in no output of a database that refuses it, or works', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true, shape: 'S1' }));
    const refused = new URL(database.url);
    refused.password = canaries.DATABASE_PASSWORD;
    refused.pathname = '/no_such_database';

    const results = await Promise.all([
      ...[['migrate'], recorded].map((command) => cli(command, { env: { ...canaries, DATABASE_URL: refused.href } })),
      cli(['migrate'], { env: { ...canaries, DATABASE_URL: database.url } }),
    ]);
    const last = await cli(recorded, { env: { ...canaries, DATABASE_URL: database.url } });

    expect([...results, last].map(({ code }) => code)).toEqual([1, 1, 0, 0]);
    for (const result of [...results, last]) expectNoCanary(result);
  });
});
