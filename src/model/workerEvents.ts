import type { PipelineError } from './errors.ts';
import type { CompletionStatus, FailedEntry } from './events/completion.ts';
import type { RecordPosition, TopicPartition } from './recordPorts.ts';

/** What happens to the requests of a worker, as it happens: for logs, metrics and tests. `key` is a ledger key. */
export type WorkerEvent =
  /** A partition is this worker's; `offset` is the oldest open record, `announced` counts those after it that are done. */
  | {
      readonly type: 'partition-owned';
      readonly place: TopicPartition;
      readonly offset: bigint;
      readonly announced: number;
    }
  /** It is not any more; what was open in it is given up here, and goes on where it is now. */
  | { readonly type: 'partition-lost'; readonly place: TopicPartition; readonly open: number }
  /** It cannot be owned, or nothing announced in it, for now: that is tried again after the delay, without end. */
  | {
      readonly type: 'partition-waiting';
      readonly place: TopicPartition;
      readonly error: PipelineError;
      readonly delayMs: number;
    }
  /** It is held by what cannot be decoded: nothing after it is read, and all other partitions go on. */
  | { readonly type: 'partition-held'; readonly place: RecordPosition; readonly error: PipelineError }
  /** It is not held any more: it goes on, or it is another worker's now. */
  | { readonly type: 'partition-released'; readonly place: TopicPartition; readonly isLost: boolean }
  /** The group was lost, and is joined again. */
  | { readonly type: 'interrupted'; readonly error: PipelineError }
  | {
      readonly type: 'request-accepted';
      readonly key: string;
      readonly place: RecordPosition;
      readonly inputs: number;
      readonly batches: number;
      /** Batches that the ledger had already: the request was interrupted before. */
      readonly storedBatches?: number | undefined;
      /** Whether its batches go to all workers. */
      readonly isShared: boolean;
    }
  /** It, or a batch of it, is started with nothing beside it, because processes ended without handing it back before. */
  | {
      readonly type: 'request-quarantined';
      readonly key: string;
      /** The batch of a shared request that it concerns. Missing: the request itself. */
      readonly batch?: number | undefined;
      /** How many of its starts were lost so far, since a batch of it was stored. */
      readonly lost: number;
    }
  /** It could not go on for now, and is tried again after the delay. */
  | { readonly type: 'request-retried'; readonly key: string; readonly error: PipelineError; readonly delayMs: number }
  /** Its completion is out, and its record done. */
  | {
      readonly type: 'request-announced';
      readonly key: string;
      readonly status: CompletionStatus;
      readonly durationMs: number;
      /** What failed in it that no pipeline was told of, or answered for. Missing: nothing. */
      readonly unanswered?: readonly Pick<FailedEntry, 'stage' | 'reason'>[] | undefined;
    }
  /** A record went to the dead letters, and its client was told. */
  | {
      readonly type: 'dead-lettered';
      readonly key: string;
      readonly place: RecordPosition;
      readonly error: PipelineError;
    }
  /** A part of a shared request is done here. */
  | {
      readonly type: 'part-done';
      readonly key: string;
      readonly batch: number;
      /** What it failed with, when the ledger has its batch as failed for that. */
      readonly error?: PipelineError | undefined;
    };

/** Takes the events of a worker. An RxJS `Subject<WorkerEvent>` is one. */
export interface WorkerObserver {
  next(event: WorkerEvent): void;
}
