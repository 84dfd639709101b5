import type { Consumer, EachBatchPayload } from 'kafkajs';
import { Assignment, type Revocation } from '../../../model/assignment.ts';
import { BrokerError, FencedError, PipelineError } from '../../../model/errors.ts';
import type {
  CommittedState,
  RecordHandlers,
  RecordPosition,
  RecordSource,
  TopicPartition,
  UndecodableRecord,
} from '../../../model/recordPorts.ts';
import { connected, disconnected } from '../connected.ts';
import { readCommitted } from '../readCommitted.ts';
import type { KafkaClient } from '../kafkaClient.ts';
import { brokerError, isHopeless, isRebalancing, isStartingUp } from '../kafkaErrors.ts';
import type { KafkaSourceSettings } from '../../kafkaSource.ts';
import { HeldPartitions } from './HeldPartitions.ts';
import { openConsumer, type ConsumerEvents } from './openConsumer.ts';
import { toSourceRecord } from './sourceRecord.ts';
import { Signal } from './Signal.ts';

/** After how long a commit is tried again, if nothing is heard of the group before. */
const commitPauseMs = 1_000;

/** The first pause before a consumer that has crashed is replaced; it doubles until records have been read. */
const shortestRejoinDelayMs = 100;

/** A member of a consumer group that outlives the consumers of kafkajs. */
export class GroupMember implements RecordSource {
  readonly #client: KafkaClient;
  readonly #settings: KafkaSourceSettings;
  readonly #assignment = new Assignment();
  /** Set off by every join, crash and stop: whoever waits for a rebalance looks again. */
  readonly #joins = new Signal();
  #handlers: RecordHandlers | undefined;
  #consumer: Consumer | undefined;
  #memberId: string | undefined;
  /** The attempt to join that is under way, or was the last. */
  #opening: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  readonly #held: HeldPartitions;
  /** How often anything was rewound: what was fetched before that is no news. */
  #rewinds = 0;
  #rejoinDelayMs = shortestRejoinDelayMs;

  constructor(client: KafkaClient, settings: KafkaSourceSettings) {
    this.#client = client;
    this.#settings = settings;
    this.#held = new HeldPartitions({
      checkMs: settings.heldCheckMs,
      committed: (place) => this.#committed(place),
      tryAgain: (place) => {
        if (!this.#assignment.isPaused(place)) this.#consumer?.resume([toTopicPartitions(place)]);
      },
      goOn: (position) => this.rewind(position),
    });
  }

  get joined(): boolean {
    return this.#memberId !== undefined;
  }

  async run(handlers: RecordHandlers): Promise<void> {
    if (this.#handlers !== undefined || this.#isStopped())
      throw new BrokerError('broker_error', 'Kafka: the source was run');
    this.#handlers = handlers;
    try {
      const opening = this.#openFirst();
      this.#opening = opening.catch(() => undefined);
      await opening;
    } catch (error) {
      this.#handlers = undefined;
      throw this.#error('joining the group', error);
    }
  }

  async commit(record: RecordPosition, epoch: number): Promise<void> {
    const next = record.offset + 1n;
    for (;;) {
      // kafkajs commits as the member it is now: without this, a partition that went to somebody else would be set back.
      this.#assignment.demand(record, epoch);
      if (!this.#assignment.advances(record, next)) return;
      const change = this.#joins.within(commitPauseMs);
      try {
        await this.#commitNext(record, next);
        this.#assignment.advance(record, next);
        change.cancel();
        return;
      } catch (error) {
        const failure = this.#error(`committing ${record.topic}-${record.partition}`, error);
        if (!failure.retryable && !isRebalancing(error)) throw failure;
      }
      await change.done;
    }
  }

  pause(partitions: readonly TopicPartition[]): void {
    const ours = this.#assignment.setPaused(partitions, true);
    this.#consumer?.pause(ours.map(toTopicPartitions));
  }

  resume(partitions: readonly TopicPartition[]): void {
    const ours = this.#assignment.setPaused(partitions, false);
    this.#consumer?.resume(ours.filter((place) => !this.#held.has(place)).map(toTopicPartitions));
  }

  rewind({ topic, partition, offset }: RecordPosition): void {
    if (!this.#assignment.rewind({ topic, partition, offset })) return;
    this.#rewinds += 1;
    this.#consumer?.seek({ topic, partition, offset: String(offset) });
    if (!this.#held.has({ topic, partition })) return;
    if (!this.#assignment.isPaused({ topic, partition })) this.#consumer?.resume([{ topic, partitions: [partition] }]);
    this.#release({ topic, partition });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#close();
    return this.#stopping;
  }

  #isStopped(): boolean {
    return this.#stopping !== undefined;
  }

  /** A broker that has just started may take seconds to know its groups, which is more than kafkajs waits for it. */
  async #openFirst(): Promise<void> {
    for (let delayMs = 100; ; delayMs *= 2) {
      try {
        await this.#open();
        return;
      } catch (error) {
        if (!isStartingUp(error) || this.#isStopped()) throw error;
        this.#interrupted(this.#error('joining the group', error), error);
      }
      await this.#joins.within(Math.min(delayMs, this.#settings.maxRejoinDelayMs)).done;
    }
  }

  async #open(): Promise<void> {
    const events: ConsumerEvents = {
      onOpened: (consumer) => {
        if (this.#isStopped()) throw new BrokerError('broker_error', 'Kafka: the source was stopped');
        this.#consumer = consumer;
      },
      onJoined: (memberId, partitions) => this.#onJoined(memberId, partitions),
      onBatch: (batch) => this.#onBatch(batch),
      onFetch: () => {
        const rewinds = this.#rewinds;
        return (record, reason) => {
          if (rewinds === this.#rewinds) this.#onUndecodable(record, reason);
        };
      },
      onPassed: (position) => this.#passed(position),
      onCrash: (error) => this.#onCrash(error),
    };
    try {
      await openConsumer(this.#client, this.#settings, events);
    } catch (error) {
      this.#consumer = undefined;
      throw error;
    }
  }

  async #close(): Promise<void> {
    this.#memberId = undefined;
    this.#revoke(this.#assignment.leave());
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#joins.fire();
    await consumer?.disconnect().catch(() => undefined); // a broker that is gone cannot be told
    await this.#opening;
    this.#client.close();
  }

  async #commitNext({ topic, partition }: TopicPartition, next: bigint): Promise<void> {
    const consumer = this.#consumer;
    if (consumer === undefined) throw new FencedError('the group was lost');
    await consumer.commitOffsets([{ topic, partition, offset: String(next) }]);
  }

  #onJoined(memberId: string, partitions: readonly TopicPartition[]): void {
    if (this.#isStopped()) return;
    // An expelled member comes back under a new id: what it had may have been somebody else's meanwhile.
    const change = this.#assignment.join(partitions, { kept: memberId === this.#memberId });
    this.#memberId = memberId;
    // kafkajs keeps its pauses by name: a partition that comes back is not paused any more.
    this.#consumer?.resume(change.assigned.map(toTopicPartitions));
    this.#revoke(change.revoked);
    this.#tell((handlers) => handlers.onAssigned(change.epoch, change.assigned));
    this.#joins.fire();
  }

  /** Takes records in, and never waits for what becomes of them: kafkajs would fetch nothing else meanwhile. */
  #onBatch(payload: EachBatchPayload): void {
    const { topic, partition, messages } = payload.batch;
    for (const message of messages) {
      if (this.#isStopped() || payload.isStale() || this.#assignment.isPaused({ topic, partition })) return;
      const record = toSourceRecord({ topic, partition }, message);
      // A partition that was kept through a rebalance brings its uncommitted records again.
      const epoch = this.#assignment.accept(record);
      this.#release(record);
      if (epoch !== undefined) this.#tell((handlers) => handlers.onRecord(record, epoch));
      payload.resolveOffset(message.offset);
    }
    this.#passed({ topic, partition, offset: BigInt(payload.batch.lastOffset()) + 1n });
  }

  /** Holds the partition. It is asked for all the same what it says: kafkajs knows nothing of it, and would go on fetching. */
  #onUndecodable(record: UndecodableRecord, reason: Error): void {
    const { topic, partition, offset } = record;
    const epoch = this.#assignment.epochOf(record);
    // Whoever has paused it gets nothing of it, and it is fetched again later.
    if (epoch === undefined || this.#assignment.isPaused(record)) return;
    this.#rejoinDelayMs = shortestRejoinDelayMs;
    this.#consumer?.pause([{ topic, partitions: [partition] }]);
    const message = `Kafka: ${topic}-${partition}: what stands at offset ${offset} cannot be decoded: ${reason.message}`;
    const error = new BrokerError('undecodable', message);
    this.#held.hold({ topic, partition, offset }, () => {
      this.#tell((handlers) => handlers.onUndecodable?.(record, error, epoch));
    });
  }

  #release(place: TopicPartition): void {
    const epoch = this.#assignment.epochOf(place);
    if (!this.#held.release(place) || epoch === undefined) return;
    const { topic, partition } = place;
    this.#tell((handlers) => handlers.onReleased?.({ topic, partition }, epoch));
  }

  async #committed({ topic, partition }: TopicPartition): Promise<CommittedState | undefined> {
    const admin = connected(this.#client.kafka.admin());
    try {
      return await readCommitted(await admin, { topic, partition, group: this.#settings.groupId });
    } finally {
      await disconnected(admin);
    }
  }

  #passed(position: RecordPosition): void {
    this.#rejoinDelayMs = shortestRejoinDelayMs;
    this.#release(position);
    const epoch = this.#assignment.epochOf(position);
    if (epoch !== undefined) this.#tell((handlers) => handlers.onPosition?.(position, epoch));
  }

  #onCrash(error: unknown): void {
    if (this.#isStopped()) return;
    this.#memberId = undefined;
    this.#consumer = undefined;
    const failure = this.#error('the consumer', error);
    this.#revoke(this.#assignment.leave());
    this.#joins.fire();
    this.#interrupted(failure, error);
    this.#opening = this.#joinAgain();
  }

  #interrupted(failure: PipelineError, error: unknown): void {
    if (isHopeless(error)) this.#fail(failure);
    else this.#tell((handlers) => handlers.onInterrupted?.(failure));
  }

  /** A crashed consumer never comes back by itself: another one takes its place, however long that takes. */
  async #joinAgain(): Promise<void> {
    while (!this.#isStopped()) {
      const delayMs = Math.min(this.#rejoinDelayMs, this.#settings.maxRejoinDelayMs);
      // A member that has joined may crash as it fetches: the pauses grow until it has really read something.
      this.#rejoinDelayMs = 2 * delayMs;
      await this.#joins.within(delayMs).done;
      if (this.#isStopped()) return;
      try {
        await this.#open();
        return;
      } catch (error) {
        this.#interrupted(this.#error('joining the group', error), error);
      }
    }
  }

  #revoke(revocations: readonly Revocation[]): void {
    for (const place of revocations.flatMap(({ partitions }) => partitions)) this.#held.release(place);
    for (const { epoch, partitions } of revocations) this.#tell((handlers) => handlers.onRevoked(epoch, partitions));
  }

  /** Calls a handler. What it throws must not reach kafkajs, which would take it for a failure of the fetch. */
  #tell(call: (handlers: RecordHandlers) => void): void {
    if (this.#handlers === undefined) return;
    try {
      call(this.#handlers);
    } catch (error) {
      this.#fail(PipelineError.from(error));
    }
  }

  #fail(error: PipelineError): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    void this.stop();
    handlers?.onFatal(error);
  }

  #error(what: string, error: unknown): PipelineError {
    const { groupId } = this.#settings;
    return brokerError(`group ${groupId}: ${what}`, error, this.#client.secrets);
  }
}

function toTopicPartitions({ topic, partition }: TopicPartition): { topic: string; partitions: number[] } {
  return { topic, partitions: [partition] };
}
