import type { Batch, ProviderCall } from './batch.ts';
import type { PipelineError } from './errors.ts';
import type { Outcome, SkipReason, Standing } from './outcome.ts';

/** What a provider says of its quota in an answer. */
export interface QuotaSeen {
  /** Credits used in the current window, by everybody on the key. */
  readonly used?: number | undefined;
  /** Credits left in the current window. */
  readonly left?: number | undefined;
  /** Milliseconds until the provider's window starts anew. */
  readonly resetMs?: number | undefined;
}

/** A market-data API: one file in `src/providers` each. */
export interface Provider<I, T> {
  readonly name: string;
  /** Most inputs in one call. */
  readonly maxBatchSize: number;
  /** Time limit that one request to it needs, in milliseconds. Default: that of the fetcher. */
  readonly timeoutMs?: number | undefined;
  /** What a call for these inputs costs, in the provider's credits. */
  cost(inputs: readonly I[]): number;
  /** Inputs with equal keys are the same to the provider, and fetched once. Default: the input's JSON text. */
  key?(input: I): string;
  /**
   * One request to the provider. Resolves with one value or error per input, in the order of the inputs; rejects when
   * the call as a whole failed, with a `RateLimitError` when the provider refused it for its rate.
   */
  fetch(
    inputs: readonly I[],
    call: { readonly signal: AbortSignal; report(seen: QuotaSeen): void },
  ): Promise<readonly (T | PipelineError)[]>;
}

/** Credits held by one provider call. */
export interface Grant {
  readonly credits: number;
  /**
   * When the call must have ended at the latest, by `performance.now()`, because from then on its credits may be granted to
   * another process. Missing where nobody else grants them.
   */
  readonly deadlineAtMs?: number | undefined;
  /** Gives back credits that the call does not need; to be called before it is sent. */
  release(unused: number): void;
  /** Tells the limiter what the provider said of the quota. */
  report(seen: QuotaSeen): void;
}

/** Keeps one API key within its quota; shared by everything that uses the key. */
export interface Limiter {
  /**
   * Runs `task` once at least `min` (default: `credits`) and at most `credits` credits are free. A `RateLimitError` from
   * the task pauses the limiter for its `retryAfterMs`. Rejects with the signal's reason, at once, when aborted while
   * waiting, and with an `OptionsError` when `min` is more than a whole window holds.
   */
  run<R>(
    want: {
      readonly credits: number;
      readonly min?: number | undefined;
      readonly lane?: string | undefined;
      readonly request?: string | undefined;
      /** The number of the batch within its request: the lower goes first. */
      readonly batch?: number | undefined;
    },
    task: (grant: Grant) => Promise<R>,
    call: { readonly signal: AbortSignal },
  ): Promise<R>;
  /**
   * When that many credits will have been granted, by what is known now. Calls of other requests that wait already go before;
   * those of `request` are part of the credits asked about.
   */
  forecast(credits: number, lane?: string, request?: string): Date;
  /** The limits it keeps, as far as they bind the lane: for plans. Without it a plan knows no windows. */
  windows?(lane?: string): readonly QuotaWindow[];
  /** Reads from the stores of its quotas what is used, so that `forecast` and `windows` know of it; for plans. */
  refresh?(): Promise<void>;
}

/** One of the limits on an API key. */
export interface QuotaWindow {
  /** The credits that it allows at most. */
  readonly credits: number;
  /** Its length in milliseconds. */
  readonly windowMs: number;
  /** Credits that can be had now. */
  readonly left: number;
  /** The end of a period such as a day, beyond whose credits nothing is granted; missing for windows that slide. */
  readonly endsAt?: Date | undefined;
}

/** What it takes to fetch some inputs, by what is known now. */
export interface FetchEstimate {
  readonly calls: number;
  readonly credits: number;
  /** When the last of them will have been granted its credits. */
  readonly doneAt: Date;
  readonly windows: readonly QuotaWindow[];
}

/** What a fetcher says of one input. */
export type Fetched<T> =
  | {
      readonly status: 'ok';
      readonly value: T;
      readonly provider: string;
      /** When the response arrived, by `performance.now()`. */
      readonly receivedAtMs: number;
    }
  | { readonly status: 'fresh'; readonly value: T }
  | { readonly status: 'failed'; readonly error: PipelineError }
  | {
      readonly status: 'skipped';
      readonly reason: SkipReason;
      /** When the quota comes back, where that is known. */
      readonly until?: Date | undefined;
    };

/** The circumstances of one fetch. */
export interface FetchCall<I, T> {
  readonly signal: AbortSignal;
  readonly lane?: string | undefined;
  readonly request?: string | undefined;
  /** The number of the batch within its request: of those that wait for credits, the lower goes first. */
  readonly batch?: number | undefined;
  /** How long the fetch may take, in milliseconds: what is not there by then is `skipped` as `deadline`. Default: no limit. */
  readonly deadlineMs?: number | undefined;
  /** Set when another provider can be asked instead: nothing waits for one that is down. Default: false. */
  readonly failFast?: boolean | undefined;
  /** Called when the fetch has to wait for credits, with the time it expects to go on, and how many it waits for. */
  onWait?(until: Date, credits?: number): void;
  /** Called after each request to a provider. */
  onCall?(call: ProviderCall): void;
  /** Asked after a wait for credits: what has become fresh meanwhile. */
  settle?(inputs: readonly I[]): Promise<readonly Standing<I, T>[]>;
}

/** How a fetcher finds a provider. */
export interface ProviderHealth {
  readonly provider: string;
  /**
   * `down`: it gives no answers, and one call at a time tries whether it is back. `exhausted`: the quota of a day or a month is
   * gone. `refused`: it refuses the key; the first call after `until` tries whether it still does.
   */
  readonly state: 'up' | 'down' | 'exhausted' | 'refused';
  /** What it failed with last; missing while it is up. */
  readonly error?: PipelineError | undefined;
  /** When it will be asked again; missing while it is up, and where nobody knows. */
  readonly until?: Date | undefined;
}

/** Serves a whole work batch, whatever the size of a provider call: see `limited` and `firstOf`. */
export interface Fetcher<I, T> {
  readonly name: string;
  /**
   * Resolves with one entry per input, in their order. When aborted it resolves at once, with what was fetched (it is
   * paid for, and must be written) and the rest `skipped` as `canceled`. Rejects only with what one of the call's own
   * functions throws.
   */
  fetch(inputs: readonly I[], call: FetchCall<I, T>): Promise<readonly Fetched<T>[]>;
  /** How its providers are, each by itself; for readiness checks. Sends nothing. */
  health?(): readonly ProviderHealth[];
  /** Reads anew what the stores of its quotas know, so that `estimate` knows of it; for plans. */
  refresh?(): Promise<void>;
  /**
   * What fetching the inputs would take; sends nothing. `ahead` are credits that the same request takes before them; a call
   * before in which the first inputs come along is not counted again.
   * Without it a plan knows the number of inputs only.
   */
  estimate?(
    inputs: readonly I[],
    of?: {
      readonly lane?: string | undefined;
      readonly request?: string | undefined;
      readonly ahead?: number | undefined;
    },
  ): FetchEstimate;
}

/** A request as the ledger first accepted it. */
export interface Acceptance<I> {
  readonly inputs: readonly I[];
  readonly batchSize: number;
  /** By the ledger's clock. */
  readonly acceptedAt: Date;
  /** How long ago that was, by the same clock, in milliseconds: this process's clock may differ. */
  readonly ageMs?: number | undefined;
}

/** One start of a request, or of a batch of a shared one. */
export interface LedgerStart {
  /** The ledger key of the request. */
  readonly key: string;
  /** The number of the batch that is started by itself. Missing: the request is. */
  readonly batch?: number | undefined;
  /** Tells it from all other starts, so that nobody counts or hands back another's. */
  readonly token: string;
}

/** Remembers what became of which batch of which request, so that nothing is fetched twice after a crash. */
export interface Ledger<I, T> {
  /** Accepts a request, or answers what was accepted under its key before; a key with another list is refused. */
  accept(request: {
    readonly key: string;
    readonly pipeline: string;
    readonly inputs: readonly I[];
    readonly batchSize: number;
  }): Promise<Acceptance<I>>;
  /** The batch as it was stored, if it was. */
  stored(key: string, index: number): Promise<Batch<I, T> | undefined>;
  /**
   * The numbers of the stored batches of a request, in ascending order, also of those that were ended by the quota or a deadline.
   * `numbers`: which of these are stored. Default: all.
   */
  storedNumbers(key: string, numbers?: readonly number[]): Promise<readonly number[]>;
  /** The stored batches of a request, by number. `numbers`: these only, where they are stored. Default: all. */
  batches(key: string, numbers?: readonly number[]): AsyncIterable<Batch<I, T>>;
  /** Stores a batch all of whose inputs failed at the stage `fetch`, for want of a result to write; one that is stored stays as it is. */
  storeFailed(
    key: string,
    batch: { readonly index: number; readonly inputs: readonly I[]; readonly error: PipelineError },
  ): Promise<void>;
  /**
   * Answers how many earlier starts are open: neither handed back, nor followed by a batch that was stored (of the request;
   * where `start` names one, that batch). Counts this start, too, as long as those are fewer than `below`; a token counts once.
   */
  begin(start: LedgerStart, below: number): Promise<number>;
  /** The start is over in good order, and counts nothing. One that is not known is left alone. */
  handBack(start: LedgerStart): Promise<void>;
}

/** What a write did. */
export interface WriteResult<I, T> {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** Committed database transactions. Default: 1. */
  readonly transactions?: number | undefined;
  /** Rows that could not be stored, by the index of their outcome in the batch. */
  readonly failed: readonly { readonly index: number; readonly error: PipelineError }[];
  /** The outcomes as they now stand in the ledger; they take the place of the batch's own. */
  readonly stored?: readonly Outcome<I, T>[] | undefined;
}

/** Where values end up. */
export interface Sink<I, T> {
  readonly name: string;
  readonly ledger?: Ledger<I, T> | undefined;
  /** Why this sink can never hold the input, asked before any credit is spent; undefined when it can. */
  refuse?(input: I): PipelineError | undefined;
  /** What is fresh and what is missing, one entry per input, in their order. */
  current?(
    inputs: readonly I[],
    call: { readonly maxAgeMs: number; readonly signal: AbortSignal },
  ): Promise<readonly Standing<I, T>[]>;
  /**
   * Stores the `ok` outcomes of a batch in one transaction, together with its ledger row when the batch belongs to a
   * request. Rejects when nothing was stored.
   */
  write(batch: Batch<I, T>, call: { readonly signal: AbortSignal }): Promise<WriteResult<I, T>>;
  /** Rejects when whoever stores gives no answers or takes no writes, whatever the batch. */
  probe?(): Promise<void>;
}

/** Where events go. */
export interface Publisher<E> {
  /** Resolves once the event is safely out; rejects with a `PublishError`. */
  publish(event: E): Promise<void>;
}
