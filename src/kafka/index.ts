export type { KafkaConnectionOptions, KafkaSasl } from './client/kafkaConnectionOptions.ts';
export type { KafkaLog } from './client/kafkaLog.ts';
export { kafkaSink, type KafkaSinkOptions } from './kafkaSink.ts';
export { kafkaSource, type KafkaSourceOptions } from './kafkaSource.ts';
export { fromRequests, type DeliveryOf } from './requests/fromRequests.ts';
export type { FromRequestsOptions } from './requests/fromRequestsOptions.ts';
export type { AnyRequestTopic, RequestTopic } from './requests/requestTopic.ts';
export {
  historicalMarketDataTopic,
  marketDataTopic,
  marketIndexDataTopic,
  type HistoricalTopicOptions,
  type RequestTopicOptions,
} from './requests/requestTopics.ts';
export type { WorkerEvent, WorkerObserver } from '../model/workerEvents.ts';
export { completionRecords, type CompletionTarget } from './records/completionRecords.ts';
export { deadLetterRecord, type DeadLetterTarget } from './records/deadLetterRecord.ts';
export { ledgerKeyOf } from './records/ledgerKeyOf.ts';
export { recordPublisher, type RecordPublisherOptions } from './records/recordPublisher.ts';
export { kafkaTopics } from './kafkaTopics.ts';
export { prepareTopics, type PrepareTopicsOptions } from './prepareTopics.ts';
export { skipUndecodable, type Skipped, type SkipUndecodableOptions } from './partitions/skipUndecodable.ts';
export { redrive, type RedriveOptions } from './redrive/redrive.ts';
export type { Redriven } from './redrive/RedriveRun.ts';
