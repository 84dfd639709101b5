import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { PipelineError, ProviderError } from '../model/errors.ts';
import type { Provider, QuotaSeen } from '../model/ports.ts';
import type { IndexQuote, MarketIndex } from '../model/records.ts';
import { answersOther, namesNothing } from './answersOther.ts';
import { apiKeyCheck, baseUrlCheck, endpointUrl, hostToBaseUrl } from './http/baseUrl.ts';
import { refusalError } from './http/refusal.ts';
import { requestText } from './http/requestText.ts';
import { headerCount } from './http/retryAfter.ts';
import { isListable, refusedSymbol, symbolList } from './http/symbolList.ts';
import { matchAnswers, type MatchedAnswers } from './matchAnswers.ts';
import { readDecimals, type JsonRecord } from './readDecimals.ts';
import { readYahooRecords } from './yahooRapidApi/readYahooRecords.ts';

export interface YahooRapidApiOptions {
  /** The RapidAPI key. It travels in a header, never in a URL, and appears in no error. */
  apiKey: string;
  /** The API's host at RapidAPI, for its header and, without `baseUrl`, for the address; `https://` may stand before it. */
  host: string;
  /** Where the API is, without the path. Default: `https://` and the host. */
  baseUrl?: string | undefined;
  /** The endpoint's path. Default: `/market/v2/get-quotes`. */
  path?: string | undefined;
  /** The market region to ask in. Default: `US`. */
  region?: string | undefined;
  /** What sends the requests, with the signature of the global `fetch`. Default: the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Most symbols in one request; the provider documents no maximum. Default: 50. */
  maxBatchSize?: number | undefined;
  /** Longest response in bytes; a longer one is cut off and fails the call. Default: 4 MiB. */
  maxResponseBytes?: number | undefined;
  /** The current time in milliseconds since 1970, to read a date in `Retry-After`. Default: Date.now. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<YahooRapidApiOptions>('yahooRapidApiIndexes')({
  apiKey: apiKeyCheck,
  host: z.string().min(1),
  baseUrl: baseUrlCheck.optional(),
  path: z.string().default('/market/v2/get-quotes'),
  region: z.string().min(1).default('US'),
  fetch: callback<typeof globalThis.fetch>().optional(),
  maxBatchSize: z.int().min(1).max(500).default(50),
  maxResponseBytes: z
    .int()
    .min(1)
    .default(4 * 1024 * 1024),
  now: callback<() => number>().default(() => Date.now),
});

const providerName = 'yahoo-rapidapi';

/** `000001.SS` is an index in Shanghai. */
const exchangeSign = '.';

const fields = {
  price: { key: 'regularMarketPrice' },
  priceChange: { key: 'regularMarketChange', signed: true },
  percentChange: { key: 'regularMarketChangePercent', signed: true },
  priceHigh: { key: 'regularMarketDayHigh' },
  priceLow: { key: 'regularMarketDayLow' },
} as const;

/**
 * Current values of market indexes and futures from Yahoo Finance through RapidAPI: one request, and one call of the
 * plan, for up to 50 symbols.
 *
 * Values keep the digits of the provider's JSON numbers. A symbol that is left out, without type or without a proper
 * value fails alone; a refusal of the call rejects it, with a `RateLimitError` for the rate per second and the code
 * `quota_exhausted` for the month's. Aborting the signal drops the request.
 *
 * @example
 * ```ts
 * import { yahooRapidApiIndexes } from 'fintrack-pipelines';
 *
 * // Stands in for the network here; leave it out to ask RapidAPI.
 * const fetch = async () =>
 *   new Response(
 *     '{"quoteResponse":{"result":[{"symbol":"^GSPC","quoteType":"INDEX","regularMarketPrice":4099.380,"regularMarketChange":38.159912,' +
 *       '"regularMarketChangePercent":0.9396169,"regularMarketDayHigh":4099.43,"regularMarketDayLow":4084.73}],"error":null}}',
 *   );
 * const provider = yahooRapidApiIndexes({ apiKey: 'your-key', host: 'yahoo.example.com', fetch });
 *
 * const call = { signal: new AbortController().signal, report: () => {} };
 * const [quote] = await provider.fetch([{ symbol: '^GSPC' }], call);
 * console.log(quote);
 * // {
 * //   symbol: '^GSPC',
 * //   price: '4099.380',
 * //   priceChange: '38.159912',
 * //   percentChange: '0.9396169',
 * //   priceHigh: '4099.43',
 * //   priceLow: '4084.73'
 * // }
 * ```
 */
export function yahooRapidApiIndexes(options: YahooRapidApiOptions): Provider<MarketIndex, IndexQuote> {
  const { apiKey, host, path, region, fetch, maxBatchSize, maxResponseBytes, now } = resolveOptions(options);
  const hostUrl = hostToBaseUrl(host);
  const endpoint = endpointUrl(options.baseUrl ?? hostUrl, path);
  const headers = { 'x-rapidapi-key': apiKey, 'x-rapidapi-host': new URL(hostUrl).host };

  return {
    name: providerName,
    maxBatchSize,
    cost: (indexes) => Math.min(1, indexes.length),
    async fetch(indexes, call) {
      call.signal.throwIfAborted();
      const wanted = [...new Set(indexes.map(({ symbol }) => symbol).filter(isListable))];
      if (wanted.length === 0) return indexes.map(({ symbol }) => refusedSymbol(providerName, symbol));
      const response = await requestText({
        provider: providerName,
        url: `${endpoint}?region=${encodeURIComponent(region)}&symbols=${symbolList(wanted)}`,
        headers,
        maxResponseBytes,
        signal: call.signal,
        fetch,
        onHeaders: (seen) => {
          reportQuota(seen, call);
        },
      });
      const records = readYahooRecords(response, now());
      if ('code' in records) throw refusalError(providerName, records, [apiKey]);
      const matched = matchAnswers(wanted, records.bySymbol, exchangeSign);
      return indexes.map((index) => readIndex(index, { ...records, matched }));
    },
  };
}

/** The plan's quota, of a month or a day; the cap per second is in no header. */
function reportQuota(headers: Headers, call: { report(seen: QuotaSeen): void }): void {
  const [limit, left, reset] = ['limit', 'remaining', 'reset'].map((name) =>
    headerCount(headers, `x-ratelimit-requests-${name}`),
  );
  if (left === undefined) return;
  const used = limit === undefined ? undefined : Math.max(0, limit - left);
  call.report({ used, left, resetMs: reset === undefined ? undefined : reset * 1000 });
}

interface Found {
  readonly matched: MatchedAnswers<JsonRecord>;
  readonly someUnnamed: boolean;
}

function readIndex({ symbol }: MarketIndex, found: Found): IndexQuote | ProviderError {
  if (!isListable(symbol)) return refusedSymbol(providerName, symbol);
  const record = found.matched.of(symbol);
  if (record === undefined || record['quoteType'] === 'NONE')
    return absent(symbol, record === undefined ? found : undefined);
  const decimals = readDecimals(`${providerName}: ${symbol}`, record, fields);
  return PipelineError.isInstance(decimals) ? decimals : { symbol, ...decimals };
}

/** Yahoo leaves out what it does not know; but what is in its place, if anything is, says something else. */
function absent(symbol: string, instead: Found | undefined): ProviderError {
  const subject = `${providerName}: ${symbol}`;
  const [other] = instead?.matched.others ?? [];
  if (other !== undefined) return answersOther(subject, symbol, other);
  if (instead?.someUnnamed === true) return namesNothing(subject, 'symbol');
  return new ProviderError('symbol_unknown', `${subject}: unknown symbol`);
}
