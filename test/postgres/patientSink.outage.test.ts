import { setImmediate } from 'node:timers/promises';
import { sql } from '@databases/pg';
import { lastValueFrom } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import type { Batch } from '../../src/model/batch.ts';
import { PipelineError } from '../../src/model/errors.ts';
import type { Fetched, Fetcher } from '../../src/model/ports.ts';
import type { Asset, Quote } from '../../src/model/records.ts';
import { parseMarketDataRequest } from '../../src/model/requests/marketDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';
import { marketData } from '../../src/pipelines/marketData.ts';
import { connectDatabase } from '../../src/postgres/connectDatabase.ts';
import type { ConnectDatabaseOptions, Database } from '../../src/postgres/connectDatabase.ts';
import { patientSink } from '../../src/postgres/patientSink.ts';
import { marketDataSink } from '../../src/postgres/sinks/marketDataSink.ts';
import { deferred } from '../support/deferred.ts';
import { openTestDatabase } from '../support/postgres.ts';
import { startTcpProxy } from '../support/tcpProxy.ts';
import { track } from '../support/track.ts';
import { asset, batchOf, call, ok, quote } from './sinks/samples.ts';

const minuteMs = 60_000;

/** Virtual time in which real sockets work: while they do, time passes quickly. */
function useQuickTime() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  const passing = async (stepMs: number, isOver: () => boolean): Promise<void> => {
    while (!isOver()) {
      vi.advanceTimersByTime(stepMs);
      await setImmediate();
    }
  };
  return {
    async pass(milliseconds: number): Promise<void> {
      const endsAt = performance.now() + milliseconds;
      await passing(200, () => performance.now() >= endsAt);
    },
    /** More slowly, so that a server at work keeps within time limits. */
    async until<Result>(promise: Promise<Result>): Promise<Result> {
      let isSettled = false;
      const settled = (): void => void (isSettled = true);
      promise.then(settled, settled);
      await passing(1, () => isSettled);
      return promise;
    },
  };
}

/** A sink whose way to the server leads through a proxy. */
async function openBehindProxy(limits: Partial<ConnectDatabaseOptions> = {}) {
  const database = await openTestDatabase({ shape: 'S1', migrated: true });
  const url = new URL(database.url);
  const port = Number(url.port === '' ? 5432 : url.port);
  const network = { isUp: true, losesAnswers: false };
  const proxy = await startTcpProxy({
    // Where the server is down, the proxy meets a port at which nobody listens, and counts who tried.
    target: () => (network.isUp ? port : 1),
    onServerMessage: (_, connection) => {
      if (!network.losesAnswers) return undefined;
      fail();
      connection.reset();
      return 'drop';
    },
  });
  const fail = (): void => {
    network.isUp = false;
    network.losesAnswers = false;
    proxy.reset();
  };
  url.host = `127.0.0.1:${String(proxy.port)}`;
  const { schema, ownSchema } = database;
  const behind = connectDatabase({ url: url.href, schema, ownSchema, ...limits });
  const dispose = async (): Promise<void> => {
    vi.useRealTimers();
    await behind.close();
    await proxy[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  };
  return track({
    database,
    proxy,
    sink: marketDataSink({ database: behind }),
    fail,
    failBeforeNextAnswer: () => void (network.losesAnswers = true),
    recover: () => void (network.isUp = true),
    [Symbol.asyncDispose]: dispose,
  });
}

function batch(symbol: string): Batch<Asset, Quote> {
  return batchOf([ok(asset(symbol), quote(asset(symbol), '1.5'))], 'request');
}

function fetched(input: Asset): Fetched<Quote> {
  return { status: 'ok', value: quote(input, '1.5'), provider: 'counted', receivedAtMs: performance.now() };
}

async function rowsOf({ pool, schema }: Database): Promise<readonly { symbol: string; age: number }[]> {
  return (await pool.query(sql`
    select symbol, extract(epoch from (now() at time zone 'UTC') - updated_at)::float8 as age
    from ${sql.ident(schema, 'market_data')} order by 1`)) as { symbol: string; age: number }[];
}

async function ledgerRows({ pool, ownSchema }: Database): Promise<readonly unknown[]> {
  return pool.query(sql`select request, number, inserted, transactions from ${sql.ident(ownSchema, 'batches')}`);
}

const storedOnce = [{ request: 'request', number: 0, inserted: 1, transactions: 1 }];

describe('a patient sink on PostgreSQL', () => {
  it('stores what was fetched before an outage, once, as old as it is by then, and fetches nothing again', async () => {
    await using opened = await openBehindProxy();
    const time = useQuickTime();
    const { database, fail, recover } = opened;
    const patient = patientSink({ sink: opened.sink });
    const failed = deferred();
    const fetch = vi.fn<Fetcher<Asset, Quote>['fetch']>(async (assets) => {
      fail();
      failed.resolve();
      return Promise.resolve(assets.map((input) => fetched(input)));
    });
    const request = parseMarketDataRequest({ assets: [{ symbol: 'A', asset_type: 'STOCK' }] });
    const completed = lastValueFrom(
      fromRequest(request, { key: 'request', ledger: patient.ledger }).pipe(
        marketData({ fetcher: { name: 'counted', fetch }, sink: patient }),
      ),
    );
    await time.until(failed.promise);
    const fetchedAtMs = performance.now();
    await time.pass(3 * minuteMs);
    expect(patient.isWaiting()).toBe(true);
    recover();
    expect(await time.until(completed)).toMatchObject({ status: 'complete', totalTransactions: 1, failed: [] });
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(patient.isWaiting()).toBe(false);
    const [row] = await time.until(rowsOf(database));
    expect(row?.age).toBeGreaterThan(179);
    // The server's clock is not ours: its few seconds of work come on top.
    expect(row?.age).toBeLessThan((performance.now() - fetchedAtMs) / 1000 + 60);
    expect(await time.until(ledgerRows(database))).toEqual(storedOnce);
  });

  it('finds in the ledger what became of a COMMIT whose answer an outage swallowed', async () => {
    await using opened = await openBehindProxy();
    const time = useQuickTime();
    const patient = patientSink({ sink: opened.sink });
    await time.until(opened.sink.write(batch('WARM'), call));
    opened.failBeforeNextAnswer();
    const writing = patient.write({ ...batch('A'), index: 1 }, call);
    await time.pass(minuteMs);
    expect(patient.isWaiting()).toBe(true);
    // It was stored, though nobody has said so.
    expect(await time.until(ledgerRows(opened.database))).toHaveLength(2);
    opened.recover();
    expect(await time.until(writing)).toMatchObject({ inserted: 1, updated: 0, transactions: 1, failed: [] });
    expect((await time.until(rowsOf(opened.database))).map(({ symbol }) => symbol)).toEqual(['A', 'WARM']);
  });

  it('makes no storm of connections, however many calls wait', async () => {
    await using opened = await openBehindProxy();
    const time = useQuickTime();
    const patient = patientSink({ sink: opened.sink });
    await time.until(patient.ledger.stored('request', 0));
    opened.fail();
    const before = opened.proxy.connections;
    const calls = Promise.all(Array.from({ length: 100 }, (_, number) => patient.ledger.stored('request', number)));
    await time.pass(minuteMs);
    const afterMinute = opened.proxy.connections;
    expect(afterMinute - before).toBeLessThan(300);
    await time.pass(minuteMs);
    // One call tries at a time: with its own retries and those of the driver, a few connections a second.
    expect(opened.proxy.connections - afterMinute).toBeGreaterThan(5);
    expect(opened.proxy.connections - afterMinute).toBeLessThan(200);
    opened.recover();
    expect(await time.until(calls)).toHaveLength(100);
  });

  it('ends its waits and its tries when aborted', async () => {
    await using opened = await openBehindProxy();
    const time = useQuickTime();
    const [stop, controller] = [new AbortController(), new AbortController()];
    const patient = patientSink({ sink: opened.sink, signal: stop.signal });
    opened.fail();
    const calls = Promise.allSettled([
      patient.write(batch('A'), controller),
      patient.ledger.accept({ key: 'request', pipeline: 'p', inputs: [asset('A')], batchSize: 1 }),
    ]);
    await time.pass(minuteMs);
    const reason = new PipelineError('canceled', 'over');
    controller.abort(reason);
    stop.abort(reason);
    expect(await calls).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    expect(patient.isWaiting()).toBe(false);
    // A call of the ledger that is under way knows of no signal.
    await time.pass(minuteMs);
    const { connections } = opened.proxy;
    await time.pass(minuteMs);
    expect(opened.proxy.connections).toBe(connections);
  });

  it('survives a server that is frozen, and the connections that froze with it', async () => {
    await using opened = await openBehindProxy();
    const time = useQuickTime();
    const onWait = vi.fn();
    const patient = patientSink({ sink: opened.sink, onWait });
    await time.until(patient.current([asset('A')], call));
    onWait.mockClear();
    opened.proxy.set({ swallow: true });
    const writing = patient.write(batch('A'), call);
    await time.pass(5010);
    expect(patient.isWaiting()).toBe(true);
    expect(onWait).toHaveBeenCalledWith(expect.objectContaining({ code: 'database_unavailable' }));
    await time.pass(3 * minuteMs);
    opened.proxy.set({ swallow: false });
    expect(await time.until(writing)).toMatchObject({ inserted: 1, failed: [] });
    expect(await time.until(ledgerRows(opened.database))).toEqual(storedOnce);
  });
});
