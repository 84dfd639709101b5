import type { Consumer, EachBatchPayload } from 'kafkajs';
import { Assignment, type Revocation } from '../../../model/assignment.ts';
import { BrokerError, FencedError, PipelineError } from '../../../model/errors.ts';
import type { RecordHandlers, RecordPosition, RecordSource, TopicPartition } from '../../../model/recordPorts.ts';
import type { KafkaClient } from '../kafkaClient.ts';
import { brokerError, isHopeless, isRebalancing, isStartingUp } from '../kafkaErrors.ts';
import type { KafkaSourceSettings } from '../../kafkaSource.ts';
import { openConsumer, type ConsumerEvents } from './openConsumer.ts';
import { toSourceRecord } from './sourceRecord.ts';
import { Signal } from './Signal.ts';

/** After how long a commit is tried again, if nothing is heard of the group before. */
const commitPauseMs = 1_000;

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

  constructor(client: KafkaClient, settings: KafkaSourceSettings) {
    this.#client = client;
    this.#settings = settings;
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
    this.#consumer?.resume(ours.map(toTopicPartitions));
  }

  rewind({ topic, partition, offset }: RecordPosition): void {
    if (!this.#assignment.rewind({ topic, partition, offset })) return;
    this.#consumer?.seek({ topic, partition, offset: String(offset) });
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
      if (epoch !== undefined) this.#tell((handlers) => handlers.onRecord(record, epoch));
      payload.resolveOffset(message.offset);
    }
    this.#passed({ topic, partition, offset: BigInt(payload.batch.lastOffset()) + 1n });
  }

  #passed(position: RecordPosition): void {
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
    const { maxRejoinDelayMs } = this.#settings;
    for (let delayMs = 100; !this.#isStopped(); delayMs *= 2) {
      await this.#joins.within(Math.min(delayMs, maxRejoinDelayMs)).done;
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
