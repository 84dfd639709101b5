/**
 * What is fresh, on a database that nobody has analyzed: as many symbols as its table holds are asked for, 100 at a time.
 *
 * Prints the time for 10,000 and for 30,000 symbols, and their ratio; exit code 1 when three times as many take more than five
 * times as long. BENCH_DATABASE_URL names a server to use; otherwise one is started.
 */
import { sql } from '@databases/pg';
import {
  connectDatabase,
  createReferenceTables,
  marketDataSink,
  migrate,
  startEmbeddedPostgres,
} from 'fintrack-pipelines/postgres';

const mostRatio = 5;
const given = process.env['BENCH_DATABASE_URL'];
const server = given === undefined ? await startEmbeddedPostgres() : undefined;
const { signal } = new AbortController();

async function measure(symbols) {
  const name = `bench_fresh_${process.pid}_${symbols}`;
  const database = connectDatabase({ url: given ?? server.url, schema: name, ownSchema: `${name}_ledger` });
  const table = sql.ident(name, 'market_data');
  await createReferenceTables({ database });
  await migrate({ database });
  await database.pool.query(sql`alter table ${table} set (autovacuum_enabled = false)`);
  await database.pool.query(sql`
    insert into ${table} (symbol, asset_type, price, percent_change, change, high, low, updated_at)
    select 'S' || n, 'STOCK', 1, 1, 1, 1, 1, now() at time zone 'UTC' from generate_series(1, ${symbols}) as n`);
  const sink = marketDataSink({ database });
  const inputs = Array.from({ length: symbols }, (_, at) => ({ symbol: `S${at + 1}`, assetType: 'STOCK' }));
  const startedAt = performance.now();
  let fresh = 0;
  for (let at = 0; at < symbols; at += 100) {
    const standings = await sink.current(inputs.slice(at, at + 100), { maxAgeMs: 3_600_000, signal });
    fresh += standings.filter(({ status }) => status === 'fresh').length;
  }
  const tookMs = performance.now() - startedAt;
  if (fresh !== symbols) throw new Error(`expected ${symbols} fresh, got ${fresh}`);
  await database.pool.query(sql`drop schema ${sql.ident(name)}, ${sql.ident(database.ownSchema)} cascade`);
  await database.close();
  return tookMs;
}

await measure(1000);
const [small, large] = [await measure(10_000), await measure(30_000)];
console.log(`10,000 symbols: ${small.toFixed(0)} ms, ${(small / 100).toFixed(2)} a batch of 100`);
console.log(`30,000 symbols: ${large.toFixed(0)} ms, ${(large / 300).toFixed(2)} a batch of 100`);
console.log(`ratio: ${(large / small).toFixed(2)} (at most ${mostRatio})`);
if (large / small > mostRatio) process.exitCode = 1;
await server?.[Symbol.asyncDispose]();
