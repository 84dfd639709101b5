import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { OptionsError } from '../model/errors.ts';

/** The metrics of a worker on one registry. */
export interface WorkerMetrics {
  readonly open: Gauge;
  readonly accepted: Counter;
  readonly announced: Counter;
  readonly seconds: Histogram;
  readonly retries: Counter;
  readonly quarantined: Counter;
  readonly deadLetters: Counter;
  readonly parts: Counter;
  readonly partitions: Gauge;
  readonly held: Gauge;
  readonly partitionWaits: Counter;
  readonly interruptions: Counter;
}

// From a request of three symbols on a running worker to one of many batches that waits for credits for hours.
const requestBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400];

/** New metrics on `registry`. Throws an `OptionsError` when there are some of these names. */
export function workerMetrics(registry: Registry): WorkerMetrics {
  const define = (name: string, help: string, labelNames: string[]) => {
    if (registry.getSingleMetric(name) !== undefined) {
      throw new OptionsError(`recordWorkerMetrics: registry: expected no other metric '${name}' on it, got one`);
    }
    return { name, help, labelNames, registers: [registry] };
  };
  const counter = (name: string, help: string, ...labels: string[]): Counter => new Counter(define(name, help, labels));
  const gauge = (name: string, help: string, ...labels: string[]): Gauge => new Gauge(define(name, help, labels));
  return {
    open: gauge('fintrack_requests_open', 'Requests accepted by this worker and not answered yet.', 'pipeline'),
    accepted: counter('fintrack_requests_accepted_total', 'Requests accepted, those taken over included.', 'pipeline'),
    announced: counter('fintrack_requests_announced_total', 'Requests answered, by status.', 'pipeline', 'status'),
    seconds: new Histogram({
      ...define('fintrack_request_duration_seconds', 'Time from taking up a request to its answer.', ['pipeline']),
      buckets: requestBuckets,
    }),
    retries: counter(
      'fintrack_request_retries_total',
      'Times a request, or a part of one, was put off, by error code.',
      'pipeline',
      'code',
    ),
    quarantined: counter(
      'fintrack_requests_quarantined_total',
      'Times a request, or a part of one, was started alone, because processes had ended with it before.',
      'pipeline',
    ),
    deadLetters: counter(
      'fintrack_dead_letters_total',
      'Records sent to the dead letters, by error code.',
      'pipeline',
      'code',
    ),
    parts: counter(
      'fintrack_request_parts_total',
      'Batches of shared requests done by this worker, by result.',
      'pipeline',
      'result',
    ),
    partitions: gauge('fintrack_partitions_owned', 'Partitions of request topics that this worker owns.', 'topic'),
    held: gauge('fintrack_partitions_held', 'Partitions held by what cannot be decoded.', 'topic'),
    partitionWaits: counter(
      'fintrack_partition_waits_total',
      'Times a partition had to wait for the broker, by error code.',
      'topic',
      'code',
    ),
    interruptions: counter(
      'fintrack_group_interruptions_total',
      'Times this worker lost its consumer group, by error code.',
      'code',
    ),
  };
}

/** What a scrape asks for. */
export interface ScrapedState {
  /** The state of each provider, by its name. */
  providers(): Iterable<readonly [provider: string, state: string]>;
  /** Whether work waits for the database. */
  isWaiting(): boolean;
}

/** From the best to the worst. */
const providerStates: readonly string[] = ['up', 'down', 'exhausted', 'refused'];

/** Gauges that are filled with each scrape. */
export function scrapedGauges(registry: Registry, state: ScrapedState): void {
  new Gauge({
    name: 'fintrack_provider_state',
    help: 'State of a provider: 1 for the one it is in, 0 for the others.',
    labelNames: ['provider', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [provider, current] of worstStates(state.providers())) {
        for (const name of providerStates) this.set({ provider, state: name }, name === current ? 1 : 0);
      }
    },
  });
  new Gauge({
    name: 'fintrack_database_waiting',
    help: 'Whether work waits for the database: 1 if it does.',
    registers: [registry],
    collect() {
      this.set(state.isWaiting() ? 1 : 0);
    },
  });
}

/** Several fetchers may ask one provider, each with its own experience of it. */
function worstStates(states: Iterable<readonly [provider: string, state: string]>): ReadonlyMap<string, string> {
  const worst = new Map<string, string>();
  for (const [provider, state] of states) {
    const before = worst.get(provider);
    const isWorse = before === undefined || providerStates.indexOf(state) > providerStates.indexOf(before);
    if (isWorse) worst.set(provider, state);
  }
  return worst;
}
