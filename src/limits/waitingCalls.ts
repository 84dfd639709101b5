import { OptionsError, PipelineError } from '../model/errors.ts';
import type { Limiter } from '../model/ports.ts';
import { AbortListeners } from './abortListeners.ts';
import { LaneQueue, type Queued } from './credits/laneQueue.ts';
import { LaneShares } from './credits/laneShares.ts';
import type { SuppliedCredits } from './credits/creditSource.ts';

const mostWaiting = 10_000;

/** A call that waits for its credits. */
export interface WaitingCall extends Queued {
  readonly credits: number;
  readonly min: number;
  /** 0 is the highest. */
  readonly lane: number;
  /** Runs the call; never rejects. */
  start(credits: SuppliedCredits): Promise<void>;
  /** Ends the wait with an error. */
  drop(reason: Error): void;
}

/** Whose turn it is, and by what right. */
export interface Turn {
  readonly call: WaitingCall;
  /** Whether the reserve is not for it: it is in the lowest of several lanes, and no higher one waits. */
  readonly leavesReserve: boolean;
}

type Want = Parameters<Limiter['run']>[0];

export interface WaitingCallsOptions {
  /** The most credits that one call can ever get. */
  readonly capacity: number;
  /** The names of the lanes, the highest first. Calls of other lanes are in the lowest. */
  readonly lanes: readonly string[];
}

/** The calls that wait at a limiter, in lanes. */
export class WaitingCalls {
  readonly #capacity: number;
  readonly #names: readonly string[];
  readonly #lanes: readonly LaneQueue<WaitingCall>[];
  readonly #shares: LaneShares;
  readonly #aborts = new AbortListeners();

  constructor({ capacity, lanes }: WaitingCallsOptions) {
    const count = Math.max(1, lanes.length);
    this.#capacity = capacity;
    this.#names = lanes;
    this.#lanes = Array.from({ length: count }, () => new LaneQueue<WaitingCall>());
    this.#shares = new LaneShares(count, capacity);
  }

  get isEmpty(): boolean {
    return this.#lanes.every(({ size }) => size === 0);
  }

  isLowest(lane: number): boolean {
    return lane > 0 && lane === this.#lanes.length - 1;
  }

  laneOf(name: string | undefined): number {
    const index = this.#names.indexOf(name ?? '');
    return index < 0 ? this.#lanes.length - 1 : index;
  }

  /** The call whose turn it is, of the lanes up to `lowest`. */
  next({ lowest = this.#lanes.length - 1 } = {}): Turn | undefined {
    const waiting = this.#waiting().filter((lane) => lane <= lowest);
    const lane = this.#shares.next(waiting);
    const call = lane === undefined ? undefined : this.#lanes[lane]?.first;
    return call && { call, leavesReserve: this.isLowest(call.lane) && waiting[0] === call.lane };
  }

  /** Takes out a call that gets `credits`. */
  serve(call: WaitingCall, credits: number): void {
    this.#shares.granted(call.lane, credits, this.#waiting());
    this.#lanes[call.lane]?.serve(call);
  }

  /** Takes out a call that gets no credits, and ends its wait with `reason`. */
  drop(call: WaitingCall, reason: Error): void {
    this.#lanes[call.lane]?.remove(call);
    call.drop(reason);
  }

  dropAll(reason: PipelineError): void {
    for (const call of this.#lanes.flatMap((lane) => [...lane])) this.drop(call, reason);
  }

  /**
   * About how many credits are granted to other requests before the last of `credits` of a call in this lane that comes now: a
   * call takes at most a window's worth at a time, and a lower lane its eighth of what goes by. For the lowest lane, for which
   * a window is smaller by the `reserve` (a share), what goes to higher lanes counts for as much less.
   */
  creditsAhead(credits: number, lane: number, request: string | undefined, reserve: number): number {
    const waiting = this.#lanes.map((queue) => this.#creditsOf(queue, request));
    const higher = sum(waiting.slice(0, lane));
    const same = waiting[lane] ?? 0;
    if (this.isLowest(lane)) {
      const besideHigher = Math.min(same + credits, higher / 7);
      return Math.ceil(same + higher - (higher + besideHigher) * reserve);
    }
    const lower = waiting.slice(lane + 1).filter((of) => of > 0);
    const eighth = Math.floor((higher + same + credits) / (8 - Math.min(lower.length, 7)));
    return higher + same + sum(lower.map((of) => Math.min(of, eighth)));
  }

  /** Adds a call, and resolves as it does; on abort the call is dropped at once, and `onDrop` called. */
  add<R>(
    want: Want,
    perform: (credits: SuppliedCredits) => Promise<R>,
    signal: AbortSignal,
    onDrop: () => void,
  ): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const accepted = this.#accept(want);
      signal.throwIfAborted();
      const forget = this.#aborts.add(signal, () => {
        this.drop(call, signal.reason as Error);
        onDrop();
      });
      const call: WaitingCall = {
        ...accepted,
        lane: this.laneOf(want.lane),
        request: want.request,
        batch: want.batch,
        start: (credits) => {
          forget();
          return perform(credits).then(resolve, reject);
        },
        drop: (reason) => {
          forget();
          reject(reason);
        },
      };
      this.#lanes[call.lane]?.add(call);
    });
  }

  #waiting(): readonly number[] {
    return this.#lanes.flatMap(({ size }, lane) => (size > 0 ? [lane] : []));
  }

  #creditsOf(queue: LaneQueue<WaitingCall>, request: string | undefined): number {
    let credits = 0;
    for (const call of queue) {
      if (request === undefined || call.request !== request) credits += Math.min(call.credits, this.#capacity);
    }
    return credits;
  }

  #accept({ credits, min = credits }: Want): Pick<WaitingCall, 'credits' | 'min'> {
    if (![credits, min].every((count) => Number.isSafeInteger(count) && count >= 0)) {
      throw new OptionsError(`creditLimiter: credits: expected whole numbers, got ${credits} (min ${min})`);
    }
    const least = Math.min(min, credits);
    if (least > this.#capacity) {
      throw new OptionsError(`creditLimiter: a call for ${least} credits never fits a window of ${this.#capacity}`);
    }
    if (sum(this.#lanes.map(({ size }) => size)) >= mostWaiting) {
      throw new PipelineError('request_refused', `creditLimiter: ${mostWaiting} calls wait already`, {
        retryable: true,
      });
    }
    return { credits, min: least };
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
