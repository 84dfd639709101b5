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
  /**
   * Until the last batch: by the limiter's forecast when the request has to wait for credits, otherwise at the speed so far.
   * Missing when the number of batches is not known.
   */
  readonly etaMs?: number | undefined;
  /** When the request waits for credits: the time it expects to go on, as ISO 8601 in UTC. */
  readonly waitingUntil?: string | undefined;
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
  waitingUntil: z.iso.datetime().optional(),
}) satisfies z.ZodType<ProgressEvent>;
