import { decodeAnnounced, firstOpen } from '../../model/announcedBitmap.ts';
import { Assignment, type Revocation } from '../../model/assignment.ts';
import { BrokerError, FencedError, PipelineError } from '../../model/errors.ts';
import type { RecordHandlers, RecordPosition, RecordSource, TopicPartition } from '../../model/recordPorts.ts';
import type { BrokerState, Member, StoredRecord } from './BrokerState.ts';

/** What a member of a group wants from the broker. */
export type GroupBroker = Pick<BrokerState, 'recordsOf' | 'committed' | 'commit' | 'join' | 'leave'>;

/** A member of a group of the memory broker. */
export class MemoryRecordSource implements RecordSource {
  readonly #state: GroupBroker;
  readonly #groupId: string;
  readonly #member: Member;
  readonly #assignment = new Assignment();
  /** Where each partition that was assigned goes on. */
  readonly #positions = new Map<TopicPartition, number>();
  /** Those of them that are held by what cannot be decoded. */
  readonly #held = new Set<TopicPartition>();
  #handlers: RecordHandlers | undefined;
  #isReading = false;
  #isStopped = false;

  constructor(state: GroupBroker, groupId: string, topics: readonly string[]) {
    this.#state = state;
    this.#groupId = groupId;
    this.#member = {
      topics,
      assign: (partitions) => this.#assign(partitions),
      wake: () => this.#wake(),
    };
  }

  get joined(): boolean {
    return this.#handlers !== undefined;
  }

  async run(handlers: RecordHandlers): Promise<void> {
    if (this.#handlers !== undefined || this.#isStopped)
      throw new BrokerError('broker_error', 'memory: the source was run');
    await Promise.resolve();
    this.#refuseIfStopped();
    this.#handlers = handlers;
    try {
      this.#state.join(this.#groupId, this.#member);
    } catch (error) {
      this.#handlers = undefined;
      throw error;
    }
  }

  async commit({ topic, partition, offset }: RecordPosition, epoch: number): Promise<void> {
    await Promise.resolve();
    if (this.#handlers === undefined) throw new FencedError(`memory: ${topic}-${partition} is no longer this source's`);
    this.#assignment.demand({ topic, partition }, epoch);
    if (!this.#assignment.advances({ topic, partition }, offset + 1n)) return;
    this.#assignment.advance({ topic, partition }, offset + 1n);
    this.#state.commit(this.#groupId, { topic, partition }, { offset: offset + 1n, metadata: null });
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#assignment.setPaused(partitions, true);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#assignment.setPaused(partitions, false);
    this.#wake();
  }

  rewind(position: RecordPosition): void {
    if (!this.#assignment.rewind(position)) return;
    for (const place of this.#positions.keys()) {
      if (place.topic === position.topic && place.partition === position.partition) {
        this.#positions.set(place, Number(position.offset));
        this.#release(place);
      }
    }
    this.#wake();
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#revoke(this.#assignment.leave());
    this.#handlers = undefined;
    this.#state.leave(this.#groupId, this.#member);
    await Promise.resolve();
  }

  /** Ends without a word. */
  crash(): void {
    this.#isStopped = true;
    this.#handlers = undefined;
    this.#state.leave(this.#groupId, this.#member);
  }

  #refuseIfStopped(): void {
    if (this.#isStopped) throw new BrokerError('broker_error', 'memory: the source was stopped');
  }

  #assign(partitions: readonly TopicPartition[]): void {
    const change = this.#assignment.join(partitions, { kept: true });
    for (const place of this.#positions.keys()) {
      if (!partitions.some((each) => isSame(each, place)) || change.assigned.some((each) => isSame(each, place))) {
        this.#positions.delete(place);
        this.#held.delete(place);
      }
    }
    for (const place of change.assigned) {
      this.#positions.set(place, Number(this.#state.committed(this.#groupId, place)?.offset ?? 0n));
    }
    this.#revoke(change.revoked);
    this.#tell((handlers) => handlers.onAssigned(change.epoch, change.assigned));
    this.#wake();
  }

  #wake(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    queueMicrotask(() => {
      this.#isReading = false;
      for (const place of this.#positions.keys()) this.#readPartition(place);
    });
  }

  /** Hands out what there is, until the partition is paused, rewound or gone. */
  #readPartition(place: TopicPartition): void {
    const records = this.#state.recordsOf(place);
    for (;;) {
      const position = this.#positions.get(place);
      const record = position === undefined ? undefined : records[position];
      if (position !== undefined && record === undefined) this.#passed(place, position);
      if (position === undefined || record === undefined) return;
      if (this.#handlers === undefined || this.#assignment.isPaused(place)) return;
      if (record.isUndecodable === true) {
        if (this.#isHeldBy(record, place)) return;
        continue;
      }
      this.#positions.set(place, position + 1);
      const epoch = this.#assignment.accept(record);
      if (epoch !== undefined) this.#tell((handlers) => handlers.onRecord(record, epoch));
    }
  }

  /** Holds the partition, unless the group is done with the record: then it goes on there. */
  #isHeldBy({ offset, value }: StoredRecord, place: TopicPartition): boolean {
    const committed = this.#state.committed(this.#groupId, place) ?? { offset: 0n, metadata: null };
    const announced = decodeAnnounced(committed.offset, committed.metadata);
    const open = firstOpen({ offset: committed.offset, announced }, offset);
    if (open > offset) {
      this.#positions.set(place, Number(open));
      this.#release(place);
      return false;
    }
    const epoch = this.#assignment.epochOf(place);
    if (this.#held.has(place) || epoch === undefined) return true;
    this.#held.add(place);
    const { topic, partition } = place;
    const error = new BrokerError(
      'undecodable',
      `memory: ${topic}-${partition}: what stands at offset ${offset} cannot be decoded`,
    );
    const record = { topic, partition, offset, next: offset + 1n, bytes: value ?? new Uint8Array() };
    this.#tell((handlers) => handlers.onUndecodable?.(record, error, epoch));
    return true;
  }

  #release(place: TopicPartition): void {
    const epoch = this.#assignment.epochOf(place);
    if (!this.#held.delete(place) || epoch === undefined) return;
    this.#tell((handlers) => handlers.onReleased?.({ topic: place.topic, partition: place.partition }, epoch));
  }

  #passed(place: TopicPartition, position: number): void {
    const epoch = this.#assignment.epochOf(place);
    if (epoch === undefined || this.#assignment.isPaused(place)) return;
    this.#tell((handlers) => handlers.onPosition?.({ ...place, offset: BigInt(position) }, epoch));
  }

  #revoke(revocations: readonly Revocation[]): void {
    for (const { epoch, partitions } of revocations) this.#tell((handlers) => handlers.onRevoked(epoch, partitions));
  }

  #tell(call: (handlers: RecordHandlers) => void): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    try {
      call(handlers);
    } catch (error) {
      this.#handlers = undefined;
      void this.stop();
      handlers.onFatal(PipelineError.from(error));
    }
  }
}

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition;
}
