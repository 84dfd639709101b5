import { Counter, Histogram, type Registry } from 'prom-client';
import { OptionsError } from '../model/errors.ts';

/** The metrics of this library on one registry. The label `pipeline` is on each of them. */
export interface PipelineMetrics {
  readonly batches: Counter;
  readonly symbols: Counter;
  readonly failures: Counter;
  readonly rows: Counter;
  readonly transactions: Counter;
  readonly calls: Counter;
  readonly credits: Counter;
  readonly callSeconds: Histogram;
  readonly batchSeconds: Histogram;
}

// From a warm loopback server to the longest time limit of a call.
const callBuckets = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

// A batch may wait for credits: 100 symbols at 8 credits a minute take 12 minutes.
const batchBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600];

/** The metrics on `registry`: those that are there already, so that several operators share them, else new ones. */
export function pipelineMetrics(registry: Registry): PipelineMetrics {
  const counter = (name: string, help: string, ...labels: string[]): Counter =>
    getOrCreate(registry, Counter, name, labels, (definition) => new Counter({ ...definition, help }));
  const histogram = (name: string, help: string, buckets: number[], ...labels: string[]): Histogram =>
    getOrCreate(registry, Histogram, name, labels, (definition) => new Histogram({ ...definition, help, buckets }));
  return {
    batches: counter('fintrack_batches_total', 'Batches processed.'),
    symbols: counter('fintrack_symbols_total', 'Symbols processed, by outcome.', 'outcome'),
    failures: counter(
      'fintrack_symbol_failures_total',
      'Symbols that failed, by stage and error code.',
      'stage',
      'code',
    ),
    rows: counter('fintrack_rows_total', 'Rows of stored batches, by what the sink did with them.', 'action'),
    transactions: counter('fintrack_transactions_total', 'Committed database transactions.'),
    calls: counter('fintrack_provider_calls_total', 'Calls to a provider, by result.', 'provider', 'result'),
    credits: counter('fintrack_provider_credits_total', 'Credits spent on calls to a provider.', 'provider'),
    callSeconds: histogram(
      'fintrack_provider_call_duration_seconds',
      'Duration of a call to a provider.',
      callBuckets,
      'provider',
    ),
    batchSeconds: histogram(
      'fintrack_batch_processing_seconds',
      'Processing time of a batch: planning, fetching (waits for credits included) and writing.',
      batchBuckets,
    ),
  };
}

interface Definition {
  readonly name: string;
  readonly labelNames: string[];
  readonly registers: Registry[];
}

function getOrCreate<Metric extends Counter | Histogram>(
  registry: Registry,
  Kind: new (definition: never) => Metric,
  name: string,
  labels: readonly string[],
  create: (definition: Definition) => Metric,
): Metric {
  const labelNames = ['pipeline', ...labels];
  const found: unknown = registry.getSingleMetric(name);
  if (found === undefined) return create({ name, labelNames, registers: [registry] });
  if (found instanceof Kind && labelsOf(found) === labelNames.join()) return found;
  throw new OptionsError(`recordMetrics: registry: expected no other metric '${name}' on it, got one`);
}

/** A field that prom-client does not declare. */
function labelsOf(metric: object): string | undefined {
  return (metric as { readonly labelNames?: readonly string[] }).labelNames?.join();
}
