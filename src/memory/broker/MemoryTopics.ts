import type { PartitionEnds, RecordTopics, TopicSize } from '../../model/recordPorts.ts';
import type { BrokerState } from './BrokerState.ts';

/** The topics of the memory broker. */
export class MemoryTopics implements RecordTopics {
  readonly #state: BrokerState;

  constructor(state: BrokerState) {
    this.#state = state;
  }

  async describe(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    await Promise.resolve();
    return new Map(
      topics
        .filter((topic) => this.#state.hasTopic(topic))
        .map((topic) => [topic, this.#state.partitionsOf(topic).length]),
    );
  }

  async create(topics: readonly TopicSize[]): Promise<readonly string[]> {
    await Promise.resolve();
    const missing = topics.filter(({ topic }) => !this.#state.hasTopic(topic));
    for (const { topic, partitions } of missing) this.#state.createTopic(topic, partitions);
    return missing.map(({ topic }) => topic);
  }

  async ends(topic: string): Promise<readonly PartitionEnds[]> {
    await Promise.resolve();
    return this.#state
      .partitionsOf(topic)
      .map((place) => ({ ...place, first: 0n, end: BigInt(this.#state.recordsOf(place).length) }));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
