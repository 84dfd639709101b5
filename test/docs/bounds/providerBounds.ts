import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { creditLimiter } from '../../../src/limits/creditLimiter.ts';
import { DeadSymbols } from '../../../src/limits/fetching/deadSymbols.ts';
import { parseDecimal } from '../../../src/model/decimal.ts';
import { PipelineError } from '../../../src/model/errors.ts';
import type { Provider } from '../../../src/model/ports.ts';
import type { Asset, MarketIndex, MonthlyRange } from '../../../src/model/records.ts';
import { frankfurterMonthly } from '../../../src/providers/frankfurterMonthly.ts';
import { frankfurterQuotes } from '../../../src/providers/frankfurterQuotes.ts';
import { readJson, readShortObject } from '../../../src/providers/http/readJson.ts';
import { excerpt } from '../../../src/providers/http/refusal.ts';
import { requestText } from '../../../src/providers/http/requestText.ts';
import { headerCount, retryAfterMs } from '../../../src/providers/http/retryAfter.ts';
import { massiveMonthly } from '../../../src/providers/massiveMonthly.ts';
import { twelveDataMonthly } from '../../../src/providers/twelveDataMonthly.ts';
import { twelveDataQuotes } from '../../../src/providers/twelveDataQuotes.ts';
import { twelveDataSymbol } from '../../../src/providers/twelveData/twelveDataSymbol.ts';
import { yahooRapidApiIndexes } from '../../../src/providers/yahooRapidApiIndexes.ts';
import { coded, many, mebibyte, refused, type InputBounds } from './inputBound.ts';

const { signal } = new AbortController();
const call = { signal, report: () => undefined };

/** A `fetch` that answers with so many bytes. */
const answering =
  (bytes: number, status = 200): typeof globalThis.fetch =>
  () =>
    Promise.resolve(new Response(' '.repeat(bytes), { status }));

const bodyOf = async (bytes: number, status: number): Promise<string> =>
  (await requestText({ provider: 'p', url: 'http://p', signal, fetch: answering(bytes, status) })).body;

const asset: Asset = { symbol: 'EUR/USD', assetType: 'FOREX' };
const range: MonthlyRange = { ...asset, startDate: '2026-01-31', endDate: '2026-03-31' };

type Opened<I> = (fetch: typeof globalThis.fetch) => Provider<I, unknown>;

/** What a call comes to whose answer is so long: of a whole one that it is empty, of a longer one that it is too long. */
async function codeOf<I>(open: Opened<I>, input: I, bytes: number): Promise<string | undefined> {
  try {
    const [answer] = await open(answering(bytes)).fetch([input], call);
    return PipelineError.isInstance(answer) ? answer.code : undefined;
  } catch (error) {
    return PipelineError.from(error).code;
  }
}

async function showAnswer<I>(bound: number, input: I, ...opened: readonly Opened<I>[]): Promise<void> {
  for (const open of opened) {
    assert.notEqual(await codeOf(open, input, bound), 'response_too_large');
    assert.equal(await codeOf(open, input, bound + 1), 'response_too_large');
  }
}

/** A real answer whose status line and headers are so long. */
async function answerWithHeaders(bytes: number): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.on('connection', (socket) => {
    const frame = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \r\n\r\n'.length;
    socket.on('data', () => {
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ${'x'.repeat(bytes - frame)}\r\n\r\n{}`);
    });
  });
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    return (await requestText({ provider: 'p', url, signal })).status;
  } finally {
    server.close();
  }
}

const headers = (name: string, value: string) => new Headers({ [name]: value });
const digits = (count: number) => '9'.repeat(count);
const apiKey = 'planted-key';

export const providerBounds: InputBounds = {
  'answer of a provider': {
    bound: [4 * mebibyte, 'bytes'],
    async show(bound) {
      await showAnswer(
        bound,
        asset,
        (fetch) => twelveDataQuotes({ apiKey, fetch }),
        (fetch) => frankfurterQuotes({ fetch }),
      );
      await showAnswer(bound, range, (fetch) => massiveMonthly({ apiKey, fetch }));
      const host = 'example.com';
      const index: MarketIndex = { symbol: '^GSPC' };
      await showAnswer(bound, index, (fetch) => yahooRapidApiIndexes({ apiKey, host, fetch }));
      await refused([bound, 'bytes'], 'response_too_large', (bytes) => bodyOf(bytes, 200)).show(bound);
    },
  },
  'months in an answer of Twelve Data or Frankfurter': {
    bound: [16 * mebibyte, 'bytes'],
    show: (bound) =>
      showAnswer(
        bound,
        range,
        (fetch) => twelveDataMonthly({ apiKey, fetch }),
        (fetch) => frankfurterMonthly({ fetch }),
      ),
  },
  'headers of an answer': {
    bound: [16_384, 'bytes'],
    async show(bound) {
      // What undici counts of them is a little less.
      assert.equal(await answerWithHeaders(bound), 200);
      await assert.rejects(answerWithHeaders(bound + 200), coded('provider_unavailable'));
    },
  },
  'refusal of a provider': {
    bound: [16_384, 'bytes'],
    async show(bound) {
      for (const bytes of [bound, bound + 1]) assert.equal((await bodyOf(bytes, 400)).length, bound);
    },
  },
  'refusal that is read as JSON': {
    bound: [4_096, 'characters'],
    show(bound) {
      assert.deepEqual(readShortObject('{}'.padEnd(bound)), {});
      assert.equal(readShortObject('{}'.padEnd(bound + 1)), undefined);
    },
  },
  'text of a refusal in an error': {
    bound: [200, 'characters'],
    show(bound) {
      assert.equal(excerpt('x'.repeat(bound), []), 'x'.repeat(bound));
      assert.equal(excerpt('x'.repeat(bound + 1), []), `${'x'.repeat(bound)}...`);
    },
  },
  'values in an answer': {
    bound: [2_000_000, 'values'],
    async show(bound) {
      // The bracket stands before the first one.
      const listOf = (values: number) => `[${'1,'.repeat(values - 1)}1]`;
      assert.equal((readJson(listOf(bound)) as readonly unknown[]).length, bound);
      assert.equal(readJson(listOf(bound + 1)), undefined);
      // As many calls at once as there may be, each answered with 16 MiB of the smallest objects.
      const body = Buffer.from(`{"values":[${'{},'.repeat(5_592_000)}{}]}`);
      const provider = twelveDataMonthly({ apiKey, fetch: () => Promise.resolve(new Response(body)) });
      const malformed = () => assert.rejects(provider.fetch([range], call), coded('response_malformed'));
      await Promise.all(many(4, malformed));
    },
  },
  'number in an answer': {
    bound: [200, 'digits'],
    show(bound) {
      assert.equal(parseDecimal(`1e${bound - 1}`)?.length, bound);
      assert.equal(parseDecimal(`1e${bound}`), undefined);
    },
  },
  'seconds in `Retry-After`': {
    bound: [9, 'digits'],
    show(bound) {
      const read = (count: number) => retryAfterMs(headers('retry-after', digits(count)), 0);
      assert.deepEqual([read(bound), read(bound + 1)], [1_000 * Number(digits(bound)), undefined]);
    },
  },
  'credits in a header': {
    bound: [12, 'digits'],
    show(bound) {
      const read = (count: number) => headerCount(headers('credits', digits(count)), 'credits');
      assert.deepEqual([read(bound), read(bound + 1)], [Number(digits(bound)), undefined]);
    },
  },
  'symbol in a call to a provider': {
    bound: [40, 'characters'],
    show(bound) {
      const asked = (length: number) => twelveDataSymbol('p', { symbol: 'S'.repeat(length), assetType: 'STOCK' });
      assert.equal(asked(bound), 'S'.repeat(bound));
      assert.ok(coded('symbol_invalid')(asked(bound + 1)));
    },
  },
  'calls that wait for credits': {
    bound: [10_000, 'calls'],
    async show(bound) {
      await using limiter = creditLimiter({ credits: 1 });
      const controller = new AbortController();
      const run = () => limiter.run({ credits: 1 }, () => new Promise(() => undefined), controller);
      const started = new Promise<void>((resolve) => {
        const stuck = () => {
          resolve();
          return Promise.resolve();
        };
        void limiter.run({ credits: 1 }, stuck, controller);
      });
      await started;
      const calls = Promise.allSettled(many(bound + 1, run));
      controller.abort();
      const refusals = (await calls).map((end) => end.status === 'rejected' && coded('request_refused')(end.reason));
      assert.deepEqual([refusals.indexOf(true), refusals.lastIndexOf(true)], [bound, bound]);
    },
  },
  'calls at once to a provider': {
    bound: [4, 'calls'],
    async show(bound) {
      await using limiter = creditLimiter({ credits: 100 });
      const controller = new AbortController();
      // The first call goes alone.
      await limiter.run({ credits: 1 }, () => Promise.resolve(), controller);
      let atOnce = 0;
      const task = () =>
        new Promise<void>((end) => {
          controller.signal.addEventListener('abort', () => end());
          atOnce += 1;
        });
      const calls = Promise.allSettled(many(2 * bound, () => limiter.run({ credits: 1 }, task, controller)));
      let turns = 0;
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      for (; atOnce < bound; turns++) await turn();
      // One more would have come by then.
      for (let left = 2 * turns; left > 0; left--) await turn();
      const most = atOnce;
      controller.abort();
      await calls;
      assert.equal(most, bound);
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
};
