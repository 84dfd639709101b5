import type { WorkerEvent, WorkerObserver } from '../../../kafka/index.ts';

/** A partition that waits at what cannot be decoded. */
export interface HeldPartition {
  readonly topic: string;
  readonly partition: number;
  /** As text: JSON has no number that is large enough. */
  readonly offset: string;
}

/** Knows which partitions are held. */
export class HeldWatch implements WorkerObserver {
  readonly #held = new Map<string, HeldPartition>();

  get partitions(): readonly HeldPartition[] {
    return [...this.#held.values()];
  }

  next(event: WorkerEvent): void {
    if (event.type === 'partition-held') {
      const { topic, partition, offset } = event.place;
      this.#held.set(`${topic}-${partition}`, { topic, partition, offset: String(offset) });
    } else if (event.type === 'partition-released') {
      this.#held.delete(`${event.place.topic}-${event.place.partition}`);
    }
  }
}
