import { randomUUID } from 'node:crypto';
import { sql } from '@databases/pg';
import { afterAll, describe, expect, it } from 'vitest';
import type { SourceRecord } from '../../src/model/recordPorts.ts';
import { startWorker } from '../cli/support/startWorker.ts';
import { openKafka } from '../kafka/harness.ts';
import { Closing } from '../support/Closing.ts';
import { kafkaBroker } from '../support/kafka.ts';
import { kafkaSaslPassword } from '../support/kafkaBroker.ts';
import {
  quoteBody,
  seriesBody,
  startMarketServer,
  twelveDataBody,
  yahooBody,
  type Answer,
  type SeenRequest,
} from '../support/marketServer.ts';
import { createUser, openTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';
import { within } from '../support/within.ts';
import { lanes, topics } from '../support/workers/requests.ts';

const keys = {
  TWELVE_DATA_API_KEY: 'canary-twelve-data',
  RAPIDAPI_KEY: 'canary-rapidapi',
  MASSIVE_API_KEY: 'canary-massive',
};
const patienceMs = 60_000;

const broker = await kafkaBroker();
const kafka = await openKafka(broker?.brokers ?? ['127.0.0.1:1']).catch(() => undefined);
afterAll(() => kafka?.[Symbol.asyncDispose]());

const months = ['2026-10-01', '2026-09-01'];

function goodAnswer({ url, symbols }: SeenRequest): Answer {
  if (url.includes('get-quotes')) return { body: yahooBody(symbols) };
  if (url.includes('/aggs/')) return { body: { status: 'OK', results: [] } };
  return {
    body: twelveDataBody(symbols, (each) => (url.includes('series') ? seriesBody(each, months) : quoteBody(each))),
  };
}

/** The secret where a price, or the day of a month, is expected. */
function inPlaceOfValues(secret: string, request: SeenRequest): Answer {
  const { url, symbols } = request;
  if (url.includes('get-quotes')) return { body: yahooBody(symbols).replaceAll('4099.380', JSON.stringify(secret)) };
  if (url.includes('/aggs/')) return { body: { status: 'OK', results: [{ t: secret, c: secret }] } };
  const bodyOf = (symbol: string) =>
    url.includes('series') ? seriesBody(symbol, [secret]) : quoteBody(symbol, secret);
  return { body: twelveDataBody(symbols, bodyOf) };
}

/** How a provider repeats the secrets that it was sent; whether its requests are answered then, and not tried again. */
const echoes: readonly (readonly [string, boolean, (secret: string, request: SeenRequest) => Answer])[] = [
  ['success', true, (secret, request) => ({ ...goodAnswer(request), headers: { 'x-key': secret } })],
  [
    'a refused key',
    true,
    (secret) => ({ status: 401, body: { code: 401, status: 'error', message: `wrong key ${secret}` } }),
  ],
  ['failed symbols', true, (secret) => ({ body: { code: 404, status: 'error', message: `unknown to ${secret}` } })],
  ['a page', true, (secret) => ({ body: `<html>${secret}</html>` })],
  ['a cut-off body', false, (secret) => ({ status: 403, body: `{"message":"${secret}` })],
  ['an error of its own', false, (secret) => ({ status: 500, body: `{"message":"${secret}"}` })],
  [
    'too many calls',
    false,
    (secret) => ({ status: 429, headers: { 'x-key': secret }, body: { code: 429, message: secret } }),
  ],
  ['a value', true, inPlaceOfValues],
  // By another provider of months.
  ['a value of another', true, inPlaceOfValues],
];

const secretOf = ({ headers, url }: SeenRequest): string =>
  `${String(headers.authorization)} ${String(headers['x-rapidapi-key'])} ${url}`;

async function pagesOf(log: string): Promise<string> {
  const [, url = ''] = /http: (http:\S+) serves/.exec(log) ?? [];
  const pages = ['/metrics', '/healthz', '/readyz', '/'].map(async (path) => (await fetch(url + path)).text());
  return (await Promise.all(pages)).join('\n');
}

/** All that our own tables hold, as text. */
async function tablesOf({ pool, ownSchema }: TestDatabase): Promise<string> {
  const found = (await pool.query(
    sql`select table_name as name from information_schema.tables where table_schema = ${ownSchema} and table_type = 'BASE TABLE'`,
  )) as { name: string }[];
  const rows = await Promise.all(
    found.map(({ name }) =>
      pool.query(sql`select row_to_json(each)::text as row from ${sql.ident(ownSchema, name)} as each`),
    ),
  );
  return JSON.stringify(rows);
}

function textOf({ key, value, headers }: SourceRecord): string {
  return [key, value, ...headers.flatMap((header) => [header.name, header.value])]
    .map((each) => Buffer.from(each ?? '').toString())
    .join('\n');
}

/** All that workers have ever told on the topics of their answers. */
async function recordsOf(): Promise<string> {
  const names = lanes.flatMap((lane) => {
    const { request, completion, progress, work } = topics[lane];
    return [completion, progress, work, `${request}-dlt`];
  });
  const texts: string[] = [];
  for (const name of names) texts.push(...(await kafka!.records(name)).map(textOf));
  return texts.join('\n');
}

/** A request of each kind, and what is none, of each kind, too. */
async function sendRequests(requestId: string): Promise<void> {
  const assets = [
    { symbol: 'AAPL', asset_type: 'STOCK' },
    { symbol: 'IBM', asset_type: 'STOCK' },
  ];
  const bodies = {
    market: { assets },
    index: { symbols: ['^GSPC', '^NDX'] },
    historical: { assets, start_date: '2026-09-30', end_date: '2026-10-31' },
  };
  const producer = kafka!.plain.producer();
  await producer.connect();
  for (const lane of lanes) {
    const values = [JSON.stringify({ ...bodies[lane], requestId }), '[]'];
    const messages = values.map((value) => ({ value, partition: 0 }));
    await producer.send({ topic: topics[lane].request, messages });
  }
  await producer.disconnect();
}

const common = () => ({
  ...keys,
  KAFKA_BROKER: broker?.brokers.join(',') ?? '',
  KAFKA_CONSUMER_GROUP_ID: `canaries-${randomUUID()}`,
  // The broker may know requests of others.
  KAFKA_CONSUMER_AUTO_OFFSET_RESET: 'latest',
});

describe.skipIf(broker === undefined)('a secret planted in every variable', () => {
  it('appears nowhere, whatever the providers do with it', async () => {
    await using closing = new Closing();
    const workers = await Promise.all(
      echoes.map(async ([name, ends, answer], number) => {
        const server = closing.use(track(await startMarketServer((request) => answer(secretOf(request), request))));
        const database = closing.use(track(await openTestDatabase({ ownDatabase: true, shape: 'S1', migrated: true })));
        const hosts = ['TWELVE_DATA_API_HOST', 'RAPIDAPI_HOST', 'MASSIVE_API_HOST'].map((host) => [
          host,
          server.baseUrl,
        ]);
        const worker = startWorker(['--drain-ms', '100'], {
          ...common(),
          ...(Object.fromEntries(hosts) as Record<string, string>),
          ...(number % 2 === 0 ? {} : { HISTORICAL_MARKET_DATA_PROVIDER: 'massive,twelve-data' }),
          DATABASE_URL: database.url,
        });
        return { name, ends, server, database, worker };
      }),
    );
    await Promise.all(workers.map(({ worker }) => worker.logged(/partition \S+_REQUEST-0: owned/g, 3)));
    await sendRequests(randomUUID());
    const waits = workers.map(async ({ name, ends, worker }) => {
      await worker.logged(/dead letter: request_malformed/g, 3);
      if (ends) await worker.logged(/request \S+: (complete|partial|failed): /g, 3);
      else await worker.logged(/is down|waiting for|refuses us|no quota/g);
      return name;
    });
    const done = await Promise.all(waits.map((wait) => within(patienceMs, wait)));
    const pages = await Promise.all(workers.map(({ worker }) => pagesOf(worker.log())));
    const results = await Promise.all(workers.map(({ worker }) => worker.stop()));
    const tables = await Promise.all(workers.map(({ database }) => tablesOf(database)));

    const records = await recordsOf();
    const late = workers.filter((_, number) => done[number] === undefined);
    expect(late.map(({ worker }) => worker.log())).toEqual([]);
    expect(results.map(({ code }) => code)).toEqual(workers.map(() => 0));
    // Each was really repeated.
    for (const { server } of workers) expect(server.requests.map(secretOf).join()).toMatch(/canary/);
    expect(records).toContain('"status":"failed"');
    expect(tables.join()).toContain('AAPL');
    const output = [...results.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...pages, ...tables, records];
    expect(output.flatMap((text) => text.match(/.{0,200}canary.{0,50}/gi) ?? [])).toEqual([]);
  }, 240_000);

  it('appears nowhere when servers refuse it or are away', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true, shape: 'S1', migrated: true }));
    await using user = track(await createUser(database));
    const refused = new URL(user.url);
    refused.password = 'canary-p@ss:word/';
    const away = new URL(refused);
    away.port = '1';
    const sasl = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'tester' };
    const secure = { ...common(), ...sasl, KAFKA_BROKER: broker?.saslBrokers?.join(',') ?? '' };
    const tries: readonly (readonly [Record<string, string>, RegExp])[] = [
      [{ ...common(), DATABASE_URL: refused.href }, /PostgreSQL/g],
      [{ ...common(), DATABASE_URL: away.href }, /waiting for PostgreSQL: try 1 failed/g],
      [
        {
          ...common(),
          ...{ DATABASE_HOST: '127.0.0.1', DATABASE_PORT: '1', DATABASE_NAME: 'db', DATABASE_USER: 'me' },
          DATABASE_PASSWORD: 'canary-p@ss:word/',
        },
        /waiting for PostgreSQL: try 1 failed/g,
      ],
      [{ ...secure, KAFKA_SASL_PASSWORD: 'canary-of-nobody', DATABASE_URL: database.url }, /Kafka/g],
      [{ ...secure, KAFKA_SASL_PASSWORD: kafkaSaslPassword, DATABASE_URL: database.url }, /_REQUEST-0: owned/g],
      [
        { ...secure, KAFKA_SASL_PASSWORD: 'canary-of-nobody', KAFKA_BROKER: '127.0.0.1:1', DATABASE_URL: database.url },
        /waiting for Kafka: try 1 failed/g,
      ],
    ];
    const results = await Promise.all(
      tries.map(async ([env, pattern]) => {
        const worker = startWorker(['--provider', 'recorded', '--drain-ms', '100'], env);
        const isTold = await within(patienceMs, Promise.race([worker.logged(pattern), worker.ended]));
        const pages = await pagesOf(worker.log()).catch(() => '');
        const { stdout, stderr } = await worker.stop();
        return { isTold: isTold !== undefined, text: stdout + stderr + pages };
      }),
    );

    expect(results.map(({ isTold }) => isTold)).toEqual(tries.map(() => true));
    expect(results.map(({ text }, number) => text.search(tries[number]![1]) >= 0)).toEqual(tries.map(() => true));
    expect(results.flatMap(({ text }) => text.match(/.{0,200}canary.{0,50}/gi) ?? [])).toEqual([]);
  }, 240_000);
});
