import { catchError, concatMap, defer, EMPTY, map, type Observable, type OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { mergeMapBounded } from '../flow/mergeMapBounded.ts';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import type { Delivery } from '../model/delivery.ts';
import { PipelineError } from '../model/errors.ts';
import type { CompletionEvent } from '../model/events/completion.ts';
import type { RunObserver } from '../model/runEvents.ts';
import { relayTo } from '../operators/relayTo.ts';

export interface AnswerDeliveriesOptions<R, I, S, C extends CompletionEvent> {
  /** The inner pipeline of one request; its last value is the summary. */
  run(delivery: Delivery<R, I>): Observable<S>;
  /** Makes the completion event from the summary. */
  toCompletion(summary: S, delivery: Delivery<R, I>): C;
  /** Most requests at once. Default: 8. */
  concurrency?: number | undefined;
  /** Gets `request-done` once a request is answered. Default: nobody. */
  events?: RunObserver | undefined;
}

const resolveOptions = defineOptions<AnswerDeliveriesOptions<unknown, unknown, unknown, CompletionEvent>>(
  'answerDeliveries',
)({
  run: callback(),
  toCompletion: callback(),
  concurrency: z.int().min(1).default(8),
  events: port<RunObserver>('an observer', 'next').optional(),
});

/**
 * Runs one inner pipeline per request, several at once, and answers each through its own `ack`.
 *
 * Emits a completion event once it is acknowledged, in order of completion. A request whose pipeline or `ack` fails is
 * given back through its `nack` and emits nothing, while the others go on; a `nack` that rejects errors the result.
 * Completes when the source has and every request is answered; on error of the source, and on unsubscribe, all running
 * pipelines are unsubscribed, and nothing is acknowledged.
 *
 * @example
 * ```ts
 * import { map } from 'rxjs';
 * import { answerDeliveries, fromPull, fromRequest, parseMarketDataRequest, summarize, type Batch } from 'fintrack-pipelines';
 *
 * fromRequest(parseMarketDataRequest({ assets: [] }))
 *   .pipe(
 *     answerDeliveries({
 *       run: ({ inputs }) => fromPull(inputs).pipe(map((input): Batch<unknown, never> => ({ index: 0, outcomes: [] })), summarize()),
 *       toCompletion: ({ batches }, { id }) => ({
 *         status: 'complete',
 *         totalBatches: batches.length,
 *         totalAssets: 0,
 *         totalTransactions: 0,
 *         processingTimeMs: 0,
 *         failed: [],
 *         skipped: [],
 *         requestId: id,
 *       }),
 *     }),
 *   )
 *   .subscribe(({ status, totalBatches }) => console.log(status, totalBatches));
 * // complete 0
 * ```
 */
export function answerDeliveries<R, I, S, C extends CompletionEvent>(
  options: AnswerDeliveriesOptions<R, I, S, C>,
): OperatorFunction<Delivery<R, I>, C> {
  const { concurrency, events } = resolveOptions(options);
  const emit = relayTo(events);
  return mergeMapBounded(
    (delivery) =>
      defer(() => options.run(delivery)).pipe(
        map((summary) => options.toCompletion(summary, delivery)),
        concatMap(async (completion) => {
          await delivery.ack(completion);
          const { status, processingTimeMs } = completion;
          emit({ type: 'request-done', request: delivery.id, status, processingTimeMs });
          return completion;
        }),
        catchError(async (error: unknown) => delivery.nack(PipelineError.from(error))),
        concatMap((completion) => (completion === undefined ? EMPTY : [completion])),
      ),
    { concurrency },
  );
}
