import type { Registry } from 'prom-client';
import { tap, type MonoTypeOperatorFunction } from 'rxjs';
import { z } from 'zod';
import { batchMs, type Batch, type ProviderCall, type WriteCounts } from '../model/batch.ts';
import { defineOptions, port } from '../model/defineOptions.ts';
import { countOutcomes } from '../model/outcome.ts';
import { knownResult } from './labels.ts';
import { pipelineMetrics, type PipelineMetrics } from './pipelineMetrics.ts';

export interface RecordMetricsOptions {
  /** Where the metrics go: a `Registry`, prom-client's. Operators on the same registry share them. */
  registry: Registry;
  /** The value of the label `pipeline`, such as `market-data`. */
  pipeline: string;
}

const resolveOptions = defineOptions<RecordMetricsOptions>('recordMetrics')({
  registry: port<Registry>('a Registry of prom-client', 'registerMetric', 'getSingleMetric'),
  pipeline: z.string().min(1),
});

/**
 * Counts what passes, for Prometheus: batches, symbols by outcome, rows, provider calls, and how long they took. The
 * batches pass unchanged, one by one as they come.
 *
 * It belongs behind the last stage of a pipeline, usually `writeTo`, because it counts what is known of a batch when it
 * passes. It works in any RxJS pipeline of batches; complete, error and unsubscribe pass through it. Every metric is
 * listed in docs/metrics.md. Symbols are no label, so the number of series does not grow with what is asked for; a
 * result or an error code that this library does not know is counted as `internal` for the same reason. The counters of
 * outcomes and rows are there, as 0, from the call on.
 *
 * What was refused at the acceptance of a request comes with the index -1, and is no batch: only its outcomes are counted.
 *
 * Throws an `OptionsError` when the registry holds something else under one of the names.
 *
 * @example
 * ```ts
 * import { from } from 'rxjs';
 * import type { Asset, Batch, Quote } from 'fintrack-pipelines';
 * import { recordMetrics, Registry } from 'fintrack-pipelines/metrics';
 *
 * const done: Batch<Asset, Quote> = {
 *   index: 0,
 *   outcomes: [{ status: 'skipped', input: { symbol: 'AAPL', assetType: 'STOCK' }, reason: 'quota' }],
 * };
 * const registry = new Registry();
 * from([done]).pipe(recordMetrics({ registry, pipeline: 'market-data' })).subscribe();
 *
 * console.log(await registry.getSingleMetricAsString('fintrack_symbols_total'));
 * // # HELP fintrack_symbols_total Symbols processed, by outcome.
 * // # TYPE fintrack_symbols_total counter
 * // fintrack_symbols_total{pipeline="market-data",outcome="ok"} 0
 * // fintrack_symbols_total{pipeline="market-data",outcome="fresh"} 0
 * // fintrack_symbols_total{pipeline="market-data",outcome="failed"} 0
 * // fintrack_symbols_total{pipeline="market-data",outcome="skipped"} 1
 * ```
 */
export function recordMetrics<I, T>(options: RecordMetricsOptions): MonoTypeOperatorFunction<Batch<I, T>> {
  const { registry, pipeline } = resolveOptions(options);
  const metrics = pipelineMetrics(registry);
  startAtZero(metrics, pipeline);
  return tap((batch) => {
    recordBatch(metrics, pipeline, batch);
  });
}

/** A counter that is missing until its first increment hides that increment from `rate()`. */
function startAtZero(metrics: PipelineMetrics, pipeline: string): void {
  metrics.batches.inc({ pipeline }, 0);
  recordOutcomes(metrics, pipeline, []);
  recordRows(metrics, pipeline, { inserted: 0, updated: 0, unchanged: 0, transactions: 0 });
}

function recordBatch(metrics: PipelineMetrics, pipeline: string, batch: Batch<unknown, unknown>): void {
  if (batch.index >= 0) {
    metrics.batches.inc({ pipeline });
    metrics.batchSeconds.observe({ pipeline }, batchMs(batch) / 1000);
  }
  recordOutcomes(metrics, pipeline, batch.outcomes);
  if (batch.written !== undefined) recordRows(metrics, pipeline, batch.written);
  for (const call of batch.calls ?? []) recordCall(metrics, pipeline, call);
}

const outcomeNames = ['ok', 'fresh', 'failed', 'skipped'] as const;

function recordOutcomes(
  { symbols, failures }: PipelineMetrics,
  pipeline: string,
  outcomes: Batch<unknown, unknown>['outcomes'],
): void {
  const counts = countOutcomes(outcomes);
  for (const outcome of outcomeNames) symbols.inc({ pipeline, outcome }, counts[outcome]);
  for (const outcome of outcomes) {
    if (outcome.status !== 'failed') continue;
    failures.inc({ pipeline, stage: outcome.stage, code: knownResult(outcome.error.code) });
  }
}

function recordRows({ rows, transactions }: PipelineMetrics, pipeline: string, written: WriteCounts): void {
  rows.inc({ pipeline, action: 'inserted' }, written.inserted);
  rows.inc({ pipeline, action: 'updated' }, written.updated);
  rows.inc({ pipeline, action: 'unchanged' }, written.unchanged);
  transactions.inc({ pipeline }, written.transactions);
}

function recordCall({ calls, credits, callSeconds }: PipelineMetrics, pipeline: string, call: ProviderCall): void {
  const { provider } = call;
  calls.inc({ pipeline, provider, result: knownResult(call.result) });
  credits.inc({ pipeline, provider }, call.credits);
  callSeconds.observe({ pipeline, provider }, call.durationMs / 1000);
}
