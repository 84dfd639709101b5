import { z } from 'zod';
import { callback, defineOptions } from '../../model/defineOptions.ts';
import { apiKeyCheck, baseUrlCheck } from '../http/baseUrl.ts';

/** The most symbols in one request that Twelve Data documents. */
const documentedMaximum = 120;

export interface TwelveDataOptions {
  /** The API key. It travels in a header, never in a URL, and appears in no error. */
  apiKey: string;
  /** Where the API is, without the path. Default: `https://api.twelvedata.com`. */
  baseUrl?: string | undefined;
  /** The endpoint's path. Default: `/quote` for quotes, `/time_series` for months. */
  path?: string | undefined;
  /** What sends the requests, with the signature of the global `fetch`. Default: the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Most symbols in one request, at most 120, the documented maximum. Default: 120. */
  maxBatchSize?: number | undefined;
  /** Longest response in bytes; a longer one is cut off and fails the call. Default: 4 MiB for quotes, 16 MiB for months. */
  maxResponseBytes?: number | undefined;
  /** The current time in milliseconds since 1970, to know when the next minute or day begins. Default: Date.now. */
  now?: (() => number) | undefined;
}

/** The options with the defaults filled in. */
export interface ResolvedTwelveDataOptions {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly path: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly maxBatchSize: number;
  readonly maxResponseBytes: number;
  readonly now: () => number;
}

/** Checks the options of an endpoint with these defaults. */
export function twelveDataOptions(
  owner: string,
  defaults: { readonly path: string; readonly maxResponseBytes: number },
): (options: TwelveDataOptions) => ResolvedTwelveDataOptions {
  return defineOptions<TwelveDataOptions>(owner)({
    apiKey: apiKeyCheck,
    baseUrl: baseUrlCheck.default('https://api.twelvedata.com'),
    path: z.string().default(defaults.path),
    fetch: callback<typeof globalThis.fetch>().optional(),
    maxBatchSize: z.int().min(1).max(documentedMaximum).default(documentedMaximum),
    maxResponseBytes: z.int().min(1).default(defaults.maxResponseBytes),
    now: callback<() => number>().default(() => Date.now),
  });
}
