import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { jsonPage, serveHttp } from '../../../src/cli/worker/http/httpServer.ts';
import { decompress } from '../../../src/kafka/client/compression/codecs.ts';
import { traceHeaders } from '../../../src/kafka/records/traceHeaders.ts';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { DeadSymbols } from '../../../src/limits/fetching/deadSymbols.ts';
import { announcedSpan, encodeAnnounced } from '../../../src/model/announcedBitmap.ts';
import { parseDecimal } from '../../../src/model/decimal.ts';
import { PipelineError } from '../../../src/model/errors.ts';
import { parseHistoricalMarketDataRequest } from '../../../src/model/requests/historicalMarketDataRequest.ts';
import { parseMarketDataRequest } from '../../../src/model/requests/marketDataRequest.ts';
import { batch } from '../../../src/operators/batch.ts';
import { requestText } from '../../../src/providers/http/requestText.ts';
import { CsvReader } from '../../../src/sources/CsvReader.ts';
import { completionOf, message, openBroker, requestTopic, send, settle, Worker } from '../../kafka/requests/bench.ts';

/** A bound on input: shows what lies at it, and what lies beyond. */
export interface InputBound {
  /** The number, and its unit as the table of docs/operations.md has it. */
  readonly bound: readonly [number, unit: string];
  readonly show: (bound: number) => void | Promise<void>;
}

const mebibyte = 1_048_576;
const stock = (symbol: string) => ({ symbol, asset_type: 'STOCK' });
const many = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index));
const now = () => Date.parse('2026-11-24T12:00:00Z');
const historical = (start_date: string, count = 1) =>
  parseHistoricalMarketDataRequest(
    { start_date, end_date: '2026-11-24', assets: many(count, (index) => stock(`S${index}`)) },
    { now },
  );
const coded = (code: string) => (error: unknown) => PipelineError.isInstance(error) && error.code === code;

/** A worker that is given these messages, once nothing goes on any more. */
async function workerOn(messages: readonly string[], answers: (offset: number) => boolean = () => false) {
  const broker = openBroker();
  await send(broker, messages);
  let offset = 0;
  const worker = new Worker(broker, { topics: [requestTopic()], maxOpen: 10_000 }, (delivery) => {
    if (answers(offset++)) void delivery.ack(completionOf(delivery));
  });
  return { broker, worker };
}

async function whenOut(worker: Worker, count: number): Promise<number> {
  while (worker.deliveries.length < count && worker.ended === undefined) await settle();
  await settle();
  return worker.deliveries.length;
}

function answer(status: number, bytes: number): Promise<{ readonly body: string }> {
  const fetch = () => Promise.resolve(new Response('x'.repeat(bytes), { status }));
  return requestText({ provider: 'p', url: 'http://p', signal: new AbortController().signal, fetch });
}

async function openSocket(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined);
  await once(socket, 'connect');
  return socket.resume();
}

/** Connections up to a bound are kept, the next one cuts the oldest. */
async function showConnections(bound: number, addressOf: (index: number) => string): Promise<void> {
  const pages = { '/ok': () => jsonPage(200, {}) };
  await using server = await serveHttp({ host: '127.0.0.1', port: 0, pages, timeoutMs: 600_000 });
  const port = Number(new URL(server.url).port);
  const sockets: Socket[] = [];
  for (let index = 0; index < bound; index += 1) sockets.push(await openSocket(port, addressOf(index)));
  assert.equal(sockets.filter(({ destroyed }) => destroyed).length, 0);
  const [oldest] = sockets;
  assert.ok(oldest);
  const cut = once(oldest, 'close');
  sockets.push(await openSocket(port, addressOf(bound)));
  // Where it was not cut it is answered.
  const answered = once(oldest, 'data').then(() => assert.fail('the oldest is answered'));
  oldest.write('GET /ok HTTP/1.1\r\nHost: x\r\n\r\n');
  await Promise.race([cut, answered]);
  assert.equal(sockets.filter(({ destroyed }) => destroyed).length, 1);
  for (const socket of sockets) socket.destroy();
}

/** By the first column of the table. */
export const inputBounds: Readonly<Record<string, InputBound>> = {
  'message of a request': {
    bound: [mebibyte, 'bytes'],
    async show(bound) {
      const frame = message('').length;
      const padded = (bytes: number) => `${message('A').padEnd(bytes - 1)}\n`;
      assert.ok(bound > frame);
      const { worker } = await workerOn([padded(bound), padded(bound + 1), message('B')]);
      assert.equal(await whenOut(worker, 2), 2);
      assert.deepEqual(
        worker.told('dead-lettered').map(({ error }) => error.code),
        ['request_malformed'],
      );
      worker.stop();
    },
  },
  'entries of a request that are none': {
    bound: [10_000, 'entries'],
    show(bound) {
      const parse = (bad: number) =>
        parseMarketDataRequest({ assets: [stock('A'), ...many(bad, (index) => ({ symbol: `S${index}` }))] });
      assert.equal(parse(bound).refused.length, bound);
      assert.throws(() => parse(bound + 1), coded('request_malformed'));
    },
  },
  'symbol of a request': {
    bound: [255, 'characters'],
    show(bound) {
      const parse = (length: number) => parseMarketDataRequest({ assets: [stock('S'.repeat(length)), stock('A')] });
      assert.equal(parse(bound).inputs.length, 2);
      assert.deepEqual(
        parse(bound + 1).refused.map(({ error }) => error.code),
        ['symbol_invalid'],
      );
    },
  },
  'start of a historical request': {
    bound: [1_200, 'months back'],
    show() {
      assert.equal(historical('1926-11-01').inputs.length, 1);
      assert.throws(() => historical('1926-10-31'), coded('date_invalid'));
    },
  },
  'symbols times months of a historical request': {
    bound: [3_000_000, 'months'],
    show(bound) {
      const assets = bound / 1_200;
      assert.equal(historical('1926-12-01', assets).inputs.length, assets);
      assert.throws(() => historical('1926-12-01', assets + 1), coded('request_refused'));
    },
  },
  'batch of a request': {
    bound: [10_000, 'symbols'],
    show(bound) {
      batch({ batchSize: bound });
      assert.throws(() => batch({ batchSize: bound + 1 }), coded('options_invalid'));
    },
  },
  'unanswered requests of a partition': {
    bound: [32, 'requests'],
    async show(bound) {
      const broker = openBroker();
      await send(
        broker,
        many(bound + 1, () => message('A')),
      );
      const worker = new Worker(broker, { topics: [requestTopic()] });
      assert.equal(await whenOut(worker, bound), bound);
      const [oldest] = worker.deliveries;
      assert.ok(oldest);
      await oldest.ack(completionOf(oldest));
      assert.equal(await whenOut(worker, bound + 1), bound + 1);
      worker.stop();
    },
  },
  'window of a partition': {
    bound: [1_000, 'offsets'],
    async show(bound) {
      const messages = many(bound + 1, () => message('A'));
      const { worker } = await workerOn(messages, (offset) => offset > 0);
      assert.equal(await whenOut(worker, bound), bound);
      const [oldest] = worker.deliveries;
      assert.ok(oldest);
      await oldest.ack(completionOf(oldest));
      assert.equal(await whenOut(worker, bound + 1), bound + 1);
      worker.stop();
    },
  },
  'bitmap of answered requests': {
    bound: [4_096, 'characters'],
    show(bound) {
      const encode = (last: number) => encodeAnnounced({ offset: 0n, announced: new Set([BigInt(last)]) });
      const { length } = encode(announcedSpan - 1);
      assert.ok(length <= bound && length > bound - 4);
      assert.throws(() => encode(announcedSpan), coded('options_invalid'));
    },
  },
  'batch of records, decompressed': {
    bound: [64, 'MiB'],
    async show(bound) {
      const become = async (bytes: number) => (await decompress(1, gzipSync(Buffer.alloc(bytes)))).length;
      assert.equal(await become(bound * mebibyte), bound * mebibyte);
      await assert.rejects(become(bound * mebibyte + 1), /would become more than 64 MiB/);
    },
  },
  'trace state of a record': {
    bound: [512, 'characters'],
    show(bound) {
      const traceparent = Buffer.from('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
      const passed = (length: number) => {
        const state = `a=${'x'.repeat(200)},b=${'x'.repeat(200)},c=`;
        const value = Buffer.from(state.padEnd(length, 'x'));
        return traceHeaders([
          { name: 'traceparent', value: traceparent },
          { name: 'tracestate', value },
        ]).length;
      };
      assert.deepEqual([passed(bound), passed(bound + 1)], [2, 1]);
    },
  },
  'answer of a provider': {
    bound: [4, 'MiB'],
    async show(bound) {
      assert.equal((await answer(200, bound * mebibyte)).body.length, bound * mebibyte);
      await assert.rejects(answer(200, bound * mebibyte + 1), coded('response_too_large'));
    },
  },
  'refusal of a provider': {
    bound: [16_384, 'bytes'],
    async show(bound) {
      assert.equal((await answer(400, bound)).body.length, bound);
      assert.equal((await answer(400, bound + 1)).body.length, bound);
    },
  },
  'number in an answer': {
    bound: [200, 'digits'],
    show(bound) {
      assert.equal(parseDecimal(`1e${bound - 1}`)?.length, bound);
      assert.equal(parseDecimal(`1e${bound}`), undefined);
    },
  },
  'calls that wait for credits': {
    bound: [10_000, 'calls'],
    async show(bound) {
      await using limiter = creditLimiter({ credits: 1 });
      const controller = new AbortController();
      const call = () => limiter.run({ credits: 1 }, () => new Promise(() => undefined), controller);
      const started = new Promise<void>((resolve) => {
        const stuck = () => {
          resolve();
          return Promise.resolve();
        };
        void limiter.run({ credits: 1 }, stuck, controller);
      });
      await started;
      const waiting = many(bound, call);
      await assert.rejects(call(), coded('request_refused'));
      controller.abort();
      const ends = await Promise.allSettled(waiting);
      assert.ok(ends.every((end) => end.status === 'rejected' && !coded('request_refused')(end.reason)));
    },
  },
  'unknown symbols that are remembered': {
    bound: [10_000, 'symbols'],
    show(bound) {
      const symbols = new DeadSymbols(60_000);
      const error = new PipelineError('symbol_unknown', 'unknown');
      symbols.remember(new Map(many(bound, (index) => [`S${index}`, error])));
      assert.equal(symbols.errorOf('S0'), error);
      symbols.remember(new Map([['NEW', error]]));
      assert.deepEqual([symbols.size, symbols.errorOf('S0'), symbols.errorOf('NEW')], [bound, undefined, error]);
    },
  },
  'row of a CSV file': {
    bound: [10_000, 'characters'],
    show(bound) {
      const read = (length: number) => new CsvReader('file').read('x'.repeat(length));
      assert.deepEqual(read(bound), []);
      assert.throws(() => read(bound + 1), coded('request_malformed'));
    },
  },
  'connections of an address to the HTTP port': {
    bound: [20, 'connections'],
    show: (bound) => showConnections(bound, () => '127.0.0.1'),
  },
  'connections to the HTTP port': {
    bound: [100, 'connections'],
    show: (bound) => showConnections(bound, (index) => `127.0.0.${1 + Math.floor(index / 20)}`),
  },
  'body of a request to the HTTP port': {
    bound: [0, 'bytes'],
    async show(bound) {
      await using server = await serveHttp({ host: '127.0.0.1', port: 0, pages: { '/ok': () => jsonPage(200, {}) } });
      const statusOf = async (length: number) => {
        const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
        const head = `GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`;
        socket.write(head + 'x'.repeat(length));
        const [first] = (await once(socket, 'data')) as [Buffer];
        socket.destroy();
        return first.toString().slice(9, 12);
      };
      assert.deepEqual([await statusOf(bound), await statusOf(bound + 1)], ['200', '413']);
    },
  },
};
