import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { SourceRecord } from '../../../src/model/recordPorts.ts';
import { openKafka } from '../../kafka/harness.ts';
import { kafkaBroker } from '../../support/kafka.ts';
import { quoteBody, seriesBody, startMarketServer, twelveDataBody, yahooBody } from '../../support/marketServer.ts';
import { administrate, createUser, grantAll, openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { startWorker, type StartedWorker } from '../support/startWorker.ts';

const secrets = {
  TWELVE_DATA_API_KEY: 'canary-twelve-data',
  RAPIDAPI_KEY: 'canary-rapidapi',
  KAFKA_SASL_PASSWORD: 'canary-kafka',
};

const urlOf = async ({ logged }: Pick<StartedWorker, 'logged'>) =>
  (await logged(/http: (http:\S+) serves/g))[0]?.[1] ?? '';

async function page(url: string, path: string) {
  const response = await fetch(`${url}${path}`);
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
}

/** Ends the connections of a user, whose new ones have the settings of then. */
const disconnect = (user: string): string =>
  `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${user}'`;

const eventOf = ({ value }: SourceRecord) =>
  JSON.parse(new TextDecoder().decode(value ?? new Uint8Array())) as Record<string, unknown>;

describe('a worker whose servers are not there', () => {
  it('says so with each try, is alive and not ready, and stops when it is told to', async () => {
    const sasl = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'me' };
    const env = { ...secrets, ...sasl, KAFKA_BROKER: '127.0.0.1:1' };
    const worker = startWorker(['--provider', 'recorded', '--database', 'memory'], env);
    const url = await urlOf(worker);
    const [first] = await worker.logged(/waiting for Kafka: try 1 failed: .*; next in 500 ms/g);
    const [alive, ready] = await Promise.all([page(url, '/healthz'), page(url, '/readyz')]);
    const { code, stderr, listeners, exits } = await worker.stop();

    expect(first?.[0]).toContain('Kafka: looking for topics');
    expect([alive.status, ready.status]).toEqual([200, 503]);
    expect(JSON.parse(ready.body)).toMatchObject({
      ready: false,
      state: 'starting',
      kafka: { ready: false, group: 'etl-job-consumer-group' },
      postgresql: { ready: true, memory: true },
    });
    expect([code, listeners, exits]).toEqual([0, 0, []]);
    expect(stderr).toMatch(/Z stopped\n$/);
    expect(stderr).not.toContain('canary');
  });

  it('waits for PostgreSQL first, and keeps its password to itself', async () => {
    const env = { KAFKA_BROKER: '127.0.0.1:1', DATABASE_URL: 'postgres://me:canary-password@127.0.0.1:1/db' };
    const worker = startWorker(['--provider', 'recorded'], env);
    const url = await urlOf(worker);
    await worker.logged(/waiting for PostgreSQL: try 1 failed: /g);
    const ready = await page(url, '/readyz');
    const { code, stderr } = await worker.stop();

    expect(JSON.parse(ready.body)).toMatchObject({ postgresql: { ready: false } });
    expect(code).toBe(0);
    expect(stderr).not.toContain('canary');
  });

  it('does not wait for tables that nobody has made', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true }));
    const env = { KAFKA_BROKER: '127.0.0.1:1', DATABASE_URL: database.url };
    const { code, stderr } = await startWorker(['--provider', 'recorded'], env).ended;

    expect(code).toBe(1);
    expect(stderr).toMatch(/\nfintrack-pipelines: PostgreSQL at .*: there is no market_data, .*\n$/);
  });
});

const broker = await kafkaBroker();

describe.skipIf(broker === undefined)('a worker', () => {
  const months = ['2026-10-01', '2026-09-01'];

  it('answers the three kinds of request, shows how it is, and stops when it is told to', async () => {
    await using kafka = track(await openKafka(broker?.brokers ?? []));
    await using database = track(await openTestDatabase({ ownDatabase: true, shape: 'S1', migrated: true }));
    await using market = track(
      await startMarketServer(({ url, symbols }) => {
        if (url.includes('get-quotes')) return { body: yahooBody(symbols) };
        const bodyOf = (symbol: string) => (url.includes('series') ? seriesBody(symbol, months) : quoteBody(symbol));
        return { body: twelveDataBody(symbols, bodyOf) };
      }),
    );
    const worker = startWorker([], {
      ...{ TWELVE_DATA_API_KEY: secrets.TWELVE_DATA_API_KEY, TWELVE_DATA_API_HOST: market.baseUrl },
      ...{ RAPIDAPI_KEY: secrets.RAPIDAPI_KEY, RAPIDAPI_HOST: market.baseUrl },
      DATABASE_URL: database.url,
      KAFKA_BROKER: broker?.brokers.join(',') ?? '',
      KAFKA_CONSUMER_GROUP_ID: `group-${randomUUID()}`,
      // The broker may know requests of other runs.
      KAFKA_CONSUMER_AUTO_OFFSET_RESET: 'latest',
    });
    const url = await urlOf(worker);
    await worker.logged(/partition \S+_REQUEST-0: owned/g, 3);
    const ready = await page(url, '/readyz');

    const id = randomUUID();
    const assets = [{ symbol: 'AAPL', asset_type: 'STOCK' }];
    const requests: Record<string, object> = {
      MARKET_DATA_UPDATE: { assets },
      MARKET_INDEX_DATA_UPDATE: { symbols: ['^GSPC', '^NDX'] },
      HISTORICAL_MARKET_DATA: { assets, start_date: '2026-09-30', end_date: '2026-10-31' },
    };
    const producer = kafka.plain.producer();
    await producer.connect();
    for (const [name, request] of Object.entries(requests)) {
      const value = JSON.stringify({ ...request, requestId: id });
      await producer.send({ topic: `${name}_REQUEST`, messages: [{ value, partition: 0 }] });
    }
    await producer.disconnect();
    await worker.logged(/request \S+: complete: \d of \d symbols? served/g, 3);

    const [alive, metrics] = await Promise.all([page(url, '/healthz'), page(url, '/metrics')]);
    const { code, stderr, exits, listeners } = await worker.stop();
    const completions = await Promise.all(
      Object.keys(requests).map(async (name) => {
        const records = await kafka.records(`${name}_COMPLETE`);
        return records.map(eventOf).filter(({ requestId }) => requestId === id);
      }),
    );

    expect(ready.status).toBe(200);
    expect(JSON.parse(ready.body)).toMatchObject({ ready: true, state: 'running', postgresql: { ready: true } });
    expect(alive.status).toBe(200);
    expect(metrics.type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(metrics.body).toContain('fintrack_requests_announced_total{pipeline="market-data",status="complete"} 1\n');
    expect(metrics.body).toContain('fintrack_rows_total{pipeline="market-index-data",action="inserted"} 2\n');
    expect(completions).toMatchObject([
      [{ status: 'complete', totalAssets: 1, assets: [{ symbol: 'AAPL', price: 228.34 }] }],
      [{ status: 'complete', totalSymbols: 2 }],
      [{ status: 'complete', record_count: 2 }],
    ]);
    expect([code, exits, listeners]).toEqual([0, [], 0]);
    expect(stderr).toMatch(/Z drain: no new requests; those in flight have 10.0 s\n/);
    expect(stderr).toMatch(/Z stopped\n$/);
    expect(stderr + metrics.body + ready.body).not.toContain('canary');
  });

  it('hands back what is not done in time, and leaves it unanswered', async () => {
    await using kafka = track(await openKafka(broker?.brokers ?? []));
    let asked = (): void => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    await using market = track(
      await startMarketServer(() => {
        asked();
        return new Promise(() => undefined);
      }),
    );
    const worker = startWorker(['--database', 'memory', '--drain-ms', '50'], {
      ...{ TWELVE_DATA_API_KEY: 'key', TWELVE_DATA_API_HOST: market.baseUrl },
      ...{ MARKET_INDEX_DATA_PROVIDER: 'none', HISTORICAL_MARKET_DATA_PROVIDER: 'none' },
      KAFKA_BROKER: broker?.brokers.join(',') ?? '',
      KAFKA_CONSUMER_GROUP_ID: `group-${randomUUID()}`,
      KAFKA_CONSUMER_AUTO_OFFSET_RESET: 'latest',
    });
    await worker.logged(/partition \S+_REQUEST-0: owned/g);
    const requestId = randomUUID();
    const producer = kafka.plain.producer();
    await producer.connect();
    const value = JSON.stringify({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }], requestId });
    await producer.send({ topic: 'MARKET_DATA_UPDATE_REQUEST', messages: [{ value, partition: 0 }] });
    await producer.disconnect();
    await isAsked;
    const { code, stderr, exits } = await worker.stop();
    const answers = (await kafka.records('MARKET_DATA_UPDATE_COMPLETE')).map(eventOf);

    expect([code, exits]).toEqual([0, []]);
    expect(stderr).toMatch(/drain: the time is over: .* handed back/);
    expect(stderr).toMatch(/MARKET_DATA_UPDATE_REQUEST-0: lost, 1 request left to its next owner\n/);
    expect(answers.filter((answer) => answer['requestId'] === requestId)).toEqual([]);
  });

  const rights = (user: string) => `insert, update on financial_tracker.market_data ${user}`;

  // Issue 10, item 7.
  it.each([
    {
      what: 'a table is missing (42P01)',
      line: /postgresql: not ready, requests wait for it: .*market_data" does not exist: create the price tables.*/g,
      ready: { ready: false, error: 'database_not_ready' },
      breaks: () => [`alter table financial_tracker.market_data rename to moved`],
      repairs: () => [`alter table financial_tracker.moved rename to market_data`],
    },
    {
      what: 'a right to a table is missing (42501)',
      line: /postgresql: not ready, requests wait for it: .* may not .* table "market_data".*: grant it.*/g,
      ready: { ready: false, error: 'database_not_ready' },
      breaks: (user: string) => [`revoke ${rights(`from ${user}`)}`],
      repairs: (user: string) => [`grant ${rights(`to ${user}`)}`],
    },
    {
      what: 'the database is read-only (25006)',
      line: /postgresql: away, requests wait for it: .*takes no writes.*25006.*/g,
      ready: { ready: false },
      breaks: (user: string) => [`alter user ${user} set default_transaction_read_only = on`, disconnect(user)],
      repairs: (user: string) => [`alter user ${user} reset default_transaction_read_only`, disconnect(user)],
    },
  ])(
    'waits while $what, says so, and answers once it is mended',
    { timeout: 60_000 },
    async ({ line, ready, breaks, repairs }) => {
      await using kafka = track(await openKafka(broker?.brokers ?? []));
      await using database = track(await openTestDatabase({ ownDatabase: true, shape: 'S1', migrated: true }));
      await using user = track(await createUser(database));
      await grantAll(database, user.name);
      const worker = startWorker(['--provider', 'recorded'], {
        ...{ MARKET_INDEX_DATA_PROVIDER: 'none', HISTORICAL_MARKET_DATA_PROVIDER: 'none' },
        DATABASE_URL: user.url,
        KAFKA_BROKER: broker?.brokers.join(',') ?? '',
        KAFKA_CONSUMER_GROUP_ID: `group-${randomUUID()}`,
        KAFKA_CONSUMER_AUTO_OFFSET_RESET: 'latest',
      });
      const readyPage = async () => page(await urlOf(worker), '/readyz');
      await worker.logged(/partition \S+_REQUEST-0: owned/g);
      const before = await readyPage();

      for (const statement of breaks(user.name)) await administrate(statement, database.url);
      const requestId = randomUUID();
      const value = JSON.stringify({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }], requestId });
      const producer = kafka.plain.producer();
      await producer.connect();
      await producer.send({ topic: 'MARKET_DATA_UPDATE_REQUEST', messages: [{ value, partition: 0 }] });
      await producer.disconnect();
      await worker.logged(line);
      // What the page knows of the database may be 2 s old.
      await expect.poll(async () => (await readyPage()).status, { timeout: 10_000 }).toBe(503);
      const waiting = await readyPage();

      for (const statement of repairs(user.name)) await administrate(statement, database.url);
      await worker.logged(/request \S+: complete: 1 of 1 symbol served/g);
      await worker.logged(/postgresql: back after .*/g);
      await expect.poll(async () => (await readyPage()).status, { timeout: 10_000 }).toBe(200);
      const { code } = await worker.stop();
      const answers = (await kafka.records('MARKET_DATA_UPDATE_COMPLETE')).map(eventOf);

      expect([before.status, code]).toEqual([200, 0]);
      expect(JSON.parse(waiting.body)).toMatchObject({ ready: false, state: 'running', postgresql: ready });
      expect(worker.log().match(line)).toHaveLength(1);
      expect(answers.filter((answer) => answer['requestId'] === requestId)).toMatchObject([{ status: 'complete' }]);
    },
  );
});
