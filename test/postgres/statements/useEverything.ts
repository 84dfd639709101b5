import { sql } from '@databases/pg';
import { lastValueFrom, take, toArray } from 'rxjs';
import { PipelineError } from '../../../src/model/errors.ts';
import { fromTable } from '../../../src/postgres/fromTable.ts';
import { postgresLedger } from '../../../src/postgres/ledger/postgresLedger.ts';
import { removeExpired } from '../../../src/postgres/ledger/removeExpired.ts';
import { requestDetails } from '../../../src/postgres/ledger/requestDetails.ts';
import { requestStates } from '../../../src/postgres/ledger/requestStates.ts';
import { postgresKeyRefusals } from '../../../src/postgres/limits/postgresKeyRefusals.ts';
import { postgresQuotaStore } from '../../../src/postgres/limits/postgresQuotaStore.ts';
import { postgresWindow } from '../../../src/postgres/limits/postgresWindow.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { asset, batchOf, call, index, indexQuote, months, ok, quote, range } from '../sinks/samples.ts';
import { clockMs, key } from './fullTables.ts';

/** The catalogue: every statement of ours runs at least once, with what a batch has, on rows that are there and that are not. */
export async function useEverything(database: TestDatabase): Promise<void> {
  await usePrices(database);
  await useLedger(database);
  await useLimits(database);
}

/** Those on the price tables, and what they read and write beside them. */
export async function usePrices(database: TestDatabase): Promise<void> {
  await useQuotes(database);
  await useIndexes(database);
  await useMonths(database);
}

const count = 100;
/** Half of them are in the tables. */
const symbols = Array.from({ length: count }, (_, at) => `${at % 2 === 0 ? 'S' : 'N'}${String(at * 7 + 1)}`);
const canceled = { status: 'skipped', reason: 'canceled' } as const;
/** What came before the rows of the tables. */
const old = { receivedAtMs: performance.now() - 86_400_000 };

async function useQuotes(database: TestDatabase): Promise<void> {
  const sink = marketDataSink({ database });
  const inputs = symbols.map((symbol) => asset(symbol));
  const outcomes = inputs.map((input) => ok(input, quote(input, '2')));
  await sink.current(inputs, { ...call, maxAgeMs: 86_400_000 });
  await sink.write(batchOf(outcomes), call);
  await sink.write(batchOf(outcomes, 'quotes'), call);
  // What the table keeps is looked at, and the key claimed before; then the ledger has it.
  const late = inputs.map((input) => ok(input, quote(input, '3'), old));
  await sink.write(batchOf(late, 'quotes', 1), call);
  await sink.write(batchOf(late, 'quotes', 1), call);
  await sink.write(batchOf([...outcomes, { ...canceled, input: asset('S0') }], 'quotes', 2), call);
  await lastValueFrom(fromTable({ database, table: 'market_data', pageSize: 100 }).pipe(take(250), toArray()));
}

async function useIndexes(database: TestDatabase): Promise<void> {
  const sink = marketIndexSink({ database });
  const inputs = symbols.map((symbol) => index(symbol));
  await sink.current(inputs, { ...call, maxAgeMs: 86_400_000 });
  await sink.write(
    batchOf(
      inputs.map((input) => ok(input, indexQuote(input, '2'))),
      'indexes',
    ),
    call,
  );
  await sink.write(batchOf(inputs.map((input) => ok(input, indexQuote(input, '3'), old))), call);
}

async function useMonths(database: TestDatabase): Promise<void> {
  const { pool, schema } = database;
  const ranges = symbols.map((symbol) => range(symbol, '2004-01-01', '2016-12-31'));
  const outcomes = ranges.map((input) => ok(input, months(input, { '2016-11-01': '2', '2016-12-01': '3' })));
  const sink = monthlyPriceSink({ database, provider: 'massive' });
  await sink.current(ranges, call);
  await sink.write(batchOf(outcomes, 'months'), call);
  // A trigger, so that the table is asked what it holds.
  await pool.query(sql`
    create or replace function ${sql.ident(schema, 'leave')}() returns trigger language plpgsql as 'begin return new; end'`);
  await pool.query(sql`
    create trigger leave before insert on ${sql.ident(schema, 'market_data_monthly')}
    for each row execute function ${sql.ident(schema, 'leave')}()`);
  const others = symbols.map((symbol) => range(`${symbol}1`, '2004-01-01', '2016-12-31'));
  const looked = others.map((input) => ok(input, months(input, { '2016-11-01': '2', '2016-12-01': '3' })));
  await monthlyPriceSink({ database, provider: 'massive' }).write(batchOf(looked, 'months', 1), call);
}

async function useLedger(database: TestDatabase): Promise<void> {
  const ledger = postgresLedger<string, number>({ database });
  await ledger.accept({ key: 'new', pipeline: 'p', inputs: symbols, batchSize: 100 });
  await ledger.accept({ key: 'new', pipeline: 'p', inputs: symbols, batchSize: 100 });
  await ledger.stored('r7', 3);
  await ledger.storedNumbers('r7');
  await ledger.storedNumbers('r7', [1, 2, 3, 200]);
  for await (const batch of ledger.batches('r7')) if (batch.index > 60) break;
  for await (const batch of ledger.batches('r7', [1, 2, 3, 200])) if (batch.index > 60) break;
  await ledger.storeFailed('new', { index: 0, inputs: symbols, error: new PipelineError('internal', 'failed') });
  await ledger.begin({ key: 'r7', token: 'b' }, 5);
  await ledger.begin({ key: 'new', batch: 0, token: 'b' }, 5);
  await ledger.handBack({ key: 'new', batch: 0, token: 'b' });
  await requestStates({ database });
  await requestStates({ database, state: 'open' });
  await requestDetails({ database, key: 'r7' });
  await removeExpired({ database });
}

async function useLimits(database: TestDatabase): Promise<void> {
  const { signal } = call;
  const window = postgresWindow({ database, ...key, credits: 10_000, now: () => clockMs });
  const want = { credits: 5, min: 1, reserve: 0, holdMs: 60_000, signal };
  const grant = await window.take(want);
  if (!('id' in grant)) throw new Error('expected a grant');
  await window.release(grant, 1);
  await window.report!(grant, 9000, 65_000);
  await window.settle(grant, 60_000);
  // Stale before it comes, and given back.
  await window.take({ ...want, holdMs: 0.001 });

  const store = postgresQuotaStore({ database, ...key });
  await store.book('2026-11-24', 20, 30);
  await store.giveBack('2026-11-24', 5);
  await store.used!('2026-11-24');

  const refusals = postgresKeyRefusals({ database, ...key });
  await refusals.refuse({ message: 'no', pauseMs: 1, isAgain: false });
  await refusals.standing();
  await refusals.claim(1000);
  await refusals.lift();
}
