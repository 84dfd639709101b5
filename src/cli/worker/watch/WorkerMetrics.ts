import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Batch, PipelineName } from '../../../index.ts';
import { recordMetrics, recordWorkerMetrics, Registry } from '../../../metrics/index.ts';
import type { WorkerObserver } from '../../../kafka/index.ts';
import type { OpenPipeline } from '../pipelines.ts';

/** The metrics of one worker. */
export class WorkerMetrics {
  readonly #registry = new Registry();

  /** What a scrape gets. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Counts the batches of a pipeline. */
  batchesOf<I, T>(pipeline: PipelineName): MonoTypeOperatorFunction<Batch<I, T>> {
    return recordMetrics({ registry: this.#registry, pipeline });
  }

  /** Counts what becomes of requests; to be called once. */
  requestsOf(pipelines: readonly OpenPipeline[], isWaiting: () => boolean): WorkerObserver {
    return recordWorkerMetrics({
      registry: this.#registry,
      topics: pipelines.map(({ topic }) => topic),
      health: () => pipelines.flatMap(({ health }) => health()),
      isWaiting,
    });
  }
}
