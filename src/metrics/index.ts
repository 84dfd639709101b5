export { recordMetrics } from './recordMetrics.ts';
export type { RecordMetricsOptions } from './recordMetrics.ts';
export { recordWorkerMetrics } from './recordWorkerMetrics.ts';
export type { MeasuredTopic, RecordWorkerMetricsOptions } from './recordWorkerMetrics.ts';
export { Registry } from 'prom-client';
