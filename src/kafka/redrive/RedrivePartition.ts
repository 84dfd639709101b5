import { FencedError, PipelineError } from '../../model/errors.ts';
import type {
  Announcer,
  CommittedState,
  PartitionEnds,
  RecordSink,
  RecordSource,
  SinkRecord,
  SourceRecord,
  TopicSize,
} from '../../model/recordPorts.ts';
import { recordBytes } from '../../model/recordBytes.ts';
import { isCut, withoutDeadLetterHeaders } from '../records/deadLetterHeaders.ts';

/** Most records in one transaction. */
const maxAtOnce = 200;

/** Most records that wait, and most bytes of them: from then on the partition is paused, until half of it is sent. */
const mostWaiting = { records: 1_000, bytes: 4_194_304 };

/** What all partitions of a redrive count together. */
export interface RedriveCounts {
  /** How many may still be sent. */
  left: number;
  sent: number;
  cut: number;
}

export interface RedrivePartitionContext {
  /** What there was when the redrive began: records that come later are not for it. */
  readonly ends: PartitionEnds;
  readonly source: RecordSource;
  readonly sink: RecordSink;
  /** The group whose offset says how far earlier redrives came. */
  readonly group: string;
  /** Where the records came from, and go again. */
  readonly target: TopicSize;
  readonly counts: RedriveCounts;
  /** Something has changed: it may be done. */
  readonly onProgress: () => void;
  readonly onFailed: (error: PipelineError) => void;
}

/** Sends the dead letters of one partition again, from where the last redrive came to, each in a transaction with that place. */
export class RedrivePartition {
  readonly #context: RedrivePartitionContext;
  readonly #queue: SourceRecord[] = [];
  #queueBytes = 0;
  #announcer: Announcer | undefined;
  /** The offset that was committed last. */
  #place: bigint | undefined;
  /** All that was there at the beginning has been handed out. */
  #isRead = false;
  /** Somebody else has taken over, or the redrive ends. */
  #isOver = false;
  #sending: Promise<void> | undefined;

  constructor(context: RedrivePartitionContext) {
    this.#context = context;
  }

  /** Whether somebody else has taken over. */
  get isLost(): boolean {
    return this.#isOver;
  }

  get isDone(): boolean {
    if (this.#isOver) return true;
    const nothingLeft = this.#isRead && this.#queue.length === 0;
    return this.#sending === undefined && (nothingLeft || this.#context.counts.left === 0);
  }

  /** Takes the partition over, and then has it handed out from where the last redrive came to. */
  async start(): Promise<void> {
    const { ends, source, sink, group } = this.#context;
    source.pause([ends]);
    try {
      this.#announcer = await sink.own(ends.topic, ends.partition, group);
    } catch (error) {
      if (!this.#isOver) this.#context.onFailed(PipelineError.from(error));
      return;
    }
    if (this.#isOver) return this.close();
    const { offset } = this.#announcer.committed;
    const from = offset > ends.first ? offset : ends.first;
    if (from >= ends.end) {
      this.#endReading();
    } else {
      source.rewind({ topic: ends.topic, partition: ends.partition, offset: from });
      source.resume([ends]);
    }
  }

  onRecord(record: SourceRecord): void {
    const { ends, source } = this.#context;
    if (this.#isRead) return;
    if (record.offset >= ends.end) {
      this.#endReading();
    } else {
      this.#queue.push(record);
      this.#queueBytes += recordBytes(record);
      if (!this.#isBelow(1)) source.pause([ends]);
      this.#send();
    }
  }

  /** Everything before the offset has been handed out. */
  onPosition(offset: bigint): void {
    if (!this.#isRead && offset >= this.#context.ends.end) this.#endReading();
  }

  /** What comes next cannot be decoded: all before it is sent. */
  giveUp(): void {
    this.#isRead = true;
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#sending;
    await this.#announcer?.close();
  }

  #endReading(): void {
    this.#isRead = true;
    this.#context.source.pause([this.#context.ends]);
    this.#context.onProgress();
  }

  #send(): void {
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    const { counts, onProgress } = this.#context;
    await Promise.resolve(); // so that whoever looks sees that something is under way
    try {
      while (this.#queue.length > 0 && counts.left > 0 && !this.#isOver) {
        const records = this.#queue.splice(0, Math.min(maxAtOnce, counts.left));
        this.#queueBytes = records.reduce((bytes, record) => bytes - recordBytes(record), this.#queueBytes);
        await this.#sendSome(records);
      }
    } catch (error) {
      this.#fail(PipelineError.from(error));
    }
    this.#sending = undefined;
    onProgress();
  }

  async #sendSome(records: readonly SourceRecord[]): Promise<void> {
    const { counts, source, ends } = this.#context;
    const whole = records.filter((record) => !isCut(record));
    const next = (records.at(-1)?.offset ?? -1n) + 1n;
    counts.left -= whole.length;
    const again = whole.map((record) => this.#again(record));
    await this.#announce(again, { offset: next, announced: new Set() });
    counts.sent += whole.length;
    counts.cut += records.length - whole.length;
    if (this.#isBelow(0.5) && !this.#isRead) source.resume([ends]);
  }

  /** Whether what waits is less than a part of what may. */
  #isBelow(part: number): boolean {
    return this.#queue.length < part * mostWaiting.records && this.#queueBytes < part * mostWaiting.bytes;
  }

  /** Records that are too much together go one by one the second time; one that is too large by itself ends the redrive. */
  async #announce(records: readonly SinkRecord[], next: CommittedState): Promise<void> {
    const { ends, sink, group } = this.#context;
    try {
      await this.#announcer?.announce(records, next);
    } catch (error) {
      if (!PipelineError.isInstance(error) || error.code !== 'record_too_large' || this.#isOver) throw error;
      const before = this.#announcer?.committed.offset;
      await this.#announcer?.close();
      this.#announcer = await sink.own(ends.topic, ends.partition, group);
      const now = this.#announcer.committed.offset;
      if (now !== (this.#place ?? before))
        throw new FencedError(`${ends.topic}-${ends.partition} was sent on meanwhile`);
      await this.#announcer.announce(records, next);
    }
    this.#place = next.offset;
  }

  /** The record as it was before it became a dead letter. */
  #again({ partition, key, value, headers }: SourceRecord): SinkRecord {
    const { topic, partitions } = this.#context.target;
    // A dead letter keeps the number of its partition, so its headers need not be believed.
    const place = partition < partitions ? { topic, partition } : { topic };
    return { ...place, key, value, headers: withoutDeadLetterHeaders(headers) };
  }

  #fail(error: PipelineError): void {
    const isTaken = error.code === 'fenced';
    if (!isTaken && !this.#isOver) this.#context.onFailed(error);
    this.#isOver = true;
  }
}
