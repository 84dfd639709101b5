import { z } from 'zod';
import type { MarketIndex } from '../records.ts';
import {
  echoFields,
  readEcho,
  readEntries,
  readMessage,
  readSymbol,
  type Request,
  type RequestMessage,
} from './request.ts';

/** A request for the current values of indexes. */
export interface MarketIndexDataRequest extends Request<MarketIndex> {
  readonly pipeline: 'market-index-data';
}

/** The message of an index request. Its entries are read one by one: see `symbolSchema`. */
export const marketIndexDataRequestSchema = z.object({
  symbols: z.array(z.unknown(), { error: 'expected a list' }),
  ...echoFields,
});

/**
 * Reads an index request: `{"symbols":["^GSPC","GC=F"]}`, with an optional `accountId` or `account_id` and `requestId`.
 *
 * Unknown fields are ignored, duplicates merged; a bad entry is refused alone. Throws a `RequestError` when the message
 * as a whole is no request.
 *
 * @example
 * ```ts
 * import { parseMarketIndexDataRequest } from 'fintrack-pipelines';
 *
 * console.log(parseMarketIndexDataRequest({ symbols: ['^GSPC', '^GSPC', 'GC=F'] }).inputs);
 * // [ { symbol: '^GSPC' }, { symbol: 'GC=F' } ]
 * ```
 */
export function parseMarketIndexDataRequest(message: RequestMessage): MarketIndexDataRequest {
  const body = readMessage(marketIndexDataRequestSchema, message);
  return { pipeline: 'market-index-data', ...readEntries(body.symbols, readSymbol), ...readEcho(body) };
}
