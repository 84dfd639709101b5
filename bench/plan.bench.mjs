/**
 * The time that `plan` promises, against the time that the run then takes: on the real clock, over real HTTP on loopback,
 * at windows short enough to wait for. The server answers after 5 to 15 ms, of which a limiter that has not asked yet
 * knows nothing. A first run warms the process up: its first request takes 300 ms longer than the others, which would be
 * more than a twentieth of the few seconds here. Exit code 1 when a promise is off by more than 5 %.
 */
import { createServer } from 'node:http';
import { once } from 'node:events';
import { lastValueFrom } from 'rxjs';
import {
  creditLimiter,
  fromRequest,
  limited,
  marketData,
  memorySink,
  parseMarketDataRequest,
  plan,
  twelveDataQuotes,
} from 'fintrack-pipelines';

const mostOff = 0.05;
const cases = [
  { symbols: 40, credits: 8, windowMs: 1_000 },
  { symbols: 110, credits: 20, windowMs: 1_500 },
  { symbols: 40, credits: 8, windowMs: 1_000, fresh: 16 },
  { symbols: 40, credits: 8, windowMs: 500, windows: [{ credits: 16, windowMs: 2_000 }] },
];

const quote = (symbol) => ({
  symbol,
  close: '228.34',
  change: '2.47',
  percent_change: '1.09',
  high: '229.12',
  low: '225.1',
});
const server = createServer((request, response) => {
  const symbols = new URL(request.url, 'http://localhost').searchParams.get('symbol').split(',');
  const body =
    symbols.length === 1 ? quote(symbols[0]) : Object.fromEntries(symbols.map((symbol) => [symbol, quote(symbol)]));
  setTimeout(
    () => response.setHeader('content-type', 'application/json').end(JSON.stringify(body)),
    5 + Math.random() * 10,
  );
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const baseUrl = `http://127.0.0.1:${server.address().port}`;

const requestOf = (count) =>
  parseMarketDataRequest({
    assets: Array.from({ length: count }, (_, index) => ({ symbol: `S${index}`, asset_type: 'STOCK' })),
  });

const fetcherOf = (limits) => limited(twelveDataQuotes({ apiKey: 'key', baseUrl }), creditLimiter(limits));
const run = (count, fetcher, sink) => lastValueFrom(fromRequest(requestOf(count)).pipe(marketData({ fetcher, sink })));

async function measure({ symbols, fresh = 0, ...limits }) {
  const sink = memorySink();
  await run(fresh, fetcherOf({ credits: Infinity }), sink);
  const fetcher = fetcherOf(limits);
  const startedAt = Date.now();
  const { doneAt, calls, toFetch } = await plan(requestOf(symbols), { fetcher, sink });
  const { status } = await run(symbols, fetcher, sink);
  const tookMs = Date.now() - startedAt;
  const plannedMs = doneAt.getTime() - startedAt;
  const off = Math.abs(plannedMs - tookMs) / tookMs;
  const window = [limits, ...(limits.windows ?? [])]
    .map(({ credits, windowMs }) => `${credits} in ${windowMs} ms`)
    .join(', ');
  console.log(
    `${toFetch} of ${symbols} symbols on ${window}: ${calls} calls, planned ${plannedMs} ms, took ${tookMs} ms, ` +
      `off by ${(off * 100).toFixed(1)} %`,
  );
  if (status !== 'complete' || off > mostOff) process.exitCode = 1;
}

try {
  await run(100, fetcherOf({ credits: Infinity }), memorySink());
  for (const each of cases) await measure(each);
} finally {
  server.close();
  server.closeAllConnections();
}
