export type { KafkaConnectionOptions, KafkaSasl } from './kafkaConnectionOptions.ts';
export type { KafkaLog } from './kafkaLog.ts';
export { kafkaSink, type KafkaSinkOptions } from './kafkaSink.ts';
export { kafkaSource, type KafkaSourceOptions } from './kafkaSource.ts';
