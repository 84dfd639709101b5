import { z } from 'zod';
import { callback } from '../../model/defineOptions.ts';
import { baseUrlCheck } from '../http/baseUrl.ts';

export interface FrankfurterOptions {
  /** Where the API is, without the path: a Frankfurter of your own, for instance. Default: `https://api.frankfurter.dev`. */
  baseUrl?: string | undefined;
  /**
   * The central banks whose rates to take, by Frankfurter's codes, such as `ECB`. Default: all that Frankfurter knows,
   * blended to one rate.
   */
  sources?: readonly string[] | undefined;
  /** What sends the requests, with the signature of the global `fetch`. Default: the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Most pairs in one call, which sends one request for each base currency among them. Default: 30. */
  maxBatchSize?: number | undefined;
  /** Longest response in bytes; a longer one is cut off and fails the call. Default: 4 MiB for quotes, 16 MiB for months. */
  maxResponseBytes?: number | undefined;
  /** The current time in milliseconds since 1970, to know from which day to ask. Default: Date.now. */
  now?: (() => number) | undefined;
}

/** The options with the defaults filled in. */
export interface ResolvedFrankfurterOptions {
  readonly baseUrl: string;
  readonly sources?: readonly string[] | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly maxBatchSize: number;
  readonly maxResponseBytes: number;
  readonly now: () => number;
}

/** The checks of what both endpoints have in common. */
export const frankfurterChecks = {
  baseUrl: baseUrlCheck.default('https://api.frankfurter.dev'),
  sources: z
    .array(z.string().regex(/^[a-z0-9._-]{1,20}$/i, { error: 'expected a code such as ECB' }))
    .min(1)
    .optional(),
  fetch: callback<typeof globalThis.fetch>().optional(),
  maxBatchSize: z.int().min(1).max(200).default(30),
  now: callback<() => number>().default(() => Date.now),
} as const;
