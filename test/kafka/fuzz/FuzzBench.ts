import type { Subscription } from 'rxjs';
import { vi } from 'vitest';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import { memorySink } from '../../../src/memory/memorySink.ts';
import type { SourceRecord } from '../../../src/model/recordPorts.ts';
import { lanes, topics, type Lane } from '../../support/workers/requests.ts';
import { findFaults } from './findFaults.ts';
import { fuzzTopics, fuzzWorker, type FuzzSinks } from './fuzzWorker.ts';
import type { FuzzMessage } from './messages.ts';

const groupId = 'workers';

const names = lanes.flatMap((lane) => {
  const { request, completion, work } = topics[lane];
  return [request, completion, work, `${request}-dlt`];
});

/** The real one, in virtual time, too. */
const immediate = setImmediate;
async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => immediate(resolve));
}

/** A worker with everything in memory, in virtual time, for whatever comes. */
export class FuzzBench {
  readonly #broker = memoryBroker({
    topics: Object.fromEntries(names.map((name) => [name, 2])),
    now: () => 1_700_000_000_000,
  });
  readonly #sinks: FuzzSinks = { market: memorySink(), index: memorySink(), historical: memorySink() };
  readonly #topics = fuzzTopics(this.#sinks);
  readonly #subscription: Subscription;
  #end: unknown;

  constructor() {
    const read = lanes.flatMap((lane) => [topics[lane].request, topics[lane].work]);
    const source = this.#broker.source({ groupId, topics: read });
    const options = { source, sink: this.#broker.sink(), groupId, topics: this.#topics, sinks: this.#sinks };
    this.#subscription = fuzzWorker(options).subscribe({
      error: (error: unknown) => (this.#end = error),
      complete: () => (this.#end = 'completed'),
    });
  }

  async send(messages: readonly FuzzMessage[]): Promise<void> {
    await this.#broker.sink().send(messages);
  }

  /** All that is wrong, after so much time. */
  async faults(afterMs: number): Promise<string[]> {
    for (let passed = 0; passed < afterMs; passed += 250) {
      await settle();
      await vi.advanceTimersByTimeAsync(250);
    }
    await settle();
    const ends = this.#end === undefined ? [] : [`the worker has ended: ${String(this.#end)}`];
    return ends.concat(lanes.flatMap((lane) => this.#faultsOf(lane)));
  }

  completions(lane: Lane): readonly SourceRecord[] {
    return this.#broker.records(topics[lane].completion);
  }

  /** Leaves the group; what is wrong with how far it says that it has got. */
  async close(): Promise<string[]> {
    this.#subscription.unsubscribe();
    await settle();
    const faults: string[] = [];
    for (const topic of lanes.flatMap((lane) => [topics[lane].request, topics[lane].work])) {
      for (const { partition, end } of await this.#broker.topics().ends(topic)) {
        const { committed } = await this.#broker.sink().own(topic, partition, groupId);
        if (committed.offset !== end) faults.push(`${topic}-${partition}: at ${committed.offset} of ${end}`);
      }
    }
    return faults;
  }

  #faultsOf(lane: Lane): string[] {
    const { request, completion, work } = topics[lane];
    return findFaults({
      topic: this.#topics[lane],
      requests: this.#broker.records(request),
      // Those of the worker are read like all others.
      works: this.#broker.records(work),
      completions: this.#broker.records(completion),
      deadLetters: this.#broker.records(`${request}-dlt`),
    });
  }
}
