import { z } from 'zod';
import { callback } from '../../model/defineOptions.ts';
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

export interface TwelveDataMonthlyOptions extends TwelveDataOptions {
  /**
   * Most months in one request, at most 5000, the documented maximum of points; a longer range is asked for in several, and
   * costs each symbol a credit for each. Default: 5000.
   */
  maxMonthsPerCall?: number | undefined;
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

/** The checks of what both endpoints have in common. */
export const twelveDataChecks = {
  apiKey: apiKeyCheck,
  baseUrl: baseUrlCheck.default('https://api.twelvedata.com'),
  fetch: callback<typeof globalThis.fetch>().optional(),
  maxBatchSize: z.int().min(1).max(documentedMaximum).default(documentedMaximum),
  now: callback<() => number>().default(() => Date.now),
} as const;
