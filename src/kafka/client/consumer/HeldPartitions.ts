import { keyOf } from '../../../model/assignment.ts';
import { firstOpen } from '../../../model/announcedBitmap.ts';
import type { CommittedState, RecordPosition, TopicPartition } from '../../../model/recordPorts.ts';

export interface HeldPartitionsOptions {
  /** After how long a partition is looked at again, in milliseconds. */
  readonly checkMs: number;
  /** How far the group has got in a partition; undefined where it has not begun. */
  readonly committed: (place: TopicPartition) => Promise<CommittedState | undefined>;
  /** Is to have the partition fetched again, from where it stands. */
  readonly tryAgain: (place: TopicPartition) => void;
  /** Is to have it go on from an offset behind what holds it: the group is done with that. */
  readonly goOn: (position: RecordPosition) => void;
}

interface Held {
  readonly position: RecordPosition;
  readonly tell: () => void;
  isTold: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** The partitions that wait at what cannot be decoded, until that can be or has been left out. */
export class HeldPartitions {
  readonly #options: HeldPartitionsOptions;
  readonly #held = new Map<string, Held>();

  constructor(options: HeldPartitionsOptions) {
    this.#options = options;
  }

  has(place: TopicPartition): boolean {
    return this.#held.has(keyOf(place));
  }

  /** Holds the partition, and looks after it. `tell` is called once, unless the group is done with what holds it. */
  hold(position: RecordPosition, tell: () => void): void {
    const before = this.#held.get(keyOf(position));
    clearTimeout(before?.timer);
    const isTold = before?.isTold === true && before.position.offset === position.offset;
    const held: Held = { position, tell, isTold, timer: undefined };
    this.#held.set(keyOf(position), held);
    if (isTold) this.#lookLater(held);
    else void this.#look(held);
  }

  /** The partition goes on, or is not ours any more; whether it was told that it is held. */
  release(place: TopicPartition): boolean {
    const held = this.#held.get(keyOf(place));
    clearTimeout(held?.timer);
    this.#held.delete(keyOf(place));
    return held?.isTold === true;
  }

  clear(): void {
    for (const { timer } of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
  }

  #lookLater(held: Held): void {
    held.timer = setTimeout(() => void this.#look(held), this.#options.checkMs);
  }

  async #look(held: Held): Promise<void> {
    const { committed, tryAgain, goOn } = this.#options;
    const { position } = held;
    const state = await committed(position).catch(() => undefined); // a broker that is away is asked the next time
    if (this.#held.get(keyOf(position)) !== held) return;
    // What was left out while an older record was open stands in the bitmap: the offset gets past it only later.
    const offset = state === undefined ? position.offset : firstOpen(state, position.offset);
    if (offset > position.offset) {
      goOn({ ...position, offset });
      return;
    }
    // Before anything comes of what follows, which may hold it anew.
    this.#lookLater(held);
    if (held.isTold) {
      tryAgain(position);
    } else {
      held.isTold = true;
      held.tell();
    }
  }
}
