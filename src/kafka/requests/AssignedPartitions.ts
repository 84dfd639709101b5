import { keyOf } from '../../model/assignment.ts';
import type { SourceRecord, TopicPartition } from '../../model/recordPorts.ts';
import type { PartitionHandler } from './partitionHandler.ts';

interface Assigned {
  readonly epoch: number;
  readonly handler: PartitionHandler;
}

/** The partitions that the worker has now, each with its handler: what the source tells goes to the one concerned. */
export class AssignedPartitions {
  readonly #open: (epoch: number, place: TopicPartition) => PartitionHandler | undefined;
  readonly #assigned = new Map<string, Assigned>();

  /** `open` makes the handler of a partition; none for those that nothing is to be read of. */
  constructor(open: (epoch: number, place: TopicPartition) => PartitionHandler | undefined) {
    this.#open = open;
  }

  onAssigned(epoch: number, partitions: readonly TopicPartition[]): void {
    for (const place of partitions) {
      const handler = this.#open(epoch, place);
      if (handler !== undefined) this.#assigned.set(keyOf(place), { epoch, handler });
    }
  }

  onRecord(record: SourceRecord, epoch: number): void {
    const assigned = this.#assigned.get(keyOf(record));
    if (assigned?.epoch === epoch) assigned.handler.onRecord(record);
  }

  onRevoked(epoch: number, partitions: readonly TopicPartition[]): void {
    for (const place of partitions) {
      const assigned = this.#assigned.get(keyOf(place));
      if (assigned?.epoch !== epoch) continue;
      this.#assigned.delete(keyOf(place));
      void assigned.handler.close();
    }
  }

  async drain(): Promise<void> {
    await Promise.all([...this.#assigned.values()].map(({ handler }) => handler.drain()));
  }

  async close(): Promise<void> {
    const assigned = [...this.#assigned.values()];
    this.#assigned.clear();
    await Promise.all(assigned.map(({ handler }) => handler.close()));
  }
}
