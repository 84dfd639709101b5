import { catchError, concatMap, defer, EMPTY, filter, map, type Observable, type OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { mergeMapBounded } from '../flow/mergeMapBounded.ts';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import type { Delivery } from '../model/delivery.ts';
import { OptionsError, PipelineError } from '../model/errors.ts';
import type { CompletionEvent } from '../model/events/completion.ts';
import type { RunObserver } from '../model/runEvents.ts';
import { relayTo } from '../operators/relayTo.ts';
import { routed } from '../operators/routed.ts';

export interface AnswerDeliveriesOptions<R, I, S, C extends CompletionEvent> {
  /** The inner pipeline of one request; its last value is the summary. */
  run(delivery: Delivery<R, I>): Observable<S>;
  /**
   * The inner pipeline of a request whose batches several workers do: it only waits for them, mostly by `gatherBatches`.
   * Default: none, such a request is given back.
   */
  gather?(delivery: Delivery<R, I>): Observable<S>;
  /** Makes the completion event from the summary. */
  toCompletion(summary: S, delivery: Delivery<R, I>): C;
  /** Most requests at once; as many again may wait for batches that others do. Default: 8. */
  concurrency?: number | undefined;
  /** Called once a request is answered, but for the parts of a shared one. Default: nothing. */
  onAnswered?(delivery: Delivery<NoInfer<R>, NoInfer<I>>): void;
  /** Gets `request-done` once a request is answered. Default: nobody. */
  events?: RunObserver | undefined;
}

const resolveOptions = defineOptions<AnswerDeliveriesOptions<unknown, unknown, unknown, CompletionEvent>>(
  'answerDeliveries',
)({
  run: callback(),
  gather: callback<(delivery: Delivery<unknown, unknown>) => Observable<unknown>>().optional(),
  toCompletion: callback(),
  concurrency: z.int().min(1).default(8),
  onAnswered: callback<(delivery: Delivery<unknown, unknown>) => void>().optional(),
  events: port<RunObserver>('an observer', 'next').optional(),
});

/**
 * Runs one inner pipeline per request, several at once, and answers each through its own `ack`.
 *
 * Emits a completion event once it is acknowledged, in order of completion. A request whose pipeline or `ack` fails is
 * given back through its `nack` and emits nothing, while the others go on; a `nack` that rejects errors the result. A
 * delivery that is part of a shared request is acknowledged, and emits nothing either: its owner announces. An owner, which
 * only waits, takes no place from the others: the parts that it waits for may be among them.
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

  async function acknowledge(delivery: Delivery<R, I>, completion: C): Promise<C | undefined> {
    await delivery.ack(completion);
    if (delivery.share?.role === 'part') return undefined;
    options.onAnswered?.(delivery);
    const { status, processingTimeMs } = completion;
    emit({ type: 'request-done', request: delivery.id, status, processingTimeMs });
    return completion;
  }

  const answer = mergeMapBounded(
    (delivery: Delivery<R, I>) =>
      defer(() => pipelineOf(delivery, options)).pipe(
        map((summary) => options.toCompletion(summary, delivery)),
        concatMap((completion) => acknowledge(delivery, completion)),
        catchError(async (error: unknown) => delivery.nack(PipelineError.from(error))),
        concatMap((completion) => (completion === undefined ? EMPTY : [completion])),
      ),
    { concurrency },
  );
  return routed(
    (deliveries) =>
      deliveries.pipe(
        filter((delivery) => !onlyGathers(delivery)),
        answer,
      ),
    (deliveries) =>
      deliveries.pipe(
        filter((delivery) => onlyGathers(delivery)),
        answer,
      ),
  );
}

function onlyGathers({ share }: Pick<Delivery<unknown, unknown>, 'share'>): boolean {
  return share?.role === 'owner';
}

function pipelineOf<R, I, S>(
  delivery: Delivery<R, I>,
  options: Pick<AnswerDeliveriesOptions<R, I, S, never>, 'run' | 'gather'>,
): Observable<S> {
  if (!onlyGathers(delivery)) return options.run(delivery);
  if (options.gather !== undefined) return options.gather(delivery);
  throw new OptionsError('answerDeliveries: gather: needed for a request that several workers share, got nothing');
}
