import type { Outcome, PendingOutcome } from './outcome.ts';

/** The rows a batch wrote and the database transactions it committed. */
export interface WriteCounts {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly transactions: number;
}

/** One request to a provider, as the fetch stage saw it. */
export interface ProviderCall {
  readonly provider: string;
  /** How many inputs it asked for, also of other batches of the request that came along: only this one is told of it. */
  readonly inputs: number;
  /** How many credits it cost. */
  readonly credits: number;
  readonly durationMs: number;
  /** `ok`, or the code of the error that ended it. */
  readonly result: string;
}

/** How long each stage worked on a batch, queues between the stages left out. */
export interface BatchDurations {
  readonly planMs?: number | undefined;
  /** Waiting for credits included. */
  readonly fetchMs?: number | undefined;
  readonly writeMs?: number | undefined;
}

/** A group of inputs on its way: the unit of transaction, checkpoint, metric and progress. */
export interface Batch<I, T> {
  /** Its number within the request, from 0; -1 for what was refused at acceptance, which no stage but `observe` sees. */
  readonly index: number;
  /** The ledger key of its request, when it has one. */
  readonly request?: string | undefined;
  /** One outcome per input, in the order of the inputs. */
  readonly outcomes: readonly (Outcome<I, T> | PendingOutcome<I>)[];
  /** The provider calls made for it so far. */
  readonly calls?: readonly ProviderCall[] | undefined;
  /** Set once it is stored. */
  readonly written?: WriteCounts | undefined;
  readonly durations?: BatchDurations | undefined;
}

/** The batch's processing time: planning, fetching and writing. */
export function batchMs({ durations }: Pick<Batch<unknown, unknown>, 'durations'>): number {
  return (durations?.planMs ?? 0) + (durations?.fetchMs ?? 0) + (durations?.writeMs ?? 0);
}

/**
 * What was canceled, or could not be planned because the database was away, is to be done by whoever takes the request up
 * again: the ledger must not know the batch.
 */
export function isUnfinished({ outcomes }: Pick<Batch<unknown, unknown>, 'outcomes'>): boolean {
  return outcomes.some((outcome) => {
    switch (outcome.status) {
      case 'pending':
        return true;
      case 'skipped':
        return outcome.reason === 'canceled';
      case 'failed':
        return outcome.error.code === 'database_unavailable';
      default:
        return false;
    }
  });
}
