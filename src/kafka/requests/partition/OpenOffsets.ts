import type { CommittedState } from '../../../model/recordPorts.ts';

/** Which records of a partition were taken and are not done, and so how far the group has got in it. */
export class OpenOffsets {
  /** In the order in which they were taken: the first is the oldest. */
  readonly #open = new Set<bigint>();
  /** Those after the oldest open one that are done. */
  #done: ReadonlySet<bigint> = new Set();
  /** The one after the newest taken. */
  #next = 0n;

  get size(): number {
    return this.#open.size;
  }

  /** How far the next record to be taken is from the oldest open one, or a later record. */
  span(next = this.#next): number {
    const [oldest = next] = this.#open;
    return Number(next - oldest);
  }

  /** Takes a record; false when it was taken before, or is done. */
  take(offset: bigint): boolean {
    if (offset < this.#next) return false;
    this.#next = offset + 1n;
    if (this.#done.has(offset)) return false;
    this.#open.add(offset);
    return true;
  }

  isOpen(offset: bigint): boolean {
    return this.#open.has(offset);
  }

  /** How far the group has got once these are done as well. */
  stateAfter(offsets: Iterable<bigint> = []): CommittedState {
    const done = new Set([...this.#done, ...offsets]);
    const offset = this.#oldestWithout(done);
    return { offset, announced: new Set([...done].filter((each) => each > offset)) };
  }

  /** Takes note that these are done, and that this is committed. */
  finish(offsets: Iterable<bigint>): void {
    const { offset, announced } = this.stateAfter(offsets);
    for (const each of offsets) this.#open.delete(each);
    if (this.#open.size === 0) this.#next = offset;
    this.#done = announced;
  }

  /** Takes over how far the group has really got; answers the open records that somebody else has done. */
  takeOver({ offset, announced }: CommittedState): readonly bigint[] {
    const gone = [...this.#open].filter((each) => each < offset || announced.has(each));
    if (offset > this.#next) this.#next = offset;
    this.finish([...gone, ...announced]);
    return gone;
  }

  #oldestWithout(done: ReadonlySet<bigint>): bigint {
    for (const offset of this.#open) if (!done.has(offset)) return offset;
    let offset = this.#next;
    while (done.has(offset)) offset += 1n;
    return offset;
  }
}
