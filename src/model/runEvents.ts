import type { ProviderCall, WriteCounts } from './batch.ts';
import type { CompletionStatus } from './events/completion.ts';
import type { OutcomeCounts } from './outcome.ts';

interface OfBatch {
  /** The ledger key of the request, when there is one. */
  readonly request?: string | undefined;
  /** The number of the batch, from 0. */
  readonly batch: number;
}

/** What happens during a run, as it happens. The library prints nothing: whoever wants to see it, subscribes. */
export type RunEvent =
  | ({ readonly type: 'batch-started'; readonly inputs: number } & OfBatch)
  | ({
      readonly type: 'waiting';
      readonly until: Date;
      /** How many credits it waits for, where the fetcher says so. */
      readonly credits?: number | undefined;
      /** Inputs of the batch that are not fetched yet. */
      readonly pending: number;
    } & OfBatch)
  | ({ readonly type: 'provider-call'; readonly call: ProviderCall } & OfBatch)
  | ({
      readonly type: 'batch-done';
      readonly counts: OutcomeCounts;
      readonly written: WriteCounts;
      readonly processingTimeMs: number;
    } & OfBatch)
  /** Of a request that several workers share: this batch, by whomever, is in the ledger, and counts to the answer. */
  | ({ readonly type: 'batch-stored'; readonly counts: OutcomeCounts } & OfBatch)
  | {
      readonly type: 'request-done';
      readonly request: string;
      readonly status: CompletionStatus;
      readonly processingTimeMs: number;
    };

/**
 * Takes the events of a run. An RxJS `Subject<RunEvent>` is one.
 *
 * @example
 * ```ts
 * import { from, Subject } from 'rxjs';
 * import { batch, limited, creditLimiter, recordedQuotes, throttledFetch, type Asset, type RunEvent } from 'fintrack-pipelines';
 *
 * const events = new Subject<RunEvent>();
 * events.subscribe(({ type }) => console.log(type));
 * const fetcher = limited(recordedQuotes(), creditLimiter({ credits: 8 }));
 * from<Asset[]>([{ symbol: 'AAPL', assetType: 'STOCK' }])
 *   .pipe(batch(), throttledFetch({ fetcher, events }))
 *   .subscribe();
 * // batch-started
 * // provider-call
 * ```
 */
export interface RunObserver {
  next(event: RunEvent): void;
}
