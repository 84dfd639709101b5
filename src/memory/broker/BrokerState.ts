import { keyOf } from '../../model/assignment.ts';
import { BrokerError, PublishError } from '../../model/errors.ts';
import { RecordBounds } from '../../model/RecordBounds.ts';
import { recordBytes } from '../../model/recordBytes.ts';
import type { SinkRecord, SourceRecord, TopicPartition } from '../../model/recordPorts.ts';

/** An offset as a broker stores it. */
export interface CommittedOffset {
  readonly offset: bigint;
  readonly metadata: string | null;
}

/** What a topic takes. */
export interface TopicLimits {
  /** The largest record, in bytes, with its key, its headers and what surrounds them. Default: any. */
  readonly maxRecordBytes?: number | undefined;
}

/** What the broker wants from a member of a group. */
export interface Member {
  readonly topics: readonly string[];
  /** The partitions that are its own from now on. */
  assign(partitions: readonly TopicPartition[]): void;
  /** There may be something new to read. */
  wake(): void;
}

/** A record as it is kept; its value is what is stored of it where it cannot be decoded. */
export interface StoredRecord extends SourceRecord {
  readonly isUndecodable?: boolean | undefined;
}

interface Group {
  readonly members: Set<Member>;
  readonly offsets: Map<string, CommittedOffset>;
  /** How often it was shared out. */
  generation: number;
}

/** Topics, groups, and who may write under which transactional id. */
export class BrokerState {
  readonly #now: () => number;
  /** What senders have learned of the sizes that topics take. */
  readonly bounds = new RecordBounds();
  readonly #partitions = new Map<string, number>();
  readonly #maxRecordBytes = new Map<string, number>();
  readonly #records = new Map<string, StoredRecord[]>();
  readonly #groups = new Map<string, Group>();
  readonly #epochs = new Map<string, number>();
  #sent = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  createTopic(topic: string, partitions: number, { maxRecordBytes = Infinity }: TopicLimits = {}): void {
    if (this.#partitions.has(topic)) return;
    this.#partitions.set(topic, partitions);
    this.#maxRecordBytes.set(topic, maxRecordBytes);
    for (const place of this.partitionsOf(topic)) this.#records.set(keyOf(place), []);
  }

  hasTopic(topic: string): boolean {
    return this.#partitions.has(topic);
  }

  partitionsOf(topic: string): TopicPartition[] {
    const partitions = this.#partitions.get(topic);
    if (partitions === undefined) throw new BrokerError('broker_error', `memory: there is no topic ${topic}`);
    return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  }

  recordsOf(place: TopicPartition): readonly StoredRecord[] {
    return this.#records.get(keyOf(place)) ?? [];
  }

  /** Stores all of the records, or throws and stores none. */
  append(records: readonly SinkRecord[]): void {
    const tooLarge = records.find(
      (record) => recordBytes(record) > (this.#maxRecordBytes.get(record.topic) ?? Infinity),
    );
    if (tooLarge !== undefined) throw this.bounds.refused([tooLarge]);
    const placed = records.map((record) => ({ record, list: this.#listFor(record) }));
    for (const { record, list } of placed) list.records.push(this.#stored(record, list.place, list.records.length));
    this.#wakeAll();
  }

  /** Stores a record that nobody can decode; the answer is its offset. */
  appendUndecodable(place: TopicPartition, bytes: Uint8Array): bigint {
    const { records } = this.#listFor({ ...place, value: bytes });
    const stored = this.#stored({ ...place, value: bytes }, place, records.length);
    records.push({ ...stored, isUndecodable: true });
    this.#wakeAll();
    return stored.offset;
  }

  join(groupId: string, member: Member): void {
    for (const topic of member.topics) this.partitionsOf(topic); // refuses a topic that is not there
    const group = this.#group(groupId);
    group.members.add(member);
    this.#share(group);
  }

  leave(groupId: string, member: Member): void {
    const group = this.#group(groupId);
    if (group.members.delete(member)) this.#share(group);
  }

  committed(groupId: string, place: TopicPartition): CommittedOffset | undefined {
    return this.#group(groupId).offsets.get(keyOf(place));
  }

  commit(groupId: string, place: TopicPartition, committed: CommittedOffset): void {
    const group = this.#group(groupId);
    group.offsets.set(keyOf(place), committed);
    for (const member of group.members) member.wake();
  }

  /** Takes a transactional id over: the answer is the epoch that `isOwner` takes for the current one. */
  fence(transactionalId: string): number {
    const epoch = (this.#epochs.get(transactionalId) ?? 0) + 1;
    this.#epochs.set(transactionalId, epoch);
    return epoch;
  }

  isOwner(transactionalId: string, epoch: number): boolean {
    return this.#epochs.get(transactionalId) === epoch;
  }

  #wakeAll(): void {
    for (const { members } of this.#groups.values()) for (const member of members) member.wake();
  }

  /** Deals the partitions out in turn; those of one topic go to its readers only. */
  #share(group: Group): void {
    const { members } = group;
    const generation = ++group.generation;
    const shares = new Map([...members].map((member) => [member, new Array<TopicPartition>()]));
    let turn = 0;
    for (const topic of new Set([...members].flatMap((member) => member.topics))) {
      const readers = [...members].filter((member) => member.topics.includes(topic));
      for (const place of this.partitionsOf(topic)) {
        const reader = readers[turn++ % readers.length];
        if (reader !== undefined) shares.get(reader)?.push(place);
      }
    }
    for (const [member, share] of shares) {
      // A member that is told may leave, and the group was shared out anew meanwhile.
      if (group.generation === generation) member.assign(share);
    }
  }

  #group(groupId: string): Group {
    const group = this.#groups.get(groupId) ?? { members: new Set(), offsets: new Map(), generation: 0 };
    this.#groups.set(groupId, group);
    return group;
  }

  #listFor({ topic, partition, key }: SinkRecord): {
    readonly place: TopicPartition;
    readonly records: StoredRecord[];
  } {
    const partitions = this.#partitions.get(topic);
    const chosen = partition ?? partitionFor(key, partitions ?? 1, this.#sent++);
    const place = { topic, partition: chosen };
    const records = this.#records.get(keyOf(place));
    if (records === undefined) throw new PublishError(`memory: there is no partition ${topic}-${chosen}`);
    return { place, records };
  }

  #stored(record: SinkRecord, place: TopicPartition, offset: number): SourceRecord {
    const { key, value, headers = [], timestampMs = this.#now() } = record;
    return {
      ...place,
      offset: BigInt(offset),
      timestampMs,
      key: bytesOf(key ?? null),
      value: bytesOf(value),
      headers: headers.map((header) => ({ name: header.name, value: Buffer.from(header.value) })),
    };
  }
}

/** Equal keys go to the same partition, records without one in turn. */
function partitionFor(key: Uint8Array | string | null | undefined, partitions: number, turn: number): number {
  if (key === null || key === undefined) return turn % partitions;
  return Buffer.from(key).reduce((hash, byte) => (hash * 31 + byte) % 1_000_003, 7) % partitions;
}

function bytesOf(content: Uint8Array | string | null): Uint8Array | null {
  return content === null ? null : Buffer.from(content);
}
