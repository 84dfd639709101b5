import { Subject, type OperatorFunction } from 'rxjs';
import { fromRequests } from '../kafka/requests/fromRequests.ts';
import { marketDataTopic } from '../kafka/requests/requestTopics.ts';
import { creditLimiter } from '../limits/creditLimiter.ts';
import { limited } from '../limits/limited.ts';
import type { Delivery } from '../model/delivery.ts';
import type { CompletionEvent } from '../model/events/completion.ts';
import type { Fetcher, Ledger, Provider, Sink } from '../model/ports.ts';
import type { QuotaStore, SharedWindow } from '../model/quotaPorts.ts';
import type { Asset, Quote } from '../model/records.ts';
import type { MarketDataRequest } from '../model/requests/marketDataRequest.ts';
import type { RunEvent, RunObserver } from '../model/runEvents.ts';
import type { WorkerEvent, WorkerObserver } from '../model/workerEvents.ts';
import { answerByPipeline } from '../pipelines/answerByPipeline.ts';
import { patientSink } from '../postgres/patientSink.ts';
import type { SimulatedBroker } from './SimulatedBroker.ts';
import type { SimulatedProcess } from './SimulatedProcess.ts';
import { completionTopic, deadLetterTopic, groupId, requestTopic, workTopic } from './topics.ts';
import type { World } from './World.ts';

/** What a pipeline of a simulated worker is put together from. */
export interface PipelineParts {
  readonly fetcher: Fetcher<Asset, Quote>;
  readonly sink: Sink<Asset, Quote>;
  readonly events: RunObserver;
}

/** Makes the pipeline that answers requests, such as `marketData`. */
export type OpenPipeline = (
  parts: PipelineParts,
) => OperatorFunction<Delivery<MarketDataRequest, Asset>, CompletionEvent>;

export interface WorkerParts {
  readonly world: World;
  readonly process: SimulatedProcess;
  readonly broker: SimulatedBroker;
  readonly sink: Sink<Asset, Quote> & { readonly ledger: Ledger<Asset, Quote> };
  readonly provider: Provider<Asset, Quote>;
  readonly window: SharedWindow;
  readonly quota: QuotaStore;
  readonly pipeline: OpenPipeline;
}

/** A worker at work. */
export interface SimulatedWorker {
  readonly process: SimulatedProcess;
  readonly stopping: AbortController;
  isEnded: boolean;
}

/** Most provider calls of a process at once. */
export const maxConcurrent = 4;

/** Puts a worker together as the command `work` does, of the same parts. */
export function startWorker(parts: WorkerParts): SimulatedWorker {
  const { world, process, broker, window, quota, provider, pipeline } = parts;
  const { credits, windowMs, dailyCredits, batchSize, splitAbove, maxOpen } = world.scenario;
  const stopping = new AbortController();
  const random = (): number => world.chance.next();
  const quotas = dailyCredits === undefined ? [] : [{ credits: dailyCredits, period: 'day', store: quota } as const];
  const limiter = creditLimiter({ credits, windowMs, window, quotas, maxConcurrent });
  const patience = { outageMs: Infinity, maxRetries: 5, circuitFailures: 5 };
  const fetcher = limited(provider, limiter, { ...patience, random });
  const sink = patientSink({ sink: parts.sink, random });
  const events = new Subject<RunEvent>();
  const worker: SimulatedWorker = { process, stopping, isEnded: false };
  const deliveries = fromRequests({
    source: broker.source(process, groupId, [requestTopic, workTopic]),
    sink: broker.sink(process),
    groupId,
    topics: [
      marketDataTopic({
        ...{ topic: requestTopic, completionTopic, deadLetterTopic, workTopic, batchSize },
        ledger: sink.ledger,
      }),
    ],
    maxOpen,
    splitAbove,
    progress: events,
    standsStill: () => sink.isWaiting(),
    // Nothing in these requests is poison.
    quarantineStarts: 1_000,
    stop: stopping.signal,
    events: new OpenRequests(world, process),
  });
  const pipelineOf = (): ReturnType<OpenPipeline> => pipeline({ fetcher, sink, events });
  deliveries.pipe(answerByPipeline({ 'market-data': { requests: pipelineOf(), parts: pipelineOf() } })).subscribe({
    error: (error: unknown) => world.violate(`${process.name} ended: ${String(error)}`),
    complete: () => {
      void limiter.stop().then(() => {
        worker.isEnded = true;
      });
    },
  });
  return worker;
}

/** Sees to it that no partition has more requests open than it may. */
class OpenRequests implements WorkerObserver {
  readonly #world: World;
  readonly #process: SimulatedProcess;
  /** By partition. */
  readonly #open = new Map<number, Set<string>>();

  constructor(world: World, process: SimulatedProcess) {
    this.#world = world;
    this.#process = process;
  }

  next(event: WorkerEvent): void {
    if (event.type === 'partition-lost') this.#open.delete(event.place.partition);
    if (event.type === 'request-announced') for (const keys of this.#open.values()) keys.delete(event.key);
    if (event.type !== 'request-accepted') return;
    const { partition } = event.place;
    const keys = (this.#open.get(partition) ?? new Set()).add(event.key);
    this.#open.set(partition, keys);
    if (keys.size > this.#world.scenario.maxOpen) {
      this.#world.violate(`${this.#process.name}: ${keys.size} requests of partition ${partition} are open`);
    }
  }
}
