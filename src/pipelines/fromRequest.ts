import { randomUUID } from 'node:crypto';
import { defer, type Observable } from 'rxjs';
import { z } from 'zod';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import type { Delivery } from '../model/delivery.ts';
import { OptionsError } from '../model/errors.ts';
import type { CompletionEvent } from '../model/events/completion.ts';
import { requestCheck } from '../model/portChecks.ts';
import type { Acceptance, Ledger, Publisher } from '../model/ports.ts';
import type { Request } from '../model/requests/request.ts';
import { requestDefaults } from '../model/requests/requestDefaults.ts';

export interface FromRequestOptions<I> {
  /**
   * The ledger key, which needs a `ledger`: the same key with the same inputs goes on where it stopped. Not the client's own
   * id, which may come again with another list. Default: `run:<pipeline>:<random UUID>`.
   */
  key?: string | undefined;
  /** Remembers what was accepted and done; mostly `sink.ledger`. Default: none, a run that stops begins anew. */
  ledger?: Ledger<I, unknown> | undefined;
  /** Where the completion goes, besides being emitted. Default: nowhere. */
  publisher?: Publisher<CompletionEvent> | undefined;
  /** Stops the run: what was not tried yet becomes `skipped`, and the completion says so. Default: none. */
  signal?: AbortSignal | undefined;
  /** Inputs a batch. Default: 100, for historical requests 50, because a provider's answer is that much larger. */
  batchSize?: number | undefined;
  /** Whose share of the credits it uses. Default: `market`, `index` or `historical`, by the pipeline. */
  lane?: string | undefined;
  /** The clock, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

const resolveOptions = defineOptions<FromRequestOptions<unknown>>('fromRequest')({
  key: z.string().min(1).max(300).optional(),
  ledger: port<Ledger<unknown, unknown>>('a ledger', 'accept', 'stored', 'batches').optional(),
  publisher: port<Publisher<CompletionEvent>>('a publisher', 'publish').optional(),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
  batchSize: z.int().min(1).max(10_000).optional(),
  lane: z.string().min(1).optional(),
  now: callback<() => number>().default(() => Date.now),
});

const checkArguments = defineOptions<{ request: Request<unknown> }>('fromRequest')({ request: requestCheck });

/**
 * Emits one request as a delivery, for a pipeline to answer.
 *
 * Subscribing accepts the request in the ledger, if there is one, and emits what was accepted. Completes after that;
 * errors with the ledger's `SinkError`, or with a `request_conflict` when the key was accepted before with other inputs.
 * The delivery's `ack` publishes the completion; its `nack` rejects with the error it is given, so that a run whose
 * pipeline breaks ends in that error.
 *
 * @example
 * ```ts
 * import { lastValueFrom } from 'rxjs';
 * import {
 *   creditLimiter,
 *   fromRequest,
 *   limited,
 *   marketData,
 *   memorySink,
 *   parseMarketDataRequest,
 *   recordedQuotes,
 * } from 'fintrack-pipelines';
 *
 * const request = parseMarketDataRequest({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }] });
 * const pipeline = marketData({
 *   fetcher: limited(recordedQuotes(), creditLimiter({ credits: 8 })),
 *   sink: memorySink(),
 * });
 * const completed = await lastValueFrom(fromRequest(request).pipe(pipeline));
 * console.log(completed.status, completed.totalBatches, completed.assets?.[0]?.price);
 * // complete 1 223.02
 * ```
 */
export function fromRequest<R extends Request<unknown>>(
  request: R,
  options: FromRequestOptions<R['inputs'][number]> = {},
): Observable<Delivery<R, R['inputs'][number]>> {
  checkArguments({ request });
  const { key, signal, publisher, batchSize, lane, now } = resolveOptions(options);
  const { ledger } = options;
  const { pipeline, inputs } = request;
  if (key !== undefined && ledger === undefined) {
    throw new OptionsError(`fromRequest: key: nothing remembers it without a ledger, got ${JSON.stringify(key)}`);
  }
  return defer(async () => {
    const id = key ?? `run:${pipeline}:${randomUUID()}`;
    const size = batchSize ?? requestDefaults[pipeline].batchSize;
    const accepted = await ledger?.accept({ key: id, pipeline, inputs, batchSize: size });
    return {
      id,
      request,
      inputs: accepted?.inputs ?? inputs,
      batchSize: accepted?.batchSize ?? size,
      acceptedAt: acceptedAt(accepted, now()),
      lane: lane ?? requestDefaults[pipeline].lane,
      signal: signal ?? new AbortController().signal,
      ack: async (completion: CompletionEvent) => publisher?.publish(completion),
      nack: (error: Error) => Promise.reject(error),
    };
  });
}

/** In this process's time, in which the end is measured as well: the clock of the ledger's server may differ. */
function acceptedAt(accepted: Acceptance<unknown> | undefined, now: number): Date {
  if (accepted === undefined) return new Date(now);
  return accepted.ageMs === undefined ? accepted.acceptedAt : new Date(now - accepted.ageMs);
}
