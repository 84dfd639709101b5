import { defineOptions } from '../model/defineOptions.ts';
import type { RecordTopics } from '../model/recordPorts.ts';
import { connectionChecks, type KafkaConnectionOptions } from './client/kafkaConnectionOptions.ts';
import { kafkaClient } from './client/kafkaClient.ts';
import { TopicAdmin } from './client/TopicAdmin.ts';

const resolveOptions = defineOptions<KafkaConnectionOptions>('kafkaTopics')(connectionChecks);

/**
 * Looks for Kafka topics, and creates those that are missing: see `RecordTopics`. It connects when it is first used, and again
 * after a failure. New topics get the replication factor and the settings that the brokers give by default; one that is there
 * is never altered. An error names brokers and topics, and never a password.
 *
 * @example
 * ```ts
 * import { kafkaTopics } from 'fintrack-pipelines/kafka';
 *
 * const topics = kafkaTopics({ brokers: ['localhost:9092'] });
 * await topics.close(); // it never had to connect
 * ```
 */
export function kafkaTopics(options: KafkaConnectionOptions): RecordTopics {
  return new TopicAdmin(kafkaClient(resolveOptions(options)));
}
