import { FencedError } from './errors.ts';
import type { RecordPosition, TopicPartition } from './recordPorts.ts';

interface Owned extends TopicPartition {
  readonly epoch: number;
  /** The lowest offset that has not been handed out in this assignment. */
  next: bigint;
  /** What was committed in this assignment, so that a late commit takes nothing back. */
  committed: bigint;
  paused: boolean;
}

/** Partitions that went away together, by the epoch in which they came. */
export interface Revocation {
  readonly epoch: number;
  readonly partitions: readonly TopicPartition[];
}

/** What a rebalance has changed. */
export interface AssignmentChange {
  readonly epoch: number;
  readonly revoked: readonly Revocation[];
  readonly assigned: readonly TopicPartition[];
}

/** Which partitions a source owns, since which epoch, and how far it has handed them out. */
export class Assignment {
  readonly #owned = new Map<string, Owned>();
  #epoch = 0;

  /**
   * Takes the outcome of a join. What was owned before is `kept` only when the membership was never interrupted: otherwise
   * somebody else may have owned it meanwhile.
   */
  join(partitions: readonly TopicPartition[], { kept }: { readonly kept: boolean }): AssignmentChange {
    const stay = new Set(kept ? partitions.map(keyOf) : []);
    const revoked = this.#revoke((owned) => !stay.has(keyOf(owned)));
    const epoch = ++this.#epoch;
    const assigned = partitions.filter((place) => !this.#owned.has(keyOf(place)));
    for (const { topic, partition } of assigned) {
      this.#owned.set(keyOf({ topic, partition }), { topic, partition, epoch, next: 0n, committed: 0n, paused: false });
    }
    return { epoch, revoked, assigned };
  }

  /** Gives everything up. */
  leave(): readonly Revocation[] {
    return this.#revoke(() => true);
  }

  /** The epoch a record is to be handed out with; undefined for one that was, or that is not ours. */
  accept(position: RecordPosition): number | undefined {
    const owned = this.#owned.get(keyOf(position));
    if (owned === undefined || position.offset < owned.next) return undefined;
    owned.next = position.offset + 1n;
    return owned.epoch;
  }

  /** The epoch since which the partition is ours; undefined when it is not. */
  epochOf(place: TopicPartition): number | undefined {
    return this.#owned.get(keyOf(place))?.epoch;
  }

  owns(place: TopicPartition, epoch: number): boolean {
    return this.epochOf(place) === epoch;
  }

  /** Refuses what belongs to an assignment that is over. */
  demand(place: TopicPartition, epoch: number): void {
    if (this.owns(place, epoch)) return;
    throw new FencedError(`${place.topic}-${place.partition} is no longer assigned to this source by epoch ${epoch}`);
  }

  isPaused(place: TopicPartition): boolean {
    return this.#owned.get(keyOf(place))?.paused ?? false;
  }

  /** Sets those of the partitions that are owned, and answers them. */
  setPaused(partitions: readonly TopicPartition[], paused: boolean): readonly TopicPartition[] {
    const ours = partitions.flatMap((place) => this.#owned.get(keyOf(place)) ?? []);
    for (const owned of ours) owned.paused = paused;
    return ours;
  }

  /** Where the partition goes on; whether it is owned. */
  rewind(position: RecordPosition): boolean {
    const owned = this.#owned.get(keyOf(position));
    if (owned !== undefined) owned.next = position.offset;
    return owned !== undefined;
  }

  /** Whether a commit up to `next` says anything new. */
  advances(place: TopicPartition, next: bigint): boolean {
    return next > (this.#owned.get(keyOf(place))?.committed ?? 0n);
  }

  /** Remembers what was committed. */
  advance(place: TopicPartition, next: bigint): void {
    const owned = this.#owned.get(keyOf(place));
    if (owned !== undefined && next > owned.committed) owned.committed = next;
  }

  #revoke(isGone: (owned: Owned) => boolean): readonly Revocation[] {
    const byEpoch = new Map<number, TopicPartition[]>();
    for (const [key, owned] of this.#owned) {
      if (!isGone(owned)) continue;
      this.#owned.delete(key);
      const { topic, partition, epoch } = owned;
      byEpoch.set(epoch, [...(byEpoch.get(epoch) ?? []), { topic, partition }]);
    }
    return [...byEpoch].map(([epoch, partitions]) => ({ epoch, partitions }));
  }
}

/** One text per partition, for maps. A topic's name holds no slash. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
