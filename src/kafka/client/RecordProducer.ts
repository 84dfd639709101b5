import { Partitioners, type Admin, type Producer } from 'kafkajs';
import { PublishError } from '../../model/errors.ts';
import type { Announcer, RecordSink, SinkRecord } from '../../model/recordPorts.ts';
import { KafkaAnnouncer } from './KafkaAnnouncer.ts';
import type { KafkaClient } from './kafkaClient.ts';
import { publishError } from './kafkaErrors.ts';
import type { KafkaSinkSettings } from '../kafkaSink.ts';
import { inChunks, toTopicMessages } from './sinkMessages.ts';

interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/** The sink: a producer for what needs no transaction, and an announcer per owned partition. */
export class RecordProducer implements RecordSink {
  readonly #client: KafkaClient;
  readonly #settings: KafkaSinkSettings;
  readonly #announcers = new Set<KafkaAnnouncer>();
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
    try {
      this.#producer ??= connected(
        this.#client.kafka.producer({
          createPartitioner: Partitioners.DefaultPartitioner,
          idempotent: true,
          allowAutoTopicCreation: false,
        }),
      );
      const producer = await this.#producer;
      for (const chunk of inChunks(records)) await producer.sendBatch({ topicMessages: toTopicMessages(chunk) });
    } catch (error) {
      // What it numbered and could not send would be missed by the broker: the next call starts with another one.
      const broken = this.#producer;
      this.#producer = undefined;
      await disconnected(broken);
      throw publishError('sending', error, this.#client.secrets);
    }
  }

  async partitionsOf(topic: string): Promise<number> {
    this.#demandOpen();
    try {
      this.#admin ??= connected(this.#client.kafka.admin());
      const { topics } = await (await this.#admin).fetchTopicMetadata({ topics: [topic] });
      return topics[0]?.partitions.length ?? 0;
    } catch (error) {
      await this.#replaceAdmin();
      throw publishError(`the partitions of ${topic}`, error, this.#client.secrets);
    }
  }

  async own(topic: string, partition: number, group: string): Promise<Announcer> {
    this.#demandOpen();
    const announcer = new KafkaAnnouncer(this.#client, {
      topic,
      partition,
      group,
      transactionTimeoutMs: this.#settings.transactionTimeoutMs,
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
  }

  #demandOpen(): void {
    if (this.#closing !== undefined) throw new PublishError('Kafka: the sink was closed');
  }
}

async function connected<Client extends Connectable>(client: Client): Promise<Client> {
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.disconnect().catch(() => undefined);
    throw error;
  }
}

async function disconnected(client: Promise<Connectable> | undefined): Promise<void> {
  try {
    await (await client)?.disconnect();
  } catch {
    // It never was connected, or the broker is gone.
  }
}
