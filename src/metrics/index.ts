export { recordMetrics } from './recordMetrics.ts';
export type { RecordMetricsOptions } from './recordMetrics.ts';
