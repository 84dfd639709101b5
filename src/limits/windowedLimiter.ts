import { PipelineError } from '../model/errors.ts';
import type { Grant, Limiter, QuotaWindow } from '../model/ports.ts';
import { CreditWindow } from './creditWindow.ts';
import type { CreditHold } from './creditWindow.ts';
import { pauseMs } from './pause.ts';
import { isAnswer, isRateLimit } from './retryPolicy.ts';
import { WaitingCalls } from './waitingCalls.ts';
import type { WaitingCall } from './waitingCalls.ts';

/** A call without an answer may still arrive at the provider: its credits are held this much longer. */
const unansweredMs = 5_000;
/** `setTimeout` fires at once when it is asked to wait longer than this. */
export const longestTimerMs = 2 ** 31 - 1;

export interface WindowedLimiterSettings {
  readonly credits: number;
  readonly windowMs: number;
  readonly maxConcurrent: number;
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
 * Three parts decide about a call: the window how many credits there are for it, the queue whose turn it is, and the
 * starter when one more may start. A call is taken from the queue only as it starts, so that until then it can be dropped,
 * and gets the credits that are free by then.
 */
export class WindowedLimiter implements Limiter, AsyncDisposable {
  readonly #settings: WindowedLimiterSettings;
  readonly #window: CreditWindow;
  readonly #waiting: WaitingCalls;
  readonly #calls = new Set<Promise<void>>();
  readonly #starter: Starter;
  #isStarting = false;
  #isFirst = true;
  #pausedUntil = 0;
  #roundTripMs = 0;
  #wake: NodeJS.Timeout | undefined;
  #stopped: Promise<unknown> | undefined;

  constructor(settings: WindowedLimiterSettings, starter: Starter) {
    this.#settings = settings;
    this.#window = new CreditWindow(settings.credits, settings.windowMs);
    this.#waiting = new WaitingCalls(settings.credits);
    this.#starter = starter;
  }

  async run<R>(want: Want, task: Task<R>, { signal }: { readonly signal: AbortSignal }): Promise<R> {
    if (this.#stopped !== undefined) throw stoppedError();
    const proceed = (): void => {
      this.#proceed();
    };
    const result = this.#waiting.add(want, (hold) => this.#perform(hold, task), signal, proceed);
    proceed();
    return result;
  }

  forecast(credits: number, _lane?: string, request?: string): Date {
    const at = performance.now();
    const ahead = this.#waiting.creditsAhead(request);
    const grantedAt = this.#window.forecast(ahead + credits, at, this.#roundTripMs);
    return new Date(this.#settings.now() + Math.max(grantedAt, this.#pausedUntil, at) - at);
  }

  windows(): readonly QuotaWindow[] {
    const { credits, windowMs } = this.#settings;
    return credits === Infinity ? [] : [{ credits, windowMs, left: this.#window.free(performance.now()) }];
  }

  async stop(): Promise<void> {
    this.#stopped ??= Promise.all([this.#starter.stop(), ...this.#calls]);
    clearTimeout(this.#wake);
    this.#waiting.dropAll(stoppedError());
    await this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Starts the first waiting call, or sees to it that this is tried again when it can succeed. */
  #proceed(): void {
    clearTimeout(this.#wake);
    const { first } = this.#waiting;
    if (first === undefined || this.#isStarting || this.#calls.size >= this.#mostCalls()) return;
    const at = performance.now();
    const waitMs = this.#readyAt(first, at) - at;
    if (waitMs <= 0) this.#askToStart();
    else if (waitMs < Infinity) {
      this.#wake = setTimeout(
        () => {
          this.#proceed();
        },
        Math.min(Math.ceil(waitMs), longestTimerMs),
      );
    }
  }

  #mostCalls(): number {
    return this.#isFirst && this.#window.capacity < Infinity ? 1 : this.#settings.maxConcurrent;
  }

  #readyAt(call: WaitingCall, at: number): number {
    return Math.max(this.#window.freeAt(call.min, at), this.#pausedUntil);
  }

  #askToStart(): void {
    this.#isStarting = true;
    this.#starter.start(() => {
      this.#isStarting = false;
      const call = this.#startFirst();
      this.#proceed();
      return call;
    });
  }

  #startFirst(): Promise<void> {
    const { first } = this.#waiting;
    const at = performance.now();
    // Since the start was asked for, the call may have been dropped or the limiter paused.
    if (first === undefined || this.#readyAt(first, at) > at) return Promise.resolve();
    this.#waiting.shift();
    const hold = this.#window.take(Math.min(first.credits, this.#window.free(at)), at);
    const call = first.start(hold).finally(() => {
      this.#calls.delete(call);
      this.#proceed();
    });
    this.#calls.add(call);
    return call;
  }

  async #perform<R>(hold: CreditHold, task: Task<R>): Promise<R> {
    const startedAt = performance.now();
    let extraMs = 0;
    let refused = false;
    try {
      return await task(this.#grant(hold));
    } catch (error) {
      if (!isAnswer(error)) extraMs = unansweredMs;
      refused = PipelineError.isInstance(error) && isRateLimit(error);
      if (refused) this.#pause(error as PipelineError);
      throw error;
    } finally {
      const at = performance.now();
      if (extraMs === 0 && hold.credits > 0) this.#roundTripMs += (at - startedAt - this.#roundTripMs) / 8;
      this.#isFirst = false;
      this.#window.settle(hold, at, { extraMs, refused });
    }
  }

  #grant(hold: CreditHold): Grant {
    return {
      credits: hold.credits,
      release: (unused) => {
        this.#window.release(hold, unused);
        this.#proceed();
      },
      report: (seen) => {
        this.#window.report(hold, seen, performance.now());
      },
    };
  }

  #pause(error: PipelineError): void {
    const at = performance.now();
    this.#pausedUntil = Math.max(this.#pausedUntil, at + pauseMs(error, this.#settings.windowMs, this.#settings.now()));
  }
}

function stoppedError(): PipelineError {
  return new PipelineError('canceled', 'creditLimiter: the limiter was stopped');
}
