import { z } from 'zod';

/** How far a request is: one event per batch. */
export interface ProgressEvent {
  readonly requestId: string;
  /** The number of the batch that is done, from 1. */
  readonly batch: number;
  /** Missing when the number of batches is not known. */
  readonly totalBatches?: number | undefined;
  /** Assets of the batch that were written or confirmed fresh. */
  readonly ok: number;
  /** Assets of the batch that failed or were skipped. */
  readonly failed: number;
  /** Since the request was accepted. */
  readonly elapsedMs: number;
  /** Until the last batch, at the speed so far. Missing when the number of batches is not known. */
  readonly etaMs?: number | undefined;
}

/** The schema of `ProgressEvent`. */
export const progressEventSchema = z.object({
  requestId: z.string(),
  batch: z.int().min(1),
  totalBatches: z.int().min(0).optional(),
  ok: z.int().min(0),
  failed: z.int().min(0),
  elapsedMs: z.int().min(0),
  etaMs: z.int().min(0).optional(),
}) satisfies z.ZodType<ProgressEvent>;
