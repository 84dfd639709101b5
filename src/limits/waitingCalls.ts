import { OptionsError, PipelineError } from '../model/errors.ts';
import type { Limiter } from '../model/ports.ts';
import { AbortListeners } from './abortListeners.ts';
import type { CreditHold } from './creditWindow.ts';

const mostWaiting = 10_000;

/** A call that waits for its credits. */
export interface WaitingCall {
  readonly credits: number;
  readonly min: number;
  /** Runs the call; never rejects. */
  start(hold: CreditHold): Promise<void>;
}

type Want = Parameters<Limiter['run']>[0];

interface QueuedCall extends WaitingCall, Pick<Want, 'request' | 'batch'> {
  drop(reason: Error): void;
}

/**
 * The calls that wait at a limiter, in the order of their turns: that in which they came. The turns of one request go to its
 * lowest batches first, so that it is done batch by batch and the first rows are there early.
 */
export class WaitingCalls {
  readonly #capacity: number;
  readonly #calls: QueuedCall[] = [];
  readonly #aborts = new AbortListeners();

  /** @param capacity the credits of a whole window */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get first(): WaitingCall | undefined {
    return this.#calls[0];
  }

  /**
   * The credits that will be granted to other requests before a call that comes now: a call takes at most a window's worth at
   * a time.
   */
  creditsAhead(request: string | undefined): number {
    const others = this.#calls.filter((call) => request === undefined || call.request !== request);
    return others.reduce((sum, { credits }) => sum + Math.min(credits, this.#capacity), 0);
  }

  /** Adds a call, and resolves as it does; on abort the call is dropped at once, and `onDrop` called. */
  add<R>(want: Want, perform: (hold: CreditHold) => Promise<R>, signal: AbortSignal, onDrop: () => void): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const accepted = this.#accept(want);
      signal.throwIfAborted();
      const forget = this.#aborts.add(signal, () => {
        this.#calls.splice(this.#calls.indexOf(call), 1);
        call.drop(signal.reason as Error);
        onDrop();
      });
      const call: QueuedCall = {
        ...accepted,
        request: want.request,
        batch: want.batch,
        start: (hold: CreditHold) => {
          forget();
          return perform(hold).then(resolve, reject);
        },
        drop: (reason: Error) => {
          forget();
          reject(reason);
        },
      };
      this.#enqueue(call);
    });
  }

  shift(): WaitingCall | undefined {
    return this.#calls.shift();
  }

  dropAll(reason: PipelineError): void {
    for (const call of this.#calls.splice(0)) call.drop(reason);
  }

  #enqueue(call: QueuedCall): void {
    let last = call;
    for (const [turn, other] of this.#calls.entries()) {
      if (other.request !== call.request || !goesBefore(last, other)) continue;
      this.#calls[turn] = last;
      last = other;
    }
    this.#calls.push(last);
  }

  #accept({ credits, min = credits }: Want): Pick<WaitingCall, 'credits' | 'min'> {
    if (![credits, min].every((count) => Number.isSafeInteger(count) && count >= 0)) {
      throw new OptionsError(`creditLimiter: credits: expected whole numbers, got ${credits} (min ${min})`);
    }
    const least = Math.min(min, credits);
    if (least > this.#capacity) {
      throw new OptionsError(`creditLimiter: a call for ${least} credits never fits a window of ${this.#capacity}`);
    }
    if (this.#calls.length >= mostWaiting) {
      throw new PipelineError('request_refused', `creditLimiter: ${mostWaiting} calls wait already`, {
        retryable: true,
      });
    }
    return { credits, min: least };
  }
}

function goesBefore(one: QueuedCall, other: QueuedCall): boolean {
  return one.batch !== undefined && other.batch !== undefined && one.batch < other.batch;
}
