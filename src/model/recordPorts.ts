import type { PipelineError } from './errors.ts';

/** One partition of one topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A place between two records of a partition: that of the next record to be read. */
export interface RecordPosition extends TopicPartition {
  readonly offset: bigint;
}

/** A header as it was sent; a name may come more than once. */
export interface RecordHeader {
  readonly name: string;
  readonly value: Uint8Array;
}

/** A record as it was read. Nothing in it has been checked: key, value and headers come from outside. */
export interface SourceRecord extends RecordPosition {
  /** When it was made or stored, in milliseconds since 1970. */
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** Records that were stored and cannot be decoded: one, or all of a batch that is compressed or broken as a whole. */
export interface UndecodableRecord extends RecordPosition {
  /** The place behind them. */
  readonly next: bigint;
  /** What is stored of them, as far as it can be had. */
  readonly bytes: Uint8Array;
}

/** A record to be sent. */
export interface SinkRecord {
  readonly topic: string;
  /** Default: by the key, or any where there is none. */
  readonly partition?: number | undefined;
  /** Default: none. */
  readonly key?: Uint8Array | string | null | undefined;
  readonly value: Uint8Array | string | null;
  /** Default: none. */
  readonly headers?: readonly { readonly name: string; readonly value: Uint8Array | string }[] | undefined;
  /** In milliseconds since 1970. Default: now. */
  readonly timestampMs?: number | undefined;
}

/** What a source calls. None of them may throw: what one throws ends the source through `onFatal`. */
export interface RecordHandlers {
  /**
   * Takes a record, and returns at once: all work is done outside of it. Within an assignment no record is handed out twice,
   * unless `rewind` asks for it; an earlier owner may have had it. `epoch` is the assignment's.
   */
  onRecord(record: SourceRecord, epoch: number): void;
  /**
   * Partitions that are this source's from now on; those it keeps through a rebalance are not named again, and keep their
   * epoch. None when the group has more members than partitions. `pause` from within it holds before the first record.
   */
  onAssigned(epoch: number, partitions: readonly TopicPartition[]): void;
  /** Partitions that are no longer this source's, of one epoch; also when it stops, or loses its group. */
  onRevoked(epoch: number, partitions: readonly TopicPartition[]): void;
  /**
   * All that stands before this place of a partition has been handed out, or is none to be handed out: the marks that
   * transactions leave, records that were never committed. Comes after the records of a fetch; whoever wants to know when he
   * has come to an end cannot tell by the offsets of the records. Default: nothing.
   */
  onPosition?(position: RecordPosition, epoch: number): void;
  /**
   * A partition is held: what it goes on with cannot be decoded, as the error says (`undecodable`). Nothing of it is handed out
   * before that can be decoded after all, the group is done with it (its offset has got past it, or it was announced), or
   * `rewind`; all other partitions go on. Told once for each time that it is held. Default: nothing.
   */
  onUndecodable?(record: UndecodableRecord, error: PipelineError, epoch: number): void;
  /** A partition that was held goes on. Not called for one that was revoked. Default: nothing. */
  onReleased?(place: TopicPartition, epoch: number): void;
  /** The source has lost its group and tries to join it again, without end. Default: nothing. */
  onInterrupted?(error: PipelineError): void;
  /** The source has stopped for a reason that no repetition mends, such as a wrong password. */
  onFatal(error: PipelineError): void;
}

/**
 * A member of a consumer group: hands out the records of the partitions that the group assigns to it. Heartbeats are its
 * own affair, and do not depend on how long the work on a record takes.
 */
export interface RecordSource {
  /** Whether it is a member of its group at this moment; for readiness checks. */
  readonly joined: boolean;
  /**
   * Joins the group; resolves once it has joined for the first time. Waits for a broker that is still starting up. Rejects
   * when joining fails for another reason, with nothing left open, and may then be called again. Starts at the committed offset, or at the oldest record where none is.
   */
  run(handlers: RecordHandlers): Promise<void>;
  /**
   * Commits that the group is done with all records up to this one, which goes back never. Waits for a rebalance that is
   * under way. Rejects with a `FencedError` when the partition is no longer this source's by that epoch.
   */
  commit(record: RecordPosition, epoch: number): Promise<void>;
  /** No record of these partitions comes until `resume`, from now on: also not the rest of what was fetched together. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** Hands out the partition's records again from this offset on. Does nothing when the partition is not this source's. */
  rewind(position: RecordPosition): void;
  /** Leaves the group; `onRevoked` is called for what it had. Resolves once all is closed; calls after the first do nothing. */
  stop(): Promise<void>;
}

/** How far a group has got in a partition. */
export interface CommittedState {
  /** The oldest open record: all before it are done. 0 where nothing was ever committed. */
  readonly offset: bigint;
  /** Records after it that are done all the same; at most `announcedSpan` offsets after it. */
  readonly announced: ReadonlySet<bigint>;
}

/** The one owner of a partition's offset, until somebody else owns it. */
export interface Announcer {
  /** How far the group had got when this owner took over. */
  readonly committed: CommittedState;
  /**
   * Sends the records and commits the state in one transaction: readers of committed records see all of it or nothing.
   *
   * Calls that come while a transaction is under way go into the next one together, and the state of the last of them is
   * committed: each state includes those before it. Rejects with a `FencedError` when there is another owner, and with a
   * `PublishError` on any other failure. After either it is not known whether the transaction was committed, and every
   * further call is refused: `own` it again, and read in `committed` what was.
   *
   * With the code `record_too_large` nothing was committed, and the same call may fail again, or not: make the records anew,
   * each of at most `maxRecordBytes` of its topic, which has become less or has not. Where only all of them together were too
   * much, they go one by one the next time.
   */
  announce(records: readonly SinkRecord[], next: CommittedState): Promise<void>;
  /** Resolves once all is closed; what has not been announced by then is refused. */
  close(): Promise<void>;
}

/** Where records go. */
export interface RecordSink {
  /**
   * Sends records in their order within a partition; resolves once all are stored. Rejects with a `PublishError`, of the code
   * `record_too_large` when a topic does not take one of them; those before it are then stored.
   */
  send(records: readonly SinkRecord[]): Promise<void>;
  /**
   * The largest record that is worth sending to a topic, in bytes, as `recordBytes` counts them. It becomes less when the
   * topic has refused a record for its size: half of that one, and never below 1,000.
   */
  maxRecordBytes(topic: string): number;
  /** How many partitions a topic has now. Rejects with a `PublishError` when there is no such topic. */
  partitionsOf(topic: string): Promise<number>;
  /**
   * Becomes the one owner of the group's offset in a partition: fences whoever was before, ends what that one had begun, and
   * then reads how far it had got.
   */
  own(topic: string, partition: number, group: string): Promise<Announcer>;
  /** Closes the sink and its announcers. */
  close(): Promise<void>;
}

/** A topic, and how many partitions it has or is to have. */
export interface TopicSize {
  readonly topic: string;
  readonly partitions: number;
}

/** What a partition holds for a reader of committed records. */
export interface PartitionEnds extends TopicPartition {
  /** The place of the oldest record that is still kept. */
  readonly first: bigint;
  /** The place behind the last record. It stands before the first transaction that is still open, whatever comes after that. */
  readonly end: bigint;
}

/** The topics of a broker. Its functions reject with a `BrokerError`: `broker_unavailable` when no broker answers. */
export interface RecordTopics {
  /** How many partitions each of these topics has. Those that are not there are not in the answer, and are not created. */
  describe(topics: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * Creates those of the topics that are not there, and resolves once all can be used, with the names of those it has created.
   * A topic that is there stays as it is, also when somebody else creates it at the same time.
   */
  create(topics: readonly TopicSize[]): Promise<readonly string[]>;
  /** The ends of a topic's partitions at this moment. */
  ends(topic: string): Promise<readonly PartitionEnds[]>;
  close(): Promise<void>;
}
