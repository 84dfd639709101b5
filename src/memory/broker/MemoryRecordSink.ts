import { together } from '../../flow/together.ts';
import { decodeAnnounced, encodeAnnounced } from '../../model/announcedBitmap.ts';
import { FencedError, PipelineError, PublishError } from '../../model/errors.ts';
import type { Announcer, CommittedState, RecordSink, SinkRecord } from '../../model/recordPorts.ts';
import type { BrokerState } from './BrokerState.ts';

/** A sink of the memory broker. */
export class MemoryRecordSink implements RecordSink {
  readonly #state: BrokerState;
  readonly #announcers = new Set<MemoryAnnouncer>();
  #isClosed = false;

  constructor(state: BrokerState) {
    this.#state = state;
  }

  async send(records: readonly SinkRecord[]): Promise<void> {
    await Promise.resolve();
    this.#demandOpen();
    this.#state.append(records);
  }

  maxRecordBytes(topic: string): number {
    return this.#state.bounds.of(topic);
  }

  async partitionsOf(topic: string): Promise<number> {
    await Promise.resolve();
    this.#demandOpen();
    try {
      return this.#state.partitionsOf(topic).length;
    } catch (error) {
      throw new PublishError(PipelineError.from(error).message);
    }
  }

  async own(topic: string, partition: number, group: string): Promise<Announcer> {
    await Promise.resolve();
    this.#demandOpen();
    if (!this.#state.partitionsOf(topic).some((place) => place.partition === partition)) {
      throw new PublishError(`memory: there is no partition ${topic}-${partition}`);
    }
    const announcer = new MemoryAnnouncer(this.#state, topic, partition, group);
    this.#announcers.add(announcer);
    return announcer;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#announcers].map((announcer) => announcer.close()));
  }

  #demandOpen(): void {
    if (this.#isClosed) throw new PublishError('memory: the sink was closed');
  }
}

interface Announcement {
  readonly records: readonly SinkRecord[];
  readonly next: CommittedState;
}

/** The owner of a partition's offset, for as long as nobody else has taken the transactional id. */
class MemoryAnnouncer implements Announcer {
  readonly committed: CommittedState;
  readonly #state: BrokerState;
  readonly #topic: string;
  readonly #partition: number;
  readonly #group: string;
  readonly #transactionalId: string;
  readonly #epoch: number;
  readonly #commitTogether = together((waiting: readonly Announcement[]) => this.#commit(waiting));
  #broken: PipelineError | undefined;

  constructor(state: BrokerState, topic: string, partition: number, group: string) {
    this.#state = state;
    this.#topic = topic;
    this.#partition = partition;
    this.#group = group;
    this.#transactionalId = `${group}-${topic}-${partition}`;
    // First fence, then read: what is read is then nobody else's to change.
    this.#epoch = state.fence(this.#transactionalId);
    const { offset, metadata } = state.committed(group, { topic, partition }) ?? { offset: 0n, metadata: null };
    this.committed = { offset, announced: decodeAnnounced(offset, metadata) };
  }

  async announce(records: readonly SinkRecord[], next: CommittedState): Promise<void> {
    encodeAnnounced(next);
    await this.#commitTogether({ records, next });
  }

  close(): Promise<void> {
    this.#broken ??= new PublishError(`memory: ${this.#transactionalId}: the announcer was closed`);
    return Promise.resolve();
  }

  async #commit(waiting: readonly Announcement[]): Promise<void> {
    await Promise.resolve(); // the time in which another owner may come
    if (this.#broken !== undefined) throw this.#broken;
    try {
      this.#commitNow(waiting);
    } catch (error) {
      this.#broken = PipelineError.from(error);
      throw this.#broken;
    }
  }

  #commitNow(waiting: readonly Announcement[]): void {
    const last = waiting.at(-1);
    if (last === undefined) return;
    if (!this.#state.isOwner(this.#transactionalId, this.#epoch)) {
      throw new FencedError(`memory: ${this.#transactionalId} has another owner`);
    }
    this.#state.append(waiting.flatMap(({ records }) => records));
    const place = { topic: this.#topic, partition: this.#partition };
    this.#state.commit(this.#group, place, { offset: last.next.offset, metadata: encodeAnnounced(last.next) });
  }
}
