import { randomUUID } from 'node:crypto';
import type { CommittedState, RecordSink, RecordSource } from '../../model/recordPorts.ts';
import type { RecordsUnderTest } from '../recordContract.ts';
import { Reader, textOf } from './Reader.ts';

export interface RecordCase {
  readonly name: string;
  readonly check: (bench: RecordBench) => Promise<void>;
}

/** What a case works with, closed behind it. */
export class RecordBench {
  readonly groupId = `group-${randomUUID()}`;
  readonly #opened: RecordsUnderTest;
  readonly #sources: RecordSource[] = [];
  readonly #sinks: RecordSink[] = [];

  constructor(opened: RecordsUnderTest) {
    this.#opened = opened;
  }

  createTopic(partitions: number, limits?: { readonly maxRecordBytes: number }): Promise<string> {
    return this.#opened.createTopic(partitions, limits);
  }

  /** A member of the case's group that has not joined yet. */
  reader(...topics: readonly string[]): Reader {
    const source = this.#opened.source(this.groupId, topics);
    this.#sources.push(source);
    return new Reader(source);
  }

  sink(): RecordSink {
    const sink = this.#opened.sink();
    this.#sinks.push(sink);
    return sink;
  }

  /** Sends a record per value. */
  async send(topic: string, partition: number, ...values: readonly string[]): Promise<void> {
    const sink = this.#sinks[0] ?? this.sink();
    await sink.send(values.map((value) => ({ topic, partition, key: value, value })));
  }

  /** Stores a record that cannot be decoded; false where there is no way to. */
  async sendUndecodable(topic: string, partition: number): Promise<boolean> {
    if (this.#opened.sendUndecodable === undefined) return false;
    await this.#opened.sendUndecodable(topic, partition);
    return true;
  }

  /** How far the group has got; the way to find out takes the partition over. */
  async committed(topic: string, partition: number): Promise<CommittedState> {
    const announcer = await this.sink().own(topic, partition, this.groupId);
    await announcer.close();
    return announcer.committed;
  }

  /** What a reader of committed records finds. */
  async values(topic: string): Promise<readonly string[]> {
    return (await this.#opened.records(topic)).map(textOf);
  }

  crash(reader: Reader): void {
    this.#opened.crash(reader.source);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.stop()));
    await Promise.all(this.#sinks.map((sink) => sink.close()));
  }
}
