import { PipelineError } from '../model/errors.ts';
import type { Grant, Limiter, QuotaWindow } from '../model/ports.ts';
import type { CombinedSource } from './credits/combinedSource.ts';
import type { CreditNeed, SuppliedCredits } from './credits/creditSource.ts';
import { Stops, type LongPause } from './credits/stops.ts';
import { isAnswer, isRateLimit } from './retryPolicy.ts';
import { WaitingCalls } from './waitingCalls.ts';
import type { Turn, WaitingCall } from './waitingCalls.ts';

/** `setTimeout` fires at once when it is asked to wait longer than this. */
export const longestTimerMs = 2 ** 31 - 1;

/** Calls of one moment have their answers, and so their credits back, within so much of a window. */
const mergeShare = 1 / 150;

export interface WindowedLimiterSettings {
  readonly windowMs: number;
  readonly maxConcurrent: number;
  /** The names of the lanes, the highest first. */
  readonly lanes: readonly string[];
  /** The share, from 0 to 1, of all credits that is refused to the lowest of several lanes. */
  readonly reserve: number;
  /** The longest that a refusal for the rate can pause the limiter. */
  readonly longestPauseMs: number;
  /** The longest that a quota that is gone can close the limiter at once. */
  readonly longestStopMs: number;
  readonly onLongPause?: ((pause: LongPause) => void) | undefined;
  readonly now: () => number;
}

/** Keeps the starts of calls apart. */
export interface Starter {
  /** Runs `job`, which never rejects, as soon as one more call may start. */
  start(job: () => Promise<void>): void;
  /** Resolves once everything started has ended. */
  stop(): Promise<void>;
}

type Want = Parameters<Limiter['run']>[0];
type Task<R> = (grant: Grant) => Promise<R>;

/**
 * Three parts decide about a call: the source how many credits there are for it, the queue whose turn it is, and the
 * starter when one more may start. A call is taken from the queue only as it starts, so that until then it can be dropped,
 * and gets the credits that are free by then.
 */
export class WindowedLimiter implements Limiter, AsyncDisposable {
  readonly #settings: WindowedLimiterSettings;
  readonly #source: CombinedSource;
  readonly #waiting: WaitingCalls;
  readonly #stops: Stops;
  readonly #calls = new Map<Promise<void>, WaitingCall>();
  readonly #starter: Starter;
  #isStarting = false;
  /** The call that was last ready to go, and until when it may wait for more credits than the least. */
  #merging: { readonly call: WaitingCall; readonly until: number } | undefined;
  #isFirst = true;
  #roundTripMs = 0;
  #wake: NodeJS.Timeout | undefined;
  #stopped: Promise<unknown> | undefined;

  constructor(settings: WindowedLimiterSettings, source: CombinedSource, starter: Starter) {
    this.#settings = settings;
    this.#source = source;
    this.#waiting = new WaitingCalls({ capacity: source.capacity, lanes: settings.lanes });
    this.#stops = new Stops(settings);
    this.#starter = starter;
  }

  async run<R>(want: Want, task: Task<R>, { signal }: { readonly signal: AbortSignal }): Promise<R> {
    if (this.#stopped !== undefined) throw stoppedError();
    signal.throwIfAborted();
    const closed = this.#stops.closed();
    if (closed !== undefined) throw closed;
    const result = this.#waiting.add(want, (credits) => this.#perform(credits, task), signal, this.#proceed);
    this.#proceed();
    return result;
  }

  forecast(credits: number, lane?: string, request?: string): Date {
    const at = performance.now();
    const ofLane = this.#waiting.laneOf(lane);
    const reserve = this.#reserveOf(ofLane);
    const ahead = this.#waiting.creditsAhead(credits, ofLane, request, reserve);
    const grantedAt = this.#source.forecast(ahead + credits, { at, roundTripMs: this.#roundTripMs, reserve });
    return new Date(this.#settings.now() + Math.max(grantedAt, this.#stops.until, at) - at);
  }

  windows(lane?: string): readonly QuotaWindow[] {
    return this.#source.windows(this.#reserveOf(this.#waiting.laneOf(lane)), performance.now());
  }

  async refresh(): Promise<void> {
    await this.#source.refresh();
  }

  async stop(): Promise<void> {
    this.#stopped ??= Promise.all([this.#starter.stop(), ...this.#calls.keys()]).then(() => this.#source.close());
    clearTimeout(this.#wake);
    this.#waiting.dropAll(stoppedError());
    await this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Starts the call whose turn it is, or sees to it that this is tried again when it can succeed. */
  readonly #proceed = (): void => {
    clearTimeout(this.#wake);
    const turn = this.#turn();
    if (turn === undefined || this.#isStarting || this.#calls.size >= this.#mostCalls()) return;
    const at = performance.now();
    const waitMs = this.#readyAt(turn, at) - at;
    if (waitMs <= 0) this.#askToStart();
    else if (waitMs < Infinity) this.#wake = setTimeout(this.#proceed, Math.min(Math.ceil(waitMs), longestTimerMs));
  };

  /** The lowest lane leaves one of several calls at once to the others. */
  #turn(): Turn | undefined {
    const lanes = Math.max(1, this.#settings.lanes.length);
    const most = this.#settings.maxConcurrent - 1;
    const ofLowest = [...this.#calls.values()].filter(({ lane }) => this.#waiting.isLowest(lane)).length;
    return this.#waiting.next({ lowest: lanes > 1 && most > 0 && ofLowest >= most ? lanes - 2 : lanes - 1 });
  }

  #mostCalls(): number {
    return this.#isFirst && this.#source.capacity < Infinity ? 1 : this.#settings.maxConcurrent;
  }

  #reserveOf(lane: number): number {
    return this.#waiting.isLowest(lane) ? this.#settings.reserve : 0;
  }

  #needOf({ call, leavesReserve }: Turn): CreditNeed {
    return { credits: call.credits, min: call.min, reserve: leavesReserve ? this.#settings.reserve : 0 };
  }

  #readyAt(turn: Turn, at: number): number {
    const need = this.#needOf(turn);
    const readyAt = Math.max(this.#source.readyAt(need, at), this.#stops.until);
    return readyAt > at ? readyAt : this.#mergedAt(turn.call, this.#source.moreAt(need, at), at);
  }

  /**
   * A call that would go with less than it wants waits a moment for what comes free just after: the credits that went
   * together would otherwise go apart a little more in each window, until each went in a call of its own.
   */
  #mergedAt(call: WaitingCall, moreAt: number, at: number): number {
    if (this.#merging?.call !== call) this.#merging = { call, until: at + this.#settings.windowMs * mergeShare };
    return moreAt <= this.#merging.until ? moreAt : at;
  }

  #askToStart(): void {
    this.#isStarting = true;
    this.#starter.start(() => this.#startNext());
  }

  /** Gets the credits for the call whose turn it is by now, and starts it; at once where nobody else has to be asked. */
  #startNext(): Promise<void> {
    const turn = this.#turn();
    const at = performance.now();
    // Since the start was asked for, the call may have been dropped or the limiter paused.
    if (turn === undefined || this.#readyAt(turn, at) > at) return this.#startWith(undefined);
    const taken = this.#source.take(this.#needOf(turn), at);
    if (!(taken instanceof Promise)) return this.#startWith(taken, turn);
    return taken.then(
      (credits) => this.#startWith(credits, turn),
      (error: unknown) => {
        this.#waiting.drop(turn.call, PipelineError.from(error));
        return this.#startWith(undefined);
      },
    );
  }

  #startWith(credits: SuppliedCredits | undefined, asked?: Turn): Promise<void> {
    this.#isStarting = false;
    const started = credits === undefined ? Promise.resolve() : this.#startCall(credits, asked);
    this.#proceed();
    return started;
  }

  #startCall(credits: SuppliedCredits, asked: Turn | undefined): Promise<void> {
    const turn = this.#turn();
    // While others were asked for the credits, the call may have been dropped or the limiter paused.
    const isTooFew = turn === undefined || turn.call.min > credits.credits;
    const hasReserve = turn?.leavesReserve === true && asked?.leavesReserve === false;
    if (isTooFew || hasReserve || this.#stops.until > performance.now()) {
      credits.release(credits.credits);
      return Promise.resolve();
    }
    credits.release(Math.max(0, credits.credits - turn.call.credits));
    this.#waiting.serve(turn.call, credits.credits);
    const call = turn.call.start(credits).finally(() => {
      this.#calls.delete(call);
      this.#proceed();
    });
    this.#calls.set(call, turn.call);
    return call;
  }

  async #perform<R>(credits: SuppliedCredits, task: Task<R>): Promise<R> {
    const startedAt = performance.now();
    const end = { isAnswered: true, refused: false };
    try {
      return await task(this.#grant(credits));
    } catch (error) {
      end.isAnswered = isAnswer(error);
      if (PipelineError.isInstance(error)) {
        end.refused = isRateLimit(error);
        this.#obey(error);
      }
      throw error;
    } finally {
      const at = performance.now();
      if (end.isAnswered && credits.credits > 0) this.#roundTripMs += (at - startedAt - this.#roundTripMs) / 8;
      if (credits.credits > 0) this.#isFirst = false;
      credits.settle(end, at);
    }
  }

  #grant(credits: SuppliedCredits): Grant {
    return {
      credits: credits.credits,
      deadlineAtMs: credits.deadlineAtMs,
      release: (unused) => {
        credits.release(unused);
        this.#proceed();
      },
      report: (seen) => {
        credits.report(seen, performance.now());
      },
    };
  }

  /** What a provider refuses to one call it refuses to all on the key. */
  #obey(error: PipelineError): void {
    if (isRateLimit(error)) this.#stops.pause(error);
    if (error.code !== 'quota_exhausted') return;
    this.#waiting.dropAll(this.#stops.close(error));
  }
}

function stoppedError(): PipelineError {
  return new PipelineError('canceled', 'creditLimiter: the limiter was stopped');
}
