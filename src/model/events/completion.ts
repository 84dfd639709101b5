import { z } from 'zod';
import { errorCodes, type ErrorCode } from '../errors.ts';
import type { Stage, SkipReason } from '../outcome.ts';
import type { HistoricalMarketDataCompleted } from './historicalMarketDataCompleted.ts';
import type { MarketDataCompleted } from './marketDataCompleted.ts';
import type { MarketIndexDataCompleted } from './marketIndexDataCompleted.ts';

/** `complete`: nothing failed. `partial`: some failed or were skipped. `failed`: nothing could be served. */
export type CompletionStatus = 'complete' | 'partial' | 'failed';

/** The answer to a request, in the words of the wire; `serializeEvent` writes it. */
export type CompletionEvent = MarketDataCompleted | MarketIndexDataCompleted | HistoricalMarketDataCompleted;

/** A symbol that could not be served, and why. */
export interface FailedEntry {
  readonly symbol: string;
  readonly asset_type?: string | undefined;
  readonly stage: Stage;
  /** The stable code of the error. */
  readonly reason: ErrorCode;
  readonly message: string;
}

/** A symbol that was never tried, and why. */
export interface SkippedEntry {
  readonly symbol: string;
  readonly asset_type?: string | undefined;
  readonly reason: SkipReason;
  /** For `quota`: when it comes back, where that is known; ISO 8601 in UTC. */
  readonly until?: string | undefined;
}

/** What every completion event has. */
export interface CompletionFields {
  readonly status: CompletionStatus;
  readonly totalBatches: number;
  /** Committed database transactions. */
  readonly totalTransactions: number;
  /** From accepting the request to the last committed row. */
  readonly processingTimeMs: number;
  readonly failed: readonly FailedEntry[];
  readonly skipped: readonly SkippedEntry[];
  readonly account_id?: string | undefined;
  readonly accountId?: string | undefined;
  /** The client's own id of the request, else the ledger's key of it. */
  readonly requestId: string;
  /** Of an event sent in parts: the number of this one, from 1, and how many there are. */
  readonly part?: number | undefined;
  readonly parts?: number | undefined;
  /** When nothing could be served: the first reason, for people. */
  readonly error?: string | undefined;
  /** Its stable code. */
  readonly errorType?: ErrorCode | undefined;
  /** The batch it happened in, `<requestId>#<number>`. */
  readonly batchId?: string | undefined;
  /** The number of that batch, from 1; 0 when the request failed before its first batch. */
  readonly failedBatch?: number | undefined;
}

const count = z.int().min(0);

/** Reads an entry of an event's `failed`: the input, and where, how and why it failed. */
export const failedEntrySchema = z.object({
  symbol: z.string(),
  asset_type: z.string().optional(),
  stage: z.enum(['validate', 'fetch', 'write']),
  reason: z.enum(errorCodes),
  message: z.string(),
});

/** Reads an entry of an event's `skipped`: the input, and why it was never tried. */
export const skippedEntrySchema = z.object({
  symbol: z.string(),
  asset_type: z.string().optional(),
  reason: z.enum(['quota', 'deadline', 'canceled']),
  until: z.iso.datetime().optional(),
});

/** A price as an event carries it: decimal text in memory, a JSON number with the same digits on the wire. */
export const decimalSchema = z.string().regex(/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/);

export const completionFields = {
  status: z.enum(['complete', 'partial', 'failed']),
  totalBatches: count,
  totalTransactions: count,
  processingTimeMs: count,
  failed: z.array(failedEntrySchema),
  skipped: z.array(skippedEntrySchema),
  account_id: z.string().optional(),
  accountId: z.string().optional(),
  requestId: z.string(),
  part: z.int().min(1).optional(),
  parts: z.int().min(1).optional(),
  error: z.string().optional(),
  errorType: z.enum(errorCodes).optional(),
  batchId: z.string().optional(),
  failedBatch: count.optional(),
};

/** An asset as events name it: under both names of its type, because the backend reads both. */
export interface AssetEntry {
  readonly symbol: string;
  readonly asset_type: string;
  readonly assetType: string;
}

export const assetEntryFields = { symbol: z.string(), asset_type: z.string(), assetType: z.string() };
