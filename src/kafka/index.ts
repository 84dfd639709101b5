export type { KafkaConnectionOptions, KafkaSasl } from './client/kafkaConnectionOptions.ts';
export type { KafkaLog } from './client/kafkaLog.ts';
export { kafkaSink, type KafkaSinkOptions } from './kafkaSink.ts';
export { kafkaSource, type KafkaSourceOptions } from './kafkaSource.ts';
