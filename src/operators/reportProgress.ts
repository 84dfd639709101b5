import { defer, identity, tap, type MonoTypeOperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Batch } from '../model/batch.ts';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import { PipelineError, PublishError } from '../model/errors.ts';
import type { ProgressEvent } from '../model/events/progress.ts';
import { countOutcomes } from '../model/outcome.ts';
import type { Publisher } from '../model/ports.ts';
import { relayTo } from './relayTo.ts';

export interface ReportProgressOptions {
  /** The id of the request that the events name. */
  request: string;
  /** Where the events go. Default: nowhere, batches just pass. */
  publisher?: Publisher<ProgressEvent> | undefined;
  /** How many batches there will be. Default: not known; events then carry no total and no estimate. */
  totalBatches?: number | undefined;
  /** How many inputs there are in all batches. Default: not known; no forecast is made. */
  totalInputs?: number | undefined;
  /**
   * When that many more credits will have been granted, mostly by `fetcher.estimate`: for `waitingUntil`, and for `etaMs` when
   * credits are what the request waits for. Default: none; estimates go by the speed so far.
   */
  forecast?: ((credits: number) => Date | undefined) | undefined;
  /** When the request was accepted. Default: the time of the subscription. */
  acceptedAt?: Date | undefined;
  /** Most events on their way to the publisher; one more is dropped. Default: 100. */
  maxInFlight?: number | undefined;
  /** Gets the error, mostly a `PublishError`, of each event that was dropped or could not be published. Default: nobody. */
  onError?: ((error: PipelineError) => void) | undefined;
  /** The clock, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<ReportProgressOptions>('reportProgress')({
  request: z.string().min(1),
  publisher: port<Publisher<ProgressEvent>>('a publisher', 'publish').optional(),
  totalBatches: z.int().min(0).optional(),
  totalInputs: z.int().min(0).optional(),
  forecast: callback<(credits: number) => Date | undefined>().optional(),
  acceptedAt: z.date().optional(),
  maxInFlight: z.int().min(1).default(100),
  onError: callback<(error: PipelineError) => void>().optional(),
  now: callback<() => number>().default(() => () => Date.now()),
});

/**
 * Passes batches on unchanged and publishes one progress event for each, best effort.
 *
 * There is one event per batch, none while a batch waits: whoever wants to see that takes the `waiting` events of
 * `throttledFetch`. A publisher that fails or is slow neither fails nor delays anything: batches and completion never wait for it, and
 * beyond `maxInFlight` events are dropped. `ok` of an event counts what was written or fresh, `failed` the rest. Events
 * on their way when the stream completes, fails or is unsubscribed still go out; none is published after that.
 *
 * @example
 * ```ts
 * import { of } from 'rxjs';
 * import { memoryBus, reportProgress, type Batch, type ProgressEvent } from 'fintrack-pipelines';
 *
 * const bus = memoryBus<ProgressEvent>();
 * const done: Batch<string, number> = { index: 0, outcomes: [{ status: 'ok', input: 'AAPL', value: 220 }] };
 * of(done).pipe(reportProgress({ publisher: bus, request: 'r1', totalBatches: 2 })).subscribe();
 * for (const { batch, totalBatches, ok } of bus.events) console.log(`batch ${batch} of ${totalBatches}: ${ok} ok`);
 * // batch 1 of 2: 1 ok
 * ```
 */
export function reportProgress<B extends Batch<unknown, unknown>>(
  options: ReportProgressOptions,
): MonoTypeOperatorFunction<B> {
  const { publisher, onError, maxInFlight, ...rest } = resolveOptions(options);
  if (publisher === undefined) return identity;
  const send = boundedPublish(publisher, maxInFlight, relayTo(onError && { next: onError }));
  return (source) =>
    defer(() => {
      const progressOf = progressFrom(rest);
      return source.pipe(
        tap((batch) => {
          send(progressOf(batch));
        }),
      );
    });
}

/** Publishes without anybody waiting for it. The bound is shared by all subscriptions, because the publisher is. */
function boundedPublish(
  publisher: Publisher<ProgressEvent>,
  maxInFlight: number,
  report: (error: PipelineError) => void,
): (event: ProgressEvent) => void {
  let inFlight = 0;
  const publish = async (event: ProgressEvent): Promise<void> => {
    inFlight += 1;
    try {
      await publisher.publish(event);
    } catch (error) {
      report(publishError(event, 'could not be published', error));
    } finally {
      inFlight -= 1;
    }
  };
  return (event) => {
    if (inFlight < maxInFlight) void publish(event);
    else report(publishError(event, `was dropped: ${maxInFlight} events are on their way`));
  };
}

function publishError({ requestId, batch }: ProgressEvent, what: string, cause?: unknown): PipelineError {
  if (PipelineError.isInstance(cause)) return cause;
  return new PublishError(`progress of batch ${batch} of request ${requestId} ${what}`, { cause });
}

type Run = Pick<ReportProgressOptions, 'request' | 'totalBatches' | 'totalInputs' | 'forecast' | 'acceptedAt'> & {
  readonly now: () => number;
};

/** Counts the batches of one subscription. */
function progressFrom(run: Run): (batch: Batch<unknown, unknown>) => ProgressEvent {
  const { request, totalBatches, acceptedAt, now } = run;
  const startedAt = now();
  const creditsLeft = creditsLeftOf(run);
  let done = 0;
  return (batch) => {
    done += 1;
    const { ok, fresh, failed, skipped } = countOutcomes(batch.outcomes);
    const at = now();
    // The speed is that of this run: a request that was taken up again has an acceptance long ago.
    const atThisSpeed = ((at - startedAt) / done) * ((totalBatches ?? 0) - done);
    const wait = waitFor(creditsLeft(batch), run, at);
    return {
      requestId: request,
      batch: batch.index + 1,
      ...(totalBatches === undefined ? {} : { totalBatches }),
      ok: ok + fresh,
      failed: failed + skipped,
      elapsedMs: atLeastZero(at - (acceptedAt?.getTime() ?? startedAt)),
      ...(totalBatches === undefined ? {} : { etaMs: atLeastZero(wait?.etaMs ?? atThisSpeed) }),
      ...(wait?.until && { waitingUntil: wait.until.toISOString() }),
    };
  };
}

/** How many credits the inputs that are not done yet will take, if they take as many as those that were fetched so far. */
function creditsLeftOf({ totalInputs = 0 }: Run): (batch: Batch<unknown, unknown>) => number {
  let left = totalInputs;
  let fetched = 0;
  let credits = 0;
  return ({ outcomes, calls = [], durations }) => {
    left -= outcomes.length;
    // A batch that was not fetched, from the ledger perhaps, says nothing of the price of others; one that was may have come
    // along in their calls.
    if (calls.length > 0 || durations?.fetchMs !== undefined) fetched += outcomes.length;
    for (const call of calls) credits += call.credits;
    return fetched === 0 ? 0 : Math.ceil((Math.max(0, left) * credits) / fetched);
  };
}

/** What waiting for credits makes of the rest; undefined when there is none to wait for. */
function waitFor(
  credits: number,
  { forecast }: Run,
  at: number,
): { etaMs: number; until: Date | undefined } | undefined {
  const doneAt = credits === 0 ? undefined : forecast?.(credits);
  if (doneAt === undefined || doneAt.getTime() <= at) return undefined;
  const next = forecast?.(1);
  return { etaMs: doneAt.getTime() - at, until: next !== undefined && next.getTime() > at ? next : undefined };
}

function atLeastZero(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds));
}
