import type { Registry } from 'prom-client';
import { z } from 'zod';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import type { ProviderHealth } from '../model/ports.ts';
import type { TopicPartition } from '../model/recordPorts.ts';
import type { WorkerEvent, WorkerObserver } from '../model/workerEvents.ts';
import { knownResult } from './labels.ts';
import { pipelineMetrics, type PipelineMetrics } from './pipelineMetrics.ts';
import { scrapedGauges, workerMetrics, type WorkerMetrics } from './workerMetrics.ts';

/** What of a request topic the metrics name. A `RequestTopic` is one. */
export interface MeasuredTopic {
  readonly topic: string;
  readonly workTopic?: string | undefined;
  /** The value of the label `pipeline`. */
  readonly pipeline: string;
}

export interface RecordWorkerMetricsOptions {
  /** Where the metrics go: a `Registry`, prom-client's, one for each worker. */
  registry: Registry;
  /** The request topics that the worker reads: only these become values of labels. */
  topics: readonly MeasuredTopic[];
  /** How the providers are, asked with each scrape: mostly `fetcher.health`. Default: no provider is named. */
  health?: (() => readonly ProviderHealth[]) | undefined;
  /** Whether work waits for the database, asked with each scrape: `isWaiting` of a `patientSink`. Default: it never does. */
  isWaiting?: (() => boolean) | undefined;
}

const resolveOptions = defineOptions<RecordWorkerMetricsOptions>('recordWorkerMetrics')({
  registry: port<Registry>('a Registry of prom-client', 'registerMetric', 'getSingleMetric'),
  topics: z.array(z.looseObject({ topic: z.string(), workTopic: z.string().optional(), pipeline: z.string() })),
  health: callback<() => readonly ProviderHealth[]>().default(() => () => []),
  isWaiting: callback<() => boolean>().default(() => () => false),
});

/**
 * Counts what happens to the requests of a worker, for Prometheus: it takes the worker's events, as `events` of
 * `fromRequests`.
 *
 * Every metric is listed in docs/metrics.md. Labels are the pipelines and topics given, states and error codes; an event of
 * another topic is counted as `other`, and a code that this library does not know as `internal`, so that the number of series
 * does not grow with what comes in. How providers and the database are is asked with each scrape. Counters are there, as 0,
 * from the call on.
 *
 * Throws an `OptionsError` when the registry holds metrics under these names: a registry takes one worker.
 *
 * @example
 * ```ts
 * import { recordWorkerMetrics, Registry } from 'fintrack-pipelines/metrics';
 *
 * const registry = new Registry();
 * const topics = [{ topic: 'MARKET_DATA_UPDATE_REQUEST', pipeline: 'market-data' }];
 * const events = recordWorkerMetrics({ registry, topics });
 *
 * events.next({ type: 'request-announced', key: 'MARKET_DATA_UPDATE_REQUEST-0-17-1764000000000', status: 'complete', durationMs: 120 });
 * console.log(await registry.getSingleMetricAsString('fintrack_requests_announced_total'));
 * // # HELP fintrack_requests_announced_total Requests answered, by status.
 * // # TYPE fintrack_requests_announced_total counter
 * // fintrack_requests_announced_total{pipeline="market-data",status="complete"} 1
 * // fintrack_requests_announced_total{pipeline="market-data",status="partial"} 0
 * // fintrack_requests_announced_total{pipeline="market-data",status="failed"} 0
 * ```
 */
export function recordWorkerMetrics(options: RecordWorkerMetricsOptions): WorkerObserver {
  const { registry, topics, health, isWaiting } = resolveOptions(options);
  const metrics = workerMetrics(registry);
  scrapedGauges(registry, {
    providers: () => health().map(({ provider, state }) => [provider, state] as const),
    isWaiting,
  });
  const names = new TopicNames(topics);
  startAtZero(metrics, topics, names);
  const record = recorder(metrics, pipelineMetrics(registry), names);
  return { next: record };
}

const other = 'other';

/** The labels of topics and of the ledger keys that begin with them. */
class TopicNames {
  readonly #pipelines = new Map<string, string>();

  constructor(topics: readonly MeasuredTopic[]) {
    for (const { topic, workTopic, pipeline } of topics) {
      this.#pipelines.set(topic, pipeline);
      if (workTopic !== undefined) this.#pipelines.set(workTopic, pipeline);
    }
  }

  get pipelines(): ReadonlySet<string> {
    return new Set(this.#pipelines.values());
  }

  topic(topic: string): string {
    return this.#pipelines.has(topic) ? topic : other;
  }

  /** A ledger key is topic-partition-offset-timestamp. */
  pipelineOf(key: string): string {
    return this.#pipelines.get(/^(.*)(?:-\d+){3}$/.exec(key)?.[1] ?? '') ?? other;
  }
}

const statuses = ['complete', 'partial', 'failed'] as const;

/** A counter that is missing until its first increment hides that increment from `rate()`. */
function startAtZero(metrics: WorkerMetrics, topics: readonly MeasuredTopic[], names: TopicNames): void {
  for (const pipeline of names.pipelines) {
    metrics.open.set({ pipeline }, 0);
    metrics.accepted.inc({ pipeline }, 0);
    metrics.quarantined.inc({ pipeline }, 0);
    for (const status of statuses) metrics.announced.inc({ pipeline, status }, 0);
    metrics.seconds.zero({ pipeline });
    metrics.parts.inc({ pipeline, result: 'ok' }, 0);
  }
  for (const { topic, workTopic } of topics) {
    metrics.partitions.set({ topic }, 0);
    metrics.held.set({ topic }, 0);
    if (workTopic !== undefined) metrics.held.set({ topic: workTopic }, 0);
  }
}

function recorder(metrics: WorkerMetrics, symbols: PipelineMetrics, names: TopicNames): (event: WorkerEvent) => void {
  const open = new OpenRequests();
  const owned = new Set<string>();
  const held = new Set<string>();

  const begin = (key: string, place: TopicPartition): void => {
    if (!open.add(key, place)) return;
    const pipeline = names.pipelineOf(key);
    metrics.accepted.inc({ pipeline });
    metrics.open.inc({ pipeline });
  };
  const end = (key: string): void => {
    if (open.delete(key)) metrics.open.dec({ pipeline: names.pipelineOf(key) });
  };

  return (event) => {
    switch (event.type) {
      case 'partition-owned':
        if (owned.has(placeOf(event.place))) return;
        owned.add(placeOf(event.place));
        metrics.partitions.inc({ topic: names.topic(event.place.topic) });
        return;
      case 'partition-lost':
        for (const key of open.in(event.place)) end(key);
        if (owned.delete(placeOf(event.place))) metrics.partitions.dec({ topic: names.topic(event.place.topic) });
        return;
      case 'partition-held':
        // It may be held anew at another place.
        if (held.has(placeOf(event.place))) return;
        held.add(placeOf(event.place));
        metrics.held.inc({ topic: names.topic(event.place.topic) });
        return;
      case 'partition-released':
        if (held.delete(placeOf(event.place))) metrics.held.dec({ topic: names.topic(event.place.topic) });
        return;
      case 'partition-waiting':
        metrics.partitionWaits.inc({ topic: names.topic(event.place.topic), code: knownResult(event.error.code) });
        return;
      case 'interrupted':
        metrics.interruptions.inc({ code: knownResult(event.error.code) });
        return;
      case 'request-accepted':
        begin(event.key, event.place);
        return;
      case 'request-retried':
        metrics.retries.inc({ pipeline: names.pipelineOf(event.key), code: knownResult(event.error.code) });
        return;
      case 'request-quarantined':
        metrics.quarantined.inc({ pipeline: names.pipelineOf(event.key) });
        return;
      case 'request-announced':
        metrics.announced.inc({ pipeline: names.pipelineOf(event.key), status: event.status });
        metrics.seconds.observe({ pipeline: names.pipelineOf(event.key) }, event.durationMs / 1000);
        for (const { stage, reason } of event.unanswered ?? []) {
          symbols.symbols.inc({ pipeline: names.pipelineOf(event.key), outcome: 'failed' });
          symbols.failures.inc({ pipeline: names.pipelineOf(event.key), stage, code: knownResult(reason) });
        }
        end(event.key);
        return;
      case 'dead-lettered':
        metrics.deadLetters.inc({ pipeline: names.pipelineOf(event.key), code: knownResult(event.error.code) });
        end(event.key);
        return;
      case 'part-done':
        metrics.parts.inc({
          pipeline: names.pipelineOf(event.key),
          result: knownResult(event.error?.code ?? 'ok'),
        });
    }
  };
}

/** Requests that are not answered yet, by partition: a partition that is lost takes its own along. */
class OpenRequests {
  readonly #places = new Map<string, string>();

  /** Whether it is new. */
  add(key: string, place: TopicPartition): boolean {
    if (this.#places.has(key)) return false;
    this.#places.set(key, placeOf(place));
    return true;
  }

  delete(key: string): boolean {
    return this.#places.delete(key);
  }

  in(place: TopicPartition): string[] {
    return [...this.#places].filter(([, its]) => its === placeOf(place)).map(([key]) => key);
  }
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
