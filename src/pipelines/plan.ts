import { lastValueFrom, reduce } from 'rxjs';
import { z } from 'zod';
import { fromPull } from '../flow/fromPull.ts';
import { callback, defineOptions, port } from '../model/defineOptions.ts';
import { fetcherCheck, requestCheck } from '../model/portChecks.ts';
import type { Fetcher, FetchEstimate, Sink } from '../model/ports.ts';
import type { Request } from '../model/requests/request.ts';
import { batch, planBatch } from '../operators/index.ts';
import { addBatch, plannedWindow, type PlannedWindow, type PlanTally } from './planTally.ts';
import { requestDefaults } from '../model/requests/requestDefaults.ts';

export interface PlanOptions<I, T> {
  /** Where the values would come from: `limited` knows what they would cost. */
  fetcher: Fetcher<I, T>;
  /** Where the values would go: it knows what is fresh, and its ledger what is done. */
  sink: Sink<I, T>;
  /** How old a stored value may be and still count as fresh, in milliseconds. Default: 45,000. */
  maxAgeMs?: number | undefined;
  /** The ledger key of the request, to count what is done of it. Default: none, the ledger is not asked. */
  key?: string | undefined;
  /**
   * Inputs a batch; of a request under way those that it was accepted with (`batchSize` of `requestDetails`), since the ledger
   * knows its batches by their numbers. Default: 100, for historical requests 50.
   */
  batchSize?: number | undefined;
  /** Whose share of the credits it would use. Default: `market`, `index` or `historical`, by the pipeline. */
  lane?: string | undefined;
  /** Ends the planning. Default: none. */
  signal?: AbortSignal | undefined;
  /** The clock, in epoch milliseconds; must be the limiter's. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

/** What a request would take, by what is known now. */
export interface Plan {
  /** All symbols of the request: the sum of the next four. */
  readonly inputs: number;
  /** By the check of the request, or because the sink can never hold them. */
  readonly refused: number;
  /** Done under this key before, by the ledger. */
  readonly stored: number;
  readonly fresh: number;
  readonly toFetch: number;
  readonly batches: number;
  /** Missing, as `credits` and `doneAt`, when the fetcher makes no estimates. */
  readonly calls?: number | undefined;
  readonly credits?: number | undefined;
  /** When the last symbol that gets a credit will have got it. */
  readonly doneAt?: Date | undefined;
  /** Empty when there is no quota, or none is known. */
  readonly windows: readonly PlannedWindow[];
}

const resolveOptions = defineOptions<PlanOptions<unknown, unknown>>('plan')({
  fetcher: fetcherCheck,
  sink: port<Sink<unknown, unknown>>('a sink', 'write'),
  maxAgeMs: z.number().min(0).default(45_000),
  key: z.string().min(1).optional(),
  batchSize: z.int().min(1).max(10_000).optional(),
  lane: z.string().min(1).optional(),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
  now: callback<() => number>().default(() => () => Date.now()),
});

const checkArguments = defineOptions<{ request: Request<unknown> }>('plan')({ request: requestCheck });

/**
 * Says what a request would take before the first call: what is done, fresh or refused, and for the rest the provider calls,
 * the credits, and when it will be done. Writes nothing and asks no provider.
 *
 * It plans batch by batch with the code of the pipelines (`planBatch`), in memory for one batch. The time is that of the
 * limiter: retries, and others who come to use the key, make it later. A key is not compared with the list it was
 * accepted with: running the request does that.
 *
 * Rejects with the `SinkError` when the sink or its ledger cannot answer, and with code `canceled` when aborted.
 *
 * @example
 * ```ts
 * import { creditLimiter, limited, memorySink, parseMarketDataRequest, plan, recordedQuotes, type Asset, type Quote } from 'fintrack-pipelines';
 *
 * const assets = Array.from({ length: 100 }, (_, index) => ({ symbol: `S${index}`, asset_type: 'STOCK' }));
 * const fetcher = limited(recordedQuotes(), creditLimiter({ credits: 8, windowMs: 60_000 }));
 * const sink = memorySink<Asset, Quote>();
 *
 * const { toFetch, calls, credits, windows, doneAt } = await plan(parseMarketDataRequest({ assets }), { fetcher, sink });
 * console.log(toFetch, calls, credits, windows[0]?.rounds);
 * // 100 13 100 13
 * console.log(Math.round(((doneAt?.getTime() ?? 0) - Date.now()) / 60_000), 'minutes');
 * // 12 minutes
 * ```
 */
export async function plan<I, T>(request: Request<I>, options: PlanOptions<I, T>): Promise<Plan> {
  checkArguments({ request });
  const { maxAgeMs, key, now, signal, ...given } = resolveOptions(options);
  const { fetcher, sink } = options;
  const { batchSize = requestDefaults[request.pipeline].batchSize, lane = requestDefaults[request.pipeline].lane } =
    given;
  const estimate = (inputs: readonly I[], ahead: number): FetchEstimate | undefined =>
    fetcher.estimate?.(inputs, { lane, request: key, ahead });

  await fetcher.refresh?.();
  const start: PlanTally = {
    refused: request.refused.length,
    stored: 0,
    fresh: 0,
    toFetch: 0,
    batches: 0,
    ...(fetcher.estimate && { calls: 0, credits: 0 }),
  };
  const batches = fromPull(request.inputs).pipe(
    batch({ batchSize }),
    // One at a time: how a batch is cut into calls depends on what those before it leave of a window.
    planBatch({ sink, maxAgeMs, request: key, signal, concurrency: 1 }),
    reduce((sum, planned) => addBatch(sum, planned, estimate), start),
  );
  const tally = await lastValueFrom(batches);
  return { inputs: request.inputs.length + request.refused.length, ...tally, ...outlook(tally.credits) };

  function outlook(credits: number | undefined): Pick<Plan, 'doneAt' | 'windows'> {
    if (credits === undefined) return { windows: [] };
    const windows = estimate([], 0)?.windows.map((window) => plannedWindow(window, credits)) ?? [];
    const granted = credits - Math.max(0, ...windows.map(({ lacking }) => lacking));
    return { windows, doneAt: granted === 0 ? new Date(now()) : estimate([], granted)?.doneAt };
  }
}
