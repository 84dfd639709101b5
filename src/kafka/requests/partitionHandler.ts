import type { Delivery } from '../../model/delivery.ts';
import type { RecordSink, RecordSource, SourceRecord, TopicPartition } from '../../model/recordPorts.ts';
import type { Request } from '../../model/requests/request.ts';
import type { ProgressWatch } from './ProgressWatch.ts';
import type { Quarantine } from './quarantine/Quarantine.ts';
import type { WorkerEvent } from '../../model/workerEvents.ts';

/** Takes the records of one partition, from its assignment to its loss. */
export interface PartitionHandler {
  /** Takes a record and returns at once: the work on it goes on outside. Does not throw. */
  onRecord(record: SourceRecord): void;
  /** Takes nothing new from now on; resolves once all that was handed out is answered. What was not handed out is left. */
  drain(): Promise<void>;
  /**
   * Gives everything up at once, because the partition is lost or the worker ends: signals are aborted before it returns, and
   * late answers are refused. Resolves once nothing is left open; calls after the first do nothing.
   */
  close(): Promise<void>;
}

/** A delivery of any topic. */
export type AnyDelivery = Delivery<Request<unknown>, unknown>;

/** What the handler of a partition works with. */
export interface PartitionContext {
  readonly place: TopicPartition;
  /** The assignment that the handler is for, as `source.commit` wants it. */
  readonly epoch: number;
  /** To pause and resume the partition, and to commit. Running and stopping it is not the handler's. */
  readonly source: RecordSource;
  readonly sink: RecordSink;
  readonly groupId: string;
  /** Most unanswered deliveries of the partition: beyond it, the partition is paused. */
  readonly maxOpen: number;
  readonly maxMessageBytes: number;
  /** Notices deliveries that make no progress. */
  readonly watch: ProgressWatch;
  /** Says who may be at work in this process. */
  readonly quarantine: Quarantine;
  /** The clock, in epoch milliseconds. */
  readonly now: () => number;
  /** Hands a delivery out to the pipelines. */
  readonly deliver: (delivery: AnyDelivery) => void;
  readonly emit: (event: WorkerEvent) => void;
}
