import { pause } from '../flow/pause.ts';
import { BrokerState, type CommittedOffset, type Member } from '../memory/broker/BrokerState.ts';
import { MemoryRecordSink } from '../memory/broker/MemoryRecordSink.ts';
import { MemoryRecordSource, type GroupBroker } from '../memory/broker/MemoryRecordSource.ts';
import { keyOf } from '../model/assignment.ts';
import { FencedError, PublishError } from '../model/errors.ts';
import type { Announcer, RecordSink, RecordSource, TopicPartition } from '../model/recordPorts.ts';
import type { SimulatedProcess } from './SimulatedProcess.ts';
import type { World } from './World.ts';

/** A member that was not heard of for so long is none any more. */
const sessionMs = 3_000;
const retryMs = 200;

/** A broker that tells of each offset that is committed. */
class WatchedBroker extends BrokerState {
  onCommit: (place: TopicPartition, committed: CommittedOffset) => void = () => undefined;

  override commit(groupId: string, place: TopicPartition, committed: CommittedOffset): void {
    super.commit(groupId, place, committed);
    this.onCommit(place, committed);
  }
}

/** The memory broker at a distance: what members ask for, and what they are told, takes time and may be lost. */
export class SimulatedBroker {
  readonly state: WatchedBroker;
  readonly #world: World;
  /** The member that has each partition, as the broker sees it. */
  readonly #owners = new Map<string, Member>();

  constructor(world: World) {
    this.#world = world;
    this.state = new WatchedBroker(() => world.time.dateMs);
  }

  source(process: SimulatedProcess, groupId: string, topics: readonly string[]): RecordSource {
    const { state } = this;
    let distant: Member | undefined;
    const broker: GroupBroker = {
      recordsOf: (place) => (this.#world.isDown('broker') ? [] : state.recordsOf(place)),
      committed: (group, place) => state.committed(group, place),
      commit: (group, place, offset) => {
        if (this.#owners.get(keyOf(place)) !== distant) throw new FencedError(`${keyOf(place)} has another owner`);
        state.commit(group, place, offset);
      },
      join: (group, member) => {
        distant = this.#atDistance(process, member);
        this.#watchSession(process, group, member, distant);
        state.join(group, distant);
      },
      leave: (group) => {
        if (distant !== undefined) state.leave(group, distant);
      },
    };
    const source = new MemoryRecordSource(broker, groupId, topics);
    return {
      get joined() {
        return source.joined;
      },
      run: async (handlers) => {
        await this.#untilAnswered(process, 'join', () => undefined);
        await source.run(handlers);
      },
      commit: (record, epoch) => {
        const apply = (): Promise<void> => source.commit(record, epoch);
        return this.#world.effect(process, { on: 'broker', name: `commit ${record.offset}`, apply, failure });
      },
      pause: (partitions) => source.pause(partitions),
      resume: (partitions) => source.resume(partitions),
      rewind: (position) => source.rewind(position),
      stop: () => source.stop(),
    };
  }

  sink(process: SimulatedProcess): RecordSink {
    const sink = new MemoryRecordSink(this.state);
    const effect = <Result>(name: string, apply: () => Promise<Result>): Promise<Result> =>
      this.#world.effect(process, { on: 'broker', name, apply, failure });
    return {
      send: (records) => effect(`send ${records[0]?.topic ?? ''}`, () => sink.send(records)),
      maxRecordBytes: (topic) => sink.maxRecordBytes(topic),
      partitionsOf: (topic) => effect('partitions', () => sink.partitionsOf(topic)),
      own: async (topic, partition, group) =>
        distantAnnouncer(await effect(`own ${topic}-${partition}`, () => sink.own(topic, partition, group)), effect),
      close: () => Promise.resolve(),
    };
  }

  /** The same member, told of its partitions once it asks for them, and of records a little later. */
  #atDistance(process: SimulatedProcess, member: Member): Member {
    const { time } = this.#world;
    let latest: readonly TopicPartition[] = [];
    let isAsking = false;
    let isWaking = false;
    const ask = async (): Promise<void> => {
      for (let isTold = false; !isTold;) {
        const told = await this.#untilAnswered(process, 'assignment', () => latest);
        member.assign(told);
        isTold = told === latest;
      }
      isAsking = false;
    };
    const wake = (): void => {
      isWaking = false;
      member.wake();
    };
    const distant: Member = {
      topics: member.topics,
      assign: (partitions) => {
        for (const [place, owner] of this.#owners) if (owner === distant) this.#owners.delete(place);
        for (const place of partitions) this.#owners.set(keyOf(place), distant);
        latest = partitions;
        if (isAsking) return;
        isAsking = true;
        time.after(0, () => void ask(), process);
      },
      wake: () => {
        if (isWaking) return;
        isWaking = true;
        time.after(this.#world.latencyMs('broker'), wake, process);
      },
    };
    this.#world.onOutage.add((server, forMs) => {
      if (server === 'broker') time.after(forMs + 1, () => distant.wake());
    });
    return distant;
  }

  /** Who is dead, or paused for long, loses its partitions; who goes on then finds out, and joins again. */
  #watchSession(process: SimulatedProcess, group: string, member: Member, distant: Member): void {
    const { time } = this.#world;
    process.onDeath.add(() => time.after(sessionMs, () => this.state.leave(group, distant)));
    process.onPause.add((forMs) => {
      if (forMs <= sessionMs) return;
      time.after(sessionMs, () => {
        this.state.leave(group, distant);
        const rejoin = (): void => {
          member.assign([]);
          this.state.join(group, distant);
        };
        time.after(0, rejoin, process);
      });
    });
  }

  /** Asks until the broker answers. */
  async #untilAnswered<Result>(process: SimulatedProcess, name: string, ask: () => Result): Promise<Result> {
    for (;;) {
      try {
        return await this.#world.effect(process, { on: 'broker', name, apply: ask, failure });
      } catch {
        await pause(retryMs, new AbortController().signal);
      }
    }
  }
}

/** An announcer at a distance: after a failure nobody knows what became of the transaction. */
function distantAnnouncer(
  announcer: Announcer,
  effect: (name: string, apply: () => Promise<void>) => Promise<void>,
): Announcer {
  let broken: unknown;
  return {
    committed: announcer.committed,
    announce: async (records, next) => {
      if (broken !== undefined) throw broken as Error;
      try {
        await effect(`announce up to ${next.offset}`, () => announcer.announce(records, next));
      } catch (error) {
        broken = error;
        throw error;
      }
    },
    close: () => {
      // What is on its way may arrive all the same.
      broken ??= new PublishError('the announcer was closed');
      return Promise.resolve();
    },
  };
}

function failure(how: 'refused' | 'lost'): PublishError {
  return new PublishError(`simulated broker: ${how === 'refused' ? 'connection refused' : 'no answer'}`, {
    retryable: true,
  });
}
