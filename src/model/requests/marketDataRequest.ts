import { z } from 'zod';
import type { Asset } from '../records.ts';
import { assetFields, readAssets } from './assetEntries.ts';
import { readEcho, readMessage, type Request, type RequestMessage } from './request.ts';

/** A request for the current prices of assets. */
export interface MarketDataRequest extends Request<Asset> {
  readonly pipeline: 'market-data';
}

/** The message of a market data request. Its entries are read one by one: see `assetEntrySchema`. */
export const marketDataRequestSchema = z.object(assetFields);

/**
 * Reads a market data request: `{"assets":[{"symbol":"AAPL","asset_type":"STOCK"}]}`, or
 * `{"symbols":["AAPL"],"assetType":"STOCK"}`, each with an optional `accountId` or `account_id` and `requestId`.
 *
 * Unknown fields are ignored, duplicates merged; a bad entry is refused alone. Throws a `RequestError` when the message
 * as a whole is no request.
 *
 * @example
 * ```ts
 * import { parseMarketDataRequest } from 'fintrack-pipelines';
 *
 * const { inputs, refused } = parseMarketDataRequest(
 *   '{"assets":[{"symbol":"AAPL","asset_type":"STOCK"},{"symbol":"AAPL","asset_type":"STOCK"},{"symbol":"MSFT"}]}',
 * );
 * console.log(inputs);
 * // [ { symbol: 'AAPL', assetType: 'STOCK' } ]
 * console.log(refused[0]?.error.message);
 * // MSFT: asset_type: expected one of STOCK, CRYPTO, FOREX, COMMODITY, got nothing
 * ```
 */
export function parseMarketDataRequest(message: RequestMessage): MarketDataRequest {
  const body = readMessage(marketDataRequestSchema, message);
  return { pipeline: 'market-data', ...readAssets(body), ...readEcho(body) };
}
