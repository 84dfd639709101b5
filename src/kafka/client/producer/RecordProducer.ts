import { Partitioners, type Admin, type Producer } from 'kafkajs';
import { PublishError } from '../../../model/errors.ts';
import { RecordBounds } from '../../../model/RecordBounds.ts';
import type { Announcer, RecordSink, SinkRecord } from '../../../model/recordPorts.ts';
import { compressionType } from '../compression/codecs.ts';
import { connected, disconnected } from '../connected.ts';
import { describeTopics } from '../describeTopics.ts';
import { KafkaAnnouncer } from './KafkaAnnouncer.ts';
import type { KafkaClient } from '../kafkaClient.ts';
import { isTooLarge, publishError } from '../kafkaErrors.ts';
import type { KafkaSinkSettings } from '../../kafkaSink.ts';
import { inChunks, toTopicMessages } from './sinkMessages.ts';

/** The sink: a producer for what needs no transaction, and an announcer per owned partition. */
export class RecordProducer implements RecordSink {
  readonly #client: KafkaClient;
  readonly #settings: KafkaSinkSettings;
  readonly #announcers = new Set<KafkaAnnouncer>();
  readonly #bounds = new RecordBounds();
  /** Topics that were there. */
  readonly #known = new Set<string>();
  #producer: Promise<Producer> | undefined;
  #admin: Promise<Admin> | undefined;
  #closing: Promise<void> | undefined;

  constructor(client: KafkaClient, settings: KafkaSinkSettings) {
    this.#client = client;
    this.#settings = settings;
  }

  async send(records: readonly SinkRecord[]): Promise<void> {
    this.#demandOpen();
    if (records.length === 0) return;
    await this.#demandTopics(new Set(records.map(({ topic }) => topic)));
    for (const chunk of inChunks(records, (topic) => this.#bounds.isNarrow(topic))) await this.#sendChunk(chunk);
  }

  maxRecordBytes(topic: string): number {
    return this.#bounds.of(topic);
  }

  async #sendChunk(chunk: readonly SinkRecord[]): Promise<void> {
    try {
      this.#producer ??= connected(
        this.#client.kafka.producer({
          createPartitioner: Partitioners.DefaultPartitioner,
          idempotent: true,
          allowAutoTopicCreation: false,
        }),
      );
      const producer = await this.#producer;
      const compression = compressionType(this.#settings.compression);
      await producer.sendBatch({ topicMessages: toTopicMessages(chunk), compression });
    } catch (error) {
      // What it numbered and could not send would be missed by the broker: the next call starts with another one.
      const broken = this.#producer;
      this.#producer = undefined;
      this.#known.clear();
      await disconnected(broken);
      if (!isTooLarge(error)) throw publishError('sending', error, this.#client.secrets);
      const refusal = this.#bounds.refused(chunk);
      if (chunk.length === 1) throw refusal;
      // Too much together: one by one. What another partition took of them comes twice, as after any error.
      for (const record of chunk) await this.#sendChunk([record]);
    }
  }

  async partitionsOf(topic: string): Promise<number> {
    this.#demandOpen();
    const there = await this.#describe([topic]);
    const partitions = there.get(topic);
    if (partitions === undefined) throw new PublishError(`Kafka: there is no topic ${topic}`, { retryable: true });
    return partitions;
  }

  async own(topic: string, partition: number, group: string): Promise<Announcer> {
    this.#demandOpen();
    const announcer = new KafkaAnnouncer(this.#client, {
      topic,
      partition,
      group,
      transactionTimeoutMs: this.#settings.transactionTimeoutMs,
      startAt: this.#settings.startAt,
      bounds: this.#bounds,
      compression: this.#settings.compression,
      onClosed: () => this.#announcers.delete(announcer),
    });
    this.#announcers.add(announcer);
    try {
      this.#admin ??= connected(this.#client.kafka.admin());
      await announcer.takeOver(await this.#admin);
      return announcer;
    } catch (error) {
      await Promise.all([announcer.close(), this.#replaceAdmin()]);
      throw publishError(`taking over ${topic}-${partition} of group ${group}`, error, this.#client.secrets);
    }
  }

  /** Refuses what is for a topic that is not there: kafkajs would try for seconds, and then break the producer of all. */
  async #demandTopics(topics: ReadonlySet<string>): Promise<void> {
    const unknown = [...topics].filter((topic) => !this.#known.has(topic));
    if (unknown.length === 0) return;
    const there = await this.#describe(unknown);
    for (const topic of there.keys()) this.#known.add(topic);
    const missing = unknown.filter((topic) => !there.has(topic));
    if (missing.length === 0) return;
    throw new PublishError(`Kafka: there is no topic ${missing.join(', ')}`, { retryable: true });
  }

  async #describe(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    try {
      this.#admin ??= connected(this.#client.kafka.admin());
      return await describeTopics(await this.#admin, topics);
    } catch (error) {
      await this.#replaceAdmin();
      throw publishError(`looking for ${topics.join(', ')}`, error, this.#client.secrets);
    }
  }

  /** The next call starts with another connection. */
  async #replaceAdmin(): Promise<void> {
    const broken = this.#admin;
    this.#admin = undefined;
    await disconnected(broken);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await Promise.all([
      ...[...this.#announcers].map((announcer) => announcer.close()),
      disconnected(this.#producer),
      disconnected(this.#admin),
    ]);
    this.#client.close();
  }

  #demandOpen(): void {
    if (this.#closing !== undefined) throw new PublishError('Kafka: the sink was closed');
  }
}
