import { Partitioners, type Admin, type Producer, type Transaction } from 'kafkajs';
import { together } from '../../../flow/together.ts';
import { encodeAnnounced } from '../../../model/announcedBitmap.ts';
import { PublishError, type PipelineError } from '../../../model/errors.ts';
import type { Announcer, CommittedState, SinkRecord } from '../../../model/recordPorts.ts';
import type { RecordBounds } from '../../../model/RecordBounds.ts';
import { compressionType, type Compression } from '../compression/codecs.ts';
import type { KafkaClient } from '../kafkaClient.ts';
import { isOfType, isTooLarge, publishError } from '../kafkaErrors.ts';
import { readCommitted } from '../readCommitted.ts';
import { inChunks, toTopicMessages } from './sinkMessages.ts';

interface AnnouncerSettings {
  readonly topic: string;
  readonly partition: number;
  readonly group: string;
  readonly transactionTimeoutMs: number;
  readonly startAt: 'earliest' | 'latest';
  /** Those of the sink. */
  readonly bounds: RecordBounds;
  readonly compression: Compression;
  readonly onClosed: () => void;
}

interface Announcement {
  readonly records: readonly SinkRecord[];
  readonly next: CommittedState;
}

/** How often, and after how long, an offset is offered again while the broker finishes the transaction before. */
const busy = { attempts: 100, pauseMs: 10 };

/** A transactional producer for the offset of one partition. */
export class KafkaAnnouncer implements Announcer {
  readonly #client: KafkaClient;
  readonly #settings: AnnouncerSettings;
  readonly #producer: Producer;
  readonly #commitTogether = together((waiting: readonly Announcement[]) => this.#commit(waiting));
  #committed: CommittedState = { offset: 0n, announced: new Set() };
  /** Why no further transaction is begun. */
  #broken: PipelineError | undefined;
  #running: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(client: KafkaClient, settings: AnnouncerSettings) {
    const { topic, partition, group, transactionTimeoutMs } = settings;
    this.#client = client;
    this.#settings = settings;
    this.#producer = client.kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      transactionalId: `${group}-${topic}-${partition}`,
      maxInFlightRequests: 1,
      transactionTimeout: transactionTimeoutMs,
      allowAutoTopicCreation: false,
    });
  }

  get committed(): CommittedState {
    return this.#committed;
  }

  /** Fences whoever was before, and only then reads how far that one got. */
  async takeOver(admin: Admin): Promise<void> {
    await this.#producer.connect();
    // kafkajs has no initTransactions: the first transaction takes the next epoch, which ends what was begun in the last.
    const transaction = await this.#producer.transaction();
    await transaction.abort();
    this.#committed = (await readCommitted(admin, this.#settings)) ?? (await this.#begin(admin));
  }

  async announce(records: readonly SinkRecord[], next: CommittedState): Promise<void> {
    encodeAnnounced(next); // refuses what cannot be committed before it could break the transaction of others
    await this.#commitTogether({ records, next });
  }

  close(): Promise<void> {
    this.#broken ??= new PublishError(`Kafka: ${this.#name()}: the announcer was closed`);
    this.#closing ??= this.#disconnect();
    return this.#closing;
  }

  async #commit(waiting: readonly Announcement[]): Promise<void> {
    const last = waiting.at(-1);
    if (this.#broken !== undefined) throw this.#broken;
    if (last === undefined) return;
    try {
      await (this.#running = this.#transact(
        waiting.flatMap(({ records }) => records),
        last.next,
      ));
    } catch (error) {
      this.#broken ??= publishError(this.#name(), error, this.#client.secrets);
      void this.close();
      throw this.#broken;
    }
  }

  async #transact(records: readonly SinkRecord[], next: CommittedState): Promise<void> {
    const transaction = await this.#producer.transaction();
    // The records first: offsets as the first call after a commit are answered with CONCURRENT_TRANSACTIONS.
    const compression = compressionType(this.#settings.compression);
    for (const chunk of inChunks(records, (topic) => this.#settings.bounds.isNarrow(topic))) {
      try {
        await transaction.sendBatch({ topicMessages: toTopicMessages(chunk), compression });
      } catch (error) {
        throw isTooLarge(error) ? this.#settings.bounds.refused(chunk) : error;
      }
    }
    await this.#sendOffsets(transaction, next);
    await transaction.commit();
  }

  async #sendOffsets(transaction: Transaction, next: CommittedState): Promise<void> {
    const { topic, partition, group } = this.#settings;
    const offset = { partition, offset: String(next.offset), metadata: encodeAnnounced(next) };
    for (let attempt = 1; ; attempt++) {
      try {
        await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions: [offset] }] });
        return;
      } catch (error) {
        if (attempt === busy.attempts || !isOfType(error, 'CONCURRENT_TRANSACTIONS')) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, busy.pauseMs));
    }
  }

  /** Where nothing was ever committed. */
  async #begin(admin: Admin): Promise<CommittedState> {
    const { topic, partition, startAt } = this.#settings;
    if (startAt === 'earliest') return { offset: 0n, announced: new Set() };
    const ends = await admin.fetchTopicOffsets(topic);
    const end = ends.find((each) => each.partition === partition)?.high ?? '0';
    const state = { offset: BigInt(end), announced: new Set<bigint>() };
    // Otherwise the next owner would leave out what comes until the first commit.
    await this.#transact([], state);
    return state;
  }

  async #disconnect(): Promise<void> {
    this.#settings.onClosed();
    await this.#running.catch(() => undefined); // whoever announced is told
    await this.#producer.disconnect().catch(() => undefined); // a broker that is gone cannot be told
  }

  #name(): string {
    const { topic, partition, group } = this.#settings;
    return `${topic}-${partition} of group ${group}`;
  }
}
