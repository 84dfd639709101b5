import { keyOf } from '../../model/assignment.ts';
import type { PipelineError } from '../../model/errors.ts';
import type { PartitionEnds, RecordSink, RecordSource, TopicPartition, TopicSize } from '../../model/recordPorts.ts';
import { RedrivePartition, type RedriveCounts } from './RedrivePartition.ts';

/** What a redrive has done. */
export interface Redriven {
  /** How many partitions it has done. Less than there are when another redrive is under way: the others are that one's. */
  readonly partitions: number;
  /** How many records it has sent again. */
  readonly sent: number;
  /** How many it left out, because only the beginning of them was kept. */
  readonly cut: number;
}

export interface RedriveRunContext {
  readonly source: RecordSource;
  readonly sink: RecordSink;
  readonly group: string;
  readonly ends: readonly PartitionEnds[];
  readonly target: TopicSize;
  readonly limit: number;
}

/** One redrive: joins the group, sees its partitions through to their end, and leaves. */
export class RedriveRun {
  readonly #context: RedriveRunContext;
  readonly #counts: RedriveCounts;
  readonly #partitions = new Map<string, RedrivePartition>();
  readonly #closing: Promise<void>[] = [];
  #hasJoined = false;
  /** What the first of its partitions cannot go on for: the others are seen through to their end. */
  #undecodable: PipelineError | undefined;
  /** Ends the run; calls after the first do nothing. */
  #end: (error?: PipelineError) => void = () => undefined;

  constructor(context: RedriveRunContext) {
    this.#context = context;
    this.#counts = { left: context.limit, sent: 0, cut: 0 };
  }

  /** Joins, and resolves when all is done. */
  async done(): Promise<Redriven> {
    const { source } = this.#context;
    const ended = new Promise<void>((resolve, reject) => {
      this.#end = (error) => (error === undefined ? resolve() : reject(error));
    });
    try {
      const joined = source.run({
        onAssigned: (_epoch, partitions) => this.#onAssigned(partitions),
        onRevoked: (_epoch, partitions) => this.#onRevoked(partitions),
        onRecord: (record) => this.#partitions.get(keyOf(record))?.onRecord(record),
        onPosition: (position) => this.#partitions.get(keyOf(position))?.onPosition(position.offset),
        onUndecodable: (record, error) => {
          this.#undecodable ??= error;
          this.#partitions.get(keyOf(record))?.giveUp();
          this.#look();
        },
        onFatal: (error) => this.#end(error),
      });
      await Promise.all([joined, ended]);
      const partitions = [...this.#partitions.values()].filter(({ isLost }) => !isLost).length;
      const { sent, cut } = this.#counts;
      return { partitions, sent, cut };
    } finally {
      await source.stop();
      this.#onRevoked(this.#context.ends);
      await Promise.all(this.#closing);
    }
  }

  /** Ends it after the transactions that are under way. */
  stop(): void {
    this.#counts.left = 0;
    this.#look();
  }

  #onAssigned(partitions: readonly TopicPartition[]): void {
    const { source, sink, group, target, ends } = this.#context;
    this.#hasJoined = true;
    for (const place of partitions) {
      // A partition that was added since the redrive began holds nothing that was there then.
      const found = ends.find((each) => each.partition === place.partition) ?? { ...place, first: 0n, end: 0n };
      const partition = new RedrivePartition({
        ...{ source, sink, group, target, ends: found, counts: this.#counts },
        onProgress: () => this.#look(),
        onFailed: (error: PipelineError) => this.#end(error),
      });
      this.#partitions.set(keyOf(place), partition);
      void partition.start();
    }
    this.#look();
  }

  #onRevoked(partitions: readonly TopicPartition[]): void {
    for (const place of partitions) {
      const partition = this.#partitions.get(keyOf(place));
      this.#partitions.delete(keyOf(place));
      if (partition !== undefined) this.#closing.push(partition.close());
    }
  }

  /** Looks whether anything is left to do. */
  #look(): void {
    const isDone = this.#hasJoined && [...this.#partitions.values()].every((partition) => partition.isDone);
    if (isDone) this.#end(this.#undecodable);
  }
}
