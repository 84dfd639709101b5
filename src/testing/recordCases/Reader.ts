import assert from 'node:assert/strict';
import type {
  RecordHandlers,
  RecordPosition,
  RecordSource,
  SourceRecord,
  TopicPartition,
} from '../../model/recordPorts.ts';

/** How long a case waits for what has to come. */
const patienceMs = 20_000;

/** A source, and all it has told. */
export class Reader {
  readonly source: RecordSource;
  readonly records: SourceRecord[] = [];
  /** The epoch of each partition it owns, by topic and partition. */
  readonly epochs = new Map<string, number>();
  /** What it was told, in order. */
  readonly told: string[] = [];
  failure: Error | undefined;

  constructor(source: RecordSource) {
    this.source = source;
  }

  /** Joins the group. What is given is called after the reader has taken note. */
  async run(extra: Partial<RecordHandlers> = {}): Promise<this> {
    await this.source.run({
      onRecord: (record, epoch) => {
        this.records.push(record);
        this.told.push(`record of epoch ${epoch}`);
        extra.onRecord?.(record, epoch);
      },
      onAssigned: (epoch, partitions) => {
        for (const place of partitions) this.epochs.set(nameOf(place), epoch);
        this.told.push(`assigned in epoch ${epoch}`);
        extra.onAssigned?.(epoch, partitions);
      },
      onRevoked: (epoch, partitions) => {
        for (const place of partitions) this.epochs.delete(nameOf(place));
        this.told.push(`revoked of epoch ${epoch}`);
        extra.onRevoked?.(epoch, partitions);
      },
      onPosition: (position, epoch) => extra.onPosition?.(position, epoch),
      onUndecodable: (record, error, epoch) => extra.onUndecodable?.(record, error, epoch),
      onReleased: (place, epoch) => extra.onReleased?.(place, epoch),
      onInterrupted: (error) => {
        this.told.push('interrupted');
        extra.onInterrupted?.(error);
      },
      onFatal: (error) => {
        this.failure = error;
        extra.onFatal?.(error);
      },
    });
    return this;
  }

  /** The values it has read, of all partitions or of one. */
  values(partition?: number): readonly string[] {
    return this.records.filter((record) => partition === undefined || record.partition === partition).map(textOf);
  }

  epochOf(place: TopicPartition): number {
    return this.epochs.get(nameOf(place)) ?? -1;
  }

  record(value: string): SourceRecord {
    const found = this.records.find((record) => textOf(record) === value);
    assert.ok(found, `${value} was read`);
    return found;
  }

  commit(record: RecordPosition): Promise<void> {
    return this.source.commit(record, this.epochOf(record));
  }

  /** Waits until it has read that many records. */
  read(count: number): Promise<void> {
    return until(`${count} records`, () => this.records.length >= count);
  }

  owns(count: number): Promise<void> {
    return until(`${count} partitions`, () => this.epochs.size === count);
  }
}

/** Waits for what has to come, and fails when it does not. */
export async function until(what: string, isThere: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!isThere()) {
    assert.ok(performance.now() < deadlineMs, `${what}: did not come within ${patienceMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** The value of a record as text. */
export function textOf({ value }: SourceRecord): string {
  return value === null ? '' : Buffer.from(value).toString();
}
