import { startMarketServer, twelveDataBody, unknownSymbol, type Answer, type SeenRequest } from '../marketServer.ts';

/** A call that a provider got. */
export interface ProviderCall {
  /** The number of the worker. */
  readonly worker: number;
  /** When it came, in epoch milliseconds. */
  readonly atMs: number;
  readonly symbols: readonly string[];
}

export interface PriceServers extends AsyncDisposable {
  /** Where each worker finds all of its providers, on the loopback interface. */
  readonly ports: readonly number[];
  readonly calls: readonly ProviderCall[];
  /** How long an answer takes, in milliseconds: 20, unless a test changes it. */
  latencyMs: number;
  /** Calls for any of these symbols are answered only then. */
  held: { readonly symbols: readonly string[]; readonly until: Promise<void> } | undefined;
}

export interface PriceServersOptions {
  readonly workers: number;
  /** Told once the answer to a worker is out. */
  readonly onAnswered?: ((worker: number) => void) | undefined;
}

/** The price of a symbol, the same whenever it is asked for. */
export function priceOf(symbol: string): string {
  let mixed = 7;
  for (const letter of symbol) mixed = (mixed * 31 + letter.charCodeAt(0)) % 99_991;
  return `${mixed + 1}.${String((mixed * 7) % 100).padStart(2, '0')}`;
}

/** Symbols that no provider knows end so. */
export const isUnknown = (symbol: string): boolean => symbol.endsWith('X');

/** The providers, one server for each worker, so that it is known who called. */
export async function startPriceServers(options: PriceServersOptions): Promise<PriceServers> {
  const { workers, onAnswered } = options;
  const conditions: Pick<PriceServers, 'latencyMs' | 'held'> = { latencyMs: 20, held: undefined };
  const calls: ProviderCall[] = [];
  const start = (worker: number) =>
    startMarketServer(
      async (request) => {
        calls.push({ worker, atMs: Date.now(), symbols: request.symbols });
        const { latencyMs, held } = conditions;
        if (request.symbols.some((symbol) => held?.symbols.includes(symbol))) await held?.until;
        await new Promise((resolve) => setTimeout(resolve, latencyMs));
        return answerTo(request);
      },
      () => onAnswered?.(worker),
    );
  const servers = await Promise.all(Array.from({ length: workers }, (_, worker) => start(worker)));
  return Object.assign(conditions, {
    ports: servers.map(({ baseUrl }) => Number(new URL(baseUrl).port)),
    calls,
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  });
}

function answerTo({ url, symbols }: SeenRequest): Answer {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  if (pathname === '/quote') return { body: twelveDataBody(symbols, quoteOf) };
  if (pathname === '/time_series') {
    const months = monthsFrom(searchParams.get('start_date') ?? '', searchParams.get('end_date') ?? '');
    return { body: twelveDataBody(symbols, (symbol) => seriesOf(symbol, months)) };
  }
  return { body: indexesOf(symbols) };
}

function quoteOf(symbol: string): object {
  if (isUnknown(symbol)) return unknownSymbol;
  const close = priceOf(symbol);
  return { symbol, close, change: '1.00', percent_change: '0.50', high: close, low: close };
}

function seriesOf(symbol: string, months: readonly string[]): object {
  if (isUnknown(symbol)) return unknownSymbol;
  const values = months.map((datetime) => ({ datetime, close: priceOf(symbol + datetime) }));
  return { meta: { symbol, interval: '1month', currency: 'USD' }, values, status: 'ok' };
}

/** The first days of the months, the last one first, as the provider answers them. */
export function monthsFrom(start: string, end: string): string[] {
  const months: string[] = [];
  const [year = 0, month = 0] = start.split('-').map(Number);
  for (let at = new Date(Date.UTC(year, month - 1, 1)); ; at.setUTCMonth(at.getUTCMonth() + 1)) {
    const text = at.toISOString().slice(0, 10);
    if (text > end || months.length > 1_000) return months.reverse();
    months.push(text);
  }
}

function indexesOf(symbols: readonly string[]): string {
  const results = symbols
    .filter((symbol) => !isUnknown(symbol))
    .map((symbol) => {
      const price = priceOf(symbol);
      return `{"symbol":"${symbol}","quoteType":"INDEX","regularMarketPrice":${price},"regularMarketChange":1.5,"regularMarketChangePercent":0.25,"regularMarketDayHigh":${price},"regularMarketDayLow":${price}}`;
    });
  return `{"quoteResponse":{"result":[${results.join(',')}],"error":null}}`;
}
