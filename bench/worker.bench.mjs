/**
 * A running worker, `fintrack-pipelines work`, on a real Kafka, a real PostgreSQL and a provider with 20 ms latency:
 *
 * - request to completion for 3 symbols, one request after the other, as a reader of committed records sees it;
 * - 10,000 requests of one symbol that wait in the topic: how fast they are answered, and how much memory the worker has on the
 *   way.
 *
 * Exit code 1 when the median of the first is not under 300 ms, or the memory grows by more than 60 MB after the first fifth.
 * TEST_KAFKA_BROKERS names a broker to use; otherwise one is started. BENCH_REQUESTS takes fewer than 10,000.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectDatabase, createReferenceTables, migrate, startEmbeddedPostgres } from 'fintrack-pipelines/postgres';
import { Kafka, logLevel } from 'kafkajs';
import { openBroker } from './worker/broker.mjs';
import { startMarket } from './worker/market.mjs';

const latencyMs = 20;
const rounds = 50;
const most = { medianMs: 300, growthMb: 60 };
const queued = Number(process.env['BENCH_REQUESTS'] ?? 10_000);
const requestTopic = 'MARKET_DATA_UPDATE_REQUEST';

const broker = await openBroker();
const postgres = await startEmbeddedPostgres();
const database = connectDatabase({ url: postgres.url });
await createReferenceTables({ database });
await migrate({ database });
await database.close();
const market = await startMarket(latencyMs);

const worker = spawn(
  process.execPath,
  [join(import.meta.dirname, '..', 'dist', 'cli', 'main.js'), 'work', '--port', '0'],
  {
    env: {
      KAFKA_BROKER: broker.brokers.join(','),
      KAFKA_CONSUMER_GROUP_ID: `bench-${randomUUID()}`,
      KAFKA_CONSUMER_AUTO_OFFSET_RESET: 'latest',
      DATABASE_URL: postgres.url,
      TWELVE_DATA_API_KEY: 'bench-api-key',
      TWELVE_DATA_API_HOST: market.url,
      TWELVE_DATA_CREDITS_PER_MINUTE: '20000',
      TWELVE_DATA_CREDITS_PER_DAY: 'none',
      MARKET_INDEX_DATA_PROVIDER: 'none',
      HISTORICAL_MARKET_DATA_PROVIDER: 'none',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  },
);
let log = '';
worker.stderr.setEncoding('utf8').on('data', (text) => (log = (log + text).slice(-20_000)));
const exited = once(worker, 'exit');

const kafka = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20 } });
const producer = kafka.producer();
const answers = new Map();
try {
  await until(() => log.includes('owned from'));
  await producer.connect();
  await readAnswers();
  const latencies = await oneByOne();
  const memory = await allAtOnce();
  await report(latencies, memory);
} finally {
  await producer.disconnect();
  worker.kill('SIGTERM');
  const [code] = await exited;
  if (code !== 0) {
    console.error(`the worker ended with ${code}:\n${log}`);
    process.exitCode = 1;
  }
  market.close();
  await postgres.stop();
  await broker.stop();
}
process.exit();

/** Reads completions, and tells whoever waits for one. */
async function readAnswers() {
  const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 50 });
  await consumer.connect();
  await consumer.subscribe({ topic: 'MARKET_DATA_UPDATE_COMPLETE' });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.run({
    eachBatch: async ({ batch, resolveOffset }) => {
      for (const { value, offset } of batch.messages) {
        const { requestId, status } = JSON.parse(value);
        answers.get(requestId)?.(status);
        resolveOffset(offset);
      }
    },
  });
  await joined;
}

function request(symbols) {
  const requestId = randomUUID();
  const answered = new Promise((resolve) => answers.set(requestId, resolve)).finally(() => answers.delete(requestId));
  const assets = symbols.map((symbol) => ({ symbol, asset_type: 'STOCK' }));
  return { message: { value: JSON.stringify({ assets, requestId }) }, answered };
}

async function oneByOne() {
  const latencies = [];
  for (let round = -5; round < rounds; round++) {
    const { message, answered } = request([0, 1, 2].map((n) => `L${round + 5}N${n}`));
    const startedAt = performance.now();
    await producer.send({ topic: requestTopic, messages: [message] });
    expectComplete(await answered);
    if (round >= 0) latencies.push(performance.now() - startedAt);
  }
  return latencies.sort((a, b) => a - b);
}

/** The memory of the worker at each fifth of the way, in MB. */
async function allAtOnce() {
  const requests = Array.from({ length: queued }, (_, index) => request([`Q${index}`]));
  const startedAt = performance.now();
  for (let first = 0; first < queued; first += 1_000) {
    const messages = requests.slice(first, first + 1_000).map(({ message }) => message);
    await producer.send({ topic: requestTopic, messages });
  }
  const memory = [];
  let done = 0;
  for (const { answered } of requests) {
    expectComplete(await answered);
    done += 1;
    if (done % (queued / 5) === 0) memory.push(residentMb());
  }
  return { memory, elapsedMs: performance.now() - startedAt };
}

function report(latencies, { memory, elapsedMs }) {
  const median = latencies[Math.floor(latencies.length / 2)];
  const slowest = latencies[Math.floor(latencies.length * 0.95)];
  console.log(`3 symbols, provider with ${latencyMs} ms, ${rounds} requests one after the other`);
  console.log(`  request to completion  median ${median.toFixed(0)} ms  95 % under ${slowest.toFixed(0)} ms`);
  console.log(`${queued} requests of one symbol, all in the topic at once`);
  console.log(`  ${(queued / (elapsedMs / 1000)).toFixed(0)} answers a second, in ${(elapsedMs / 1000).toFixed(1)} s`);
  console.log(`  memory of the worker at each fifth: ${memory.map((mb) => `${mb} MB`).join(', ')}`);
  const growth = Math.max(...memory.slice(1)) - memory[0];
  if (median >= most.medianMs || growth > most.growthMb) process.exitCode = 1;
}

function residentMb() {
  const status = readFileSync(`/proc/${worker.pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024);
}

function expectComplete(status) {
  if (status !== 'complete') throw new Error(`a request was answered ${status}`);
}

async function until(condition) {
  const endsAt = performance.now() + 60_000;
  while (!condition()) {
    if (worker.exitCode !== null || performance.now() > endsAt) throw new Error(`the worker did not start:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
