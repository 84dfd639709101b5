import { identity, of, pipe, type MonoTypeOperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Batch } from '../model/batch.ts';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import type { Delivery } from '../model/delivery.ts';
import type { CompletionEvent } from '../model/events/completion.ts';
import type { ProgressEvent } from '../model/events/progress.ts';
import type { FailedOutcome } from '../model/outcome.ts';
import { fetcherCheck } from '../model/portChecks.ts';
import type { Fetcher, Publisher, Sink } from '../model/ports.ts';
import type { RunObserver } from '../model/runEvents.ts';
import type { RefusedInput, Request } from '../model/requests/request.ts';
import { reportProgress, type ReportProgressOptions, type ThrottledFetchOptions } from '../operators/index.ts';
import type { AnswerDeliveriesOptions } from './answerDeliveries.ts';

/** What a pipeline is put together from. */
export interface PipelineOptions<I, T> {
  /** Where the values come from; shared by all requests on the same API key. */
  fetcher: Fetcher<I, T>;
  /** Where the values go. */
  sink: Sink<I, T>;
  /** How old a stored value may be and still count as fresh, in milliseconds. Default: 45,000. */
  maxAgeMs?: number | undefined;
  /** Most batches of one request fetched at once. Default: 4. */
  concurrency?: number | undefined;
  /** Most requests at once; as many again may wait for batches that others do. Default: 8. */
  requestConcurrency?: number | undefined;
  /**
   * How long fetching may take for one request, in milliseconds; what is not there by then is skipped with reason `deadline`.
   * Default: no limit.
   */
  deadlineMs?: number | undefined;
  /** Gets one event per batch, best effort. Default: nobody. */
  progress?: Publisher<ProgressEvent> | undefined;
  /** Sees everything that happens during the run. Default: nobody. */
  events?: RunObserver | undefined;
  /**
   * Behind the last stage, for every batch that is done here: mostly `recordMetrics`. What was refused at acceptance comes as a
   * batch with the index -1, once its request is answered. Default: nothing.
   */
  observe?: MonoTypeOperatorFunction<Batch<I, T>> | undefined;
}

/** The options with their defaults, what a fetch asks after a wait for credits, and the stage that tells of a request's progress. */
export type ResolvedPipeline<I, T> = PipelineOptions<I, T> &
  Record<'maxAgeMs' | 'concurrency', number> &
  Pick<ThrottledFetchOptions<I, T>, 'settle'> & {
    /** How `answerDeliveries` goes about it. */
    readonly answering: Pick<
      AnswerDeliveriesOptions<Request<unknown>, I, unknown, CompletionEvent>,
      'concurrency' | 'events' | 'onAnswered'
    >;
    readonly reportProgress: (delivery: Delivery<Request<unknown>, I>) => MonoTypeOperatorFunction<Batch<I, T>>;
  };

const checks = {
  fetcher: fetcherCheck,
  sink: port<Sink<unknown, unknown>>('a sink', 'write'),
  maxAgeMs: z.number().min(0).default(45_000),
  concurrency: z.int().min(1).default(4),
  requestConcurrency: z.int().min(1).default(8),
  deadlineMs: z.number().min(0).optional(),
  progress: port<Publisher<ProgressEvent>>('a publisher', 'publish').optional(),
  events: port<RunObserver>('an observer', 'next').optional(),
  observe: callback<MonoTypeOperatorFunction<Batch<unknown, unknown>>>().optional(),
};

/** Checks the options of the pipeline `owner` and fills in the defaults. */
export function definePipeline(owner: string): <I, T>(options: PipelineOptions<I, T>) => ResolvedPipeline<I, T> {
  const resolve = defineOptions<PipelineOptions<unknown, unknown>>(owner)(checks);
  return <I, T>(options: PipelineOptions<I, T>): ResolvedPipeline<I, T> => {
    const resolved = resolve(options as PipelineOptions<unknown, unknown>);
    const { fetcher, sink, observe = identity } = options;
    const { maxAgeMs, progress, requestConcurrency, events } = resolved;
    return {
      ...resolved,
      fetcher,
      sink,
      observe,
      settle: freshIn(sink, maxAgeMs),
      answering: {
        concurrency: requestConcurrency,
        events,
        onAnswered: ({ id, request: { refused } }) => {
          if (refused.length > 0) of(refusedBatch<I, T>(id, refused)).pipe(observe).subscribe();
        },
      },
      reportProgress: (delivery) => {
        const report = reportProgress<Batch<I, T>>(progressOf(delivery, fetcher, progress));
        // The batches that an owner gathers were done, and seen, as parts.
        return delivery.share?.role === 'owner' ? report : pipe(observe, report);
      },
    };
  };
}

/** No batch of the request, but what the metrics have to hear of besides: each outcome is counted once. */
function refusedBatch<I, T>(request: string, refused: readonly RefusedInput[]): Batch<I, T> {
  const outcomes = refused.map(({ symbol, assetType, error }): FailedOutcome<I> => {
    return { status: 'failed', stage: 'validate', input: { symbol, assetType } as I, error };
  });
  return { index: -1, request, outcomes };
}

/** Which of the inputs another request has stored during a wait for credits. */
function freshIn<I, T>(sink: Sink<I, T>, maxAgeMs: number): ThrottledFetchOptions<I, T>['settle'] {
  return sink.current && (async (inputs, { signal }) => sink.current?.(inputs, { maxAgeMs, signal }) ?? []);
}

/** What the progress events of a request say of it. Those of one that is shared are its owner's. */
function progressOf<I>(
  delivery: Delivery<Request<unknown>, I>,
  fetcher: Fetcher<I, unknown>,
  progress: Publisher<ProgressEvent> | undefined,
): ReportProgressOptions {
  const { id, request, acceptedAt, inputs, batchSize, lane, share } = delivery;
  return {
    publisher: share?.role === 'part' ? undefined : progress,
    request: request.requestId ?? id,
    acceptedAt,
    totalBatches: Math.ceil(inputs.length / batchSize),
    totalInputs: inputs.length,
    forecast: (ahead) => fetcher.estimate?.([], { lane, request: id, ahead }).doneAt,
  };
}

/** The number of a delivery's first batch within its request. */
export function firstBatchOf({ share }: Delivery<unknown, unknown>): number {
  return share?.role === 'part' ? share.firstBatch : 0;
}
