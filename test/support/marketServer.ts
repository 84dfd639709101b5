import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server saw of one request. */
export interface SeenRequest {
  /** The path and query as they were on the wire. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly symbols: readonly string[];
}

export interface MarketServer extends AsyncDisposable {
  readonly baseUrl: string;
  readonly requests: readonly SeenRequest[];
  /** How many connections were opened. */
  readonly connections: () => number;
}

/** The answer to one request: a body, and a status where it is not 200. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}

/** A real HTTP server on loopback in the place of a market-data API; `onAnswered` is told once an answer is out. */
export async function startMarketServer(
  answer: (request: SeenRequest) => Answer | Promise<Answer>,
  onAnswered: (request: SeenRequest) => void = () => undefined,
): Promise<MarketServer> {
  const requests: SeenRequest[] = [];
  let connections = 0;

  async function respond(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = message.url ?? '';
    const query = new URL(url, 'http://localhost').searchParams;
    const symbols = (query.get('symbol') ?? query.get('symbols') ?? '').split(',');
    const request = { url, headers: message.headers, symbols };
    requests.push(request);
    const { status = 200, headers = {}, body } = await answer(request);
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body), () => onAnswered(request));
  }

  const server = createServer((message, response) => void respond(message, response));
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    baseUrl: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    requests,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export const unknownSymbol = {
  code: 404,
  message: '**symbol** or **figi** parameter is missing or invalid. Please provide a valid symbol',
  status: 'error',
};

/** Answers as Twelve Data does: one symbol flat, several keyed by symbol, unknown ones as errors among them. */
export function twelveDataBody(symbols: readonly string[], bodyOf: (symbol: string) => object): object {
  const [first = ''] = symbols;
  if (symbols.length === 1) return bodyOf(first);
  return Object.fromEntries(symbols.map((symbol) => [symbol, bodyOf(symbol)]));
}

export function quoteBody(symbol: string, close = '228.34000'): object {
  return { symbol, close, change: '2.47000', percent_change: '1.09355', high: '229.12000', low: '225.10000' };
}

export function seriesBody(symbol: string, months: readonly string[]): object {
  const values = months.map((datetime) => ({ datetime, open: '1', high: '2', low: '1', close: '1.50', volume: '9' }));
  return { meta: { symbol, interval: '1month', currency: 'USD' }, values, status: 'ok' };
}

/** Answers as Yahoo through RapidAPI does: prices are numbers, unknown symbols are left out. */
export function yahooBody(symbols: readonly string[]): string {
  const results = symbols.map(
    (symbol) =>
      `{"symbol":"${symbol}","quoteType":"INDEX","regularMarketPrice":4099.380,"regularMarketChange":38.159912,` +
      `"regularMarketChangePercent":0.9396169,"regularMarketDayHigh":4099.43,"regularMarketDayLow":4084.73}`,
  );
  return `{"quoteResponse":{"result":[${results.join(',')}],"error":null}}`;
}
