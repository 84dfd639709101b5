import { connect, filter, map, merge, Observable, takeWhile, type OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { mergeMapBounded } from '../flow/mergeMapBounded.ts';
import type { Batch, ProviderCall } from '../model/batch.ts';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import type { Standing } from '../model/outcome.ts';
import { fetcherCheck } from '../model/portChecks.ts';
import type { Fetcher } from '../model/ports.ts';
import type { RunObserver } from '../model/runEvents.ts';
import { abortable } from './abortable.ts';
import { fetchOutcomes, isPending } from './fetchOutcomes.ts';
import { relayTo } from './relayTo.ts';

export interface ThrottledFetchOptions<I, T> {
  /** Serves the inputs within the provider's rate limit: mostly `limited(provider, limiter)`. */
  fetcher: Fetcher<I, T>;
  /** Most batches fetched at once. Default: 4. */
  concurrency?: number | undefined;
  /** Whose share of the credits the calls use. Default: that of the fetcher. */
  lane?: string | undefined;
  /** The request the calls are made for; a batch with a request of its own keeps that. Default: none. */
  request?: string | undefined;
  /**
   * When aborted, what is fetched stays `ok` and the rest becomes `skipped`: as `deadline` when the signal's reason is a
   * PipelineError `timeout`, otherwise as `canceled`. Default: none.
   */
  signal?: AbortSignal | undefined;
  /**
   * How long all batches together may take, in milliseconds from the subscription on; what is not there by then becomes
   * `skipped` as `deadline`. Default: no limit.
   */
  deadlineMs?: number | undefined;
  /**
   * Asked after a wait for credits which inputs have become fresh meanwhile: mostly the sink's `current`.
   * Default: not asked.
   */
  settle?:
    ((inputs: readonly I[], call: { readonly signal: AbortSignal }) => Promise<readonly Standing<I, T>[]>) | undefined;
  /** Gets `batch-started` for arrays, `waiting` and `provider-call`. Default: nobody. */
  events?: RunObserver | undefined;
}

const resolveOptions = defineOptions<ThrottledFetchOptions<unknown, unknown>>('throttledFetch')({
  fetcher: fetcherCheck,
  concurrency: z.int().min(1).default(4),
  lane: z.string().min(1).optional(),
  request: z.string().min(1).optional(),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
  deadlineMs: z.number().min(0).optional(),
  settle: callback<NonNullable<ThrottledFetchOptions<unknown, unknown>['settle']>>().optional(),
  events: port<RunObserver>('an observer', 'next').optional(),
});

/** A batch on its way to the fetcher. */
interface Arrival<I, T> {
  readonly batch: Batch<I, T>;
  /** Whether it begins here, from an array. */
  readonly isNew: boolean;
}

/**
 * Fetches the pending inputs of each batch: one batch out per batch in, in order of completion.
 *
 * An array becomes a batch, numbered by arrival, with all its inputs pending. Inputs that stand in a batch several times
 * are fetched once. A batch without pending inputs passes at once, whatever waits for credits. A fetcher that rejects,
 * or answers another number of entries, makes its inputs `failed` at the stage `fetch`, and the stream goes on.
 *
 * On complete, batches under way are finished; on error and on unsubscribe, the calls in flight are aborted and their
 * results dropped, though their end may still reach `events`, because they cost credits.
 *
 * @example
 * ```ts
 * import { from } from 'rxjs';
 * import { batch, creditLimiter, limited, recordedQuotes, throttledFetch, type Asset } from 'fintrack-pipelines';
 *
 * const assets: Asset[] = [
 *   { symbol: 'AAPL', assetType: 'STOCK' },
 *   { symbol: 'NOWHERE', assetType: 'STOCK' },
 * ];
 * const fetcher = limited(recordedQuotes(), creditLimiter({ credits: 8 }));
 *
 * from(assets)
 *   .pipe(batch(), throttledFetch({ fetcher }))
 *   .subscribe(({ outcomes }) => console.log(outcomes.map(({ status, input }) => `${input.symbol} ${status}`)));
 * // [ 'AAPL ok', 'NOWHERE failed' ]
 * ```
 */
export function throttledFetch<I, T>(
  options: ThrottledFetchOptions<I, T>,
): OperatorFunction<readonly I[] | Batch<I, T>, Batch<I, T>> {
  const {
    concurrency,
    lane,
    request,
    signal: outer,
    deadlineMs,
    events,
  } = resolveOptions(options as ThrottledFetchOptions<unknown, unknown>);
  const { fetcher, settle } = options;
  const emit = relayTo(events);

  function arrive(item: readonly I[] | Batch<I, T>, index: number): Arrival<I, T> {
    if ('outcomes' in item) return { batch: item, isNew: false };
    return { batch: { index, request, outcomes: item.map((input) => ({ status: 'pending', input })) }, isNew: true };
  }

  async function fetchBatch(
    { batch, isNew }: Arrival<I, T>,
    endsAt: number,
    signal: AbortSignal,
  ): Promise<Batch<I, T>> {
    const of = { request: batch.request ?? request, batch: batch.index };
    if (isNew) emit({ type: 'batch-started', ...of, inputs: batch.outcomes.length });
    const startedAt = performance.now();
    const calls: ProviderCall[] = [...(batch.calls ?? [])];
    const pending = batch.outcomes.filter(isPending).length;
    let fetched = 0;
    const outcomes = await fetchOutcomes(fetcher, batch.outcomes, {
      signal,
      lane,
      ...(endsAt < Infinity && { deadlineMs: endsAt - startedAt }),
      ...of,
      onWait: (until, credits) => {
        emit({ type: 'waiting', ...of, until, credits, pending: pending - fetched });
      },
      onCall: (call) => {
        calls.push(call);
        if (call.result === 'ok') fetched = Math.min(pending, fetched + call.inputs);
        emit({ type: 'provider-call', ...of, call });
      },
      ...(settle && { settle: (inputs) => settle(inputs, { signal }) }),
    });
    const fetchMs = (batch.durations?.fetchMs ?? 0) + performance.now() - startedAt;
    return { ...batch, outcomes, calls, written: undefined, durations: { ...batch.durations, fetchMs } };
  }

  const fetchBatches = (endsAt: number) =>
    mergeMapBounded((arrival: Arrival<I, T>) => abortable((signal) => fetchBatch(arrival, endsAt, signal), outer), {
      concurrency,
    });

  return (source) =>
    new Observable((subscriber) =>
      source
        .pipe(
          // `connect` subscribes its source last and cannot be stopped while that emits synchronously.
          takeWhile(() => !subscriber.closed),
          map(arrive),
          connect((arrivals) =>
            merge(
              arrivals.pipe(
                filter((arrival) => !needsFetch(arrival)),
                map(({ batch }) => batch),
              ),
              arrivals.pipe(
                filter((arrival) => needsFetch(arrival)),
                fetchBatches(performance.now() + (deadlineMs ?? Infinity)),
              ),
            ),
          ),
        )
        .subscribe(subscriber),
    );
}

function needsFetch({ batch, isNew }: Arrival<unknown, unknown>): boolean {
  return isNew || batch.outcomes.some(isPending);
}
