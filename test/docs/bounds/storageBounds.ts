import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEnvFile } from '../../../src/cli/input/envFile.ts';
import { readSymbols } from '../../../src/cli/input/readSymbols.ts';
import { jsonFileStore } from '../../../src/limits/quotas/jsonFileStore.ts';
import { memoryBus } from '../../../src/memory/memoryBus.ts';
import { reportProgress } from '../../../src/operators/reportProgress.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import { fromTable } from '../../../src/postgres/fromTable.ts';
import { postgresLedger } from '../../../src/postgres/ledger/postgresLedger.ts';
import { requestDetails } from '../../../src/postgres/ledger/requestDetails.ts';
import { requestStates } from '../../../src/postgres/ledger/requestStates.ts';
import { postgresQuotaStore } from '../../../src/postgres/limits/postgresQuotaStore.ts';
import { migrate } from '../../../src/postgres/migrate.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { CsvReader } from '../../../src/sources/CsvReader.ts';
import { from, lastValueFrom } from 'rxjs';
import { many, mebibyte, optionBound, refused, type InputBounds } from './inputBound.ts';

/** A folder for as long as the task takes. */
async function inFolder(task: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bounds-'));
  try {
    await task(join(folder, 'file'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const nowhere = connectDatabase({ url: 'postgres://localhost/prices' });

/** Why a sink can never hold the symbol. */
const refusalOf = (symbol: string) => ({
  asset: marketDataSink({ database: nowhere }).refuse?.({ symbol, assetType: 'STOCK' })?.code,
  index: marketIndexSink({ database: nowhere }).refuse?.({ symbol })?.code,
  month: monthlyPriceSink({ database: nowhere }).refuse?.({
    ...{ symbol, assetType: 'STOCK', startDate: '2026-01-31', endDate: '2026-03-31' },
  })?.code,
});

/** The symbols of a run from a file with so many rows. */
const fileOf = (count: number) =>
  inFolder(async (path) => {
    await writeFile(path, `symbol\n${many(count, (index) => `S${index}`).join('\n')}`);
    const place = { command: 'run', cwd: '/', database: undefined, signal: new AbortController().signal };
    const { message } = await readSymbols({ kind: 'file', path }, 'market-index-data', place);
    assert.equal((message as { readonly symbols: readonly string[] }).symbols.length, count);
  });

export const storageBounds: InputBounds = {
  'key of a request in the ledger': refused([512, 'characters'], 'request_refused', async (length) => {
    await using database = connectDatabase({ url: process.env['BOUNDS_DATABASE_URL'] ?? '', ownSchema: 'bounds_test' });
    await migrate({ database });
    const ledger = postgresLedger<string, string>({ database });
    await ledger.accept({ key: 'k'.repeat(length), pipeline: 'p', inputs: ['A'], batchSize: 1 });
  }),
  'symbol in the tables of quotes and indexes': {
    bound: [10, 'characters'],
    show(bound) {
      assert.deepEqual(refusalOf('S'.repeat(bound)), { asset: undefined, index: undefined, month: undefined });
      const { asset, index } = refusalOf('S'.repeat(bound + 1));
      assert.deepEqual([asset, index], ['symbol_too_long', 'symbol_too_long']);
    },
  },
  'symbol in the table of months': {
    bound: [255, 'characters'],
    show(bound) {
      const months = [bound, bound + 1].map((length) => refusalOf('S'.repeat(length)).month);
      assert.deepEqual(months, [undefined, 'symbol_too_long']);
    },
  },
  'rows of a page of `fromTable`': optionBound([100_000, 'rows'], (pageSize) =>
    fromTable({ database: nowhere, table: 'watchlist', pageSize }),
  ),
  'requests read by `requestStates`': optionBound([100_000, 'requests'], (limit) =>
    checked(requestStates({ database: nowhere, limit })),
  ),
  'shortfalls read by `requestDetails`': optionBound([1_000_000, 'shortfalls'], (maxShortfalls) =>
    checked(requestDetails({ database: nowhere, key: 'k', maxShortfalls })),
  ),
  'connections to PostgreSQL': optionBound([1_000, 'connections'], (poolSize) =>
    connectDatabase({ url: 'postgres://localhost/prices', poolSize }),
  ),
  'name of a schema': optionBound([60, 'characters'], (length) =>
    connectDatabase({ url: 'postgres://localhost/prices', schema: 's'.repeat(length) }),
  ),
  'name of a provider in the quota tables': optionBound([200, 'characters'], (length) =>
    postgresQuotaStore({ database: nowhere, provider: 'p'.repeat(length), apiKey: 'k' }),
  ),
  'periods in a quota file': {
    bound: [64, 'periods'],
    show: (bound) =>
      inFolder(async (path) => {
        const store = jsonFileStore({ path });
        const day = (index: number) => new Date(Date.UTC(2026, 0, 1 + index)).toISOString().slice(0, 10);
        for (let index = 0; index <= bound; index++) await store.book(day(index), 1, 10);
        const { used } = JSON.parse(await readFile(path, 'utf8')) as { readonly used: object };
        assert.deepEqual([Object.keys(used).length, day(0) in used, day(bound) in used], [bound, false, true]);
      }),
  },
  'row of a CSV file': refused([10_000, 'characters'], 'request_malformed', (length) =>
    new CsvReader('file').read('x'.repeat(length)),
  ),
  'symbols of a run': refused([250_000, 'symbols'], 'request_refused', fileOf),
  'file `.env`': optionBound([mebibyte, 'bytes'], (size) =>
    inFolder(async (path) => {
      await writeFile(path, 'A=1\n'.repeat(size / 4).padEnd(size, '#'));
      assert.deepEqual(readEnvFile(path), { A: '1' });
    }),
  ),
  'events kept by `memoryBus`': {
    bound: [10_000, 'events'],
    async show(bound) {
      const bus = memoryBus<number>();
      for (let event = 0; event <= bound; event++) await bus.publish(event);
      assert.deepEqual([bus.events.length, bus.events[0]], [bound, 1]);
    },
  },
  'events of progress on their way': {
    bound: [100, 'events'],
    async show(bound) {
      let published = 0;
      let dropped = 0;
      const publish = () => new Promise<void>(() => void (published += 1));
      const batches = many(bound + 1, (index) => ({ index, outcomes: [] }));
      const onError = () => void (dropped += 1);
      await lastValueFrom(from(batches).pipe(reportProgress({ request: 'r', publisher: { publish }, onError })));
      assert.deepEqual([published, dropped], [bound, 1]);
    },
  },
};

/** Options are checked at once, and then nobody is there to be asked. */
function checked(asked: Promise<unknown>): Promise<unknown> {
  return asked.catch((error: unknown) => {
    if ((error as { readonly code?: string }).code === 'options_invalid') throw error;
  });
}
