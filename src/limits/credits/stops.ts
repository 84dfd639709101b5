import { PipelineError } from '../../model/errors.ts';
import { askedMs, pauseMs } from '../pause.ts';
import { periodAt } from '../quotas/quotaPeriod.ts';

export interface StopsOptions {
  readonly windowMs: number;
  /** The longest that a refusal for the rate can pause the limiter, in milliseconds. */
  readonly longestPauseMs: number;
  /** The longest that a quota that is gone can close the limiter at once, in milliseconds. */
  readonly longestStopMs: number;
  /** Told of a pause that is shorter than the provider asks. */
  readonly onLongPause?: ((pause: LongPause) => void) | undefined;
  readonly now: () => number;
}

/** A provider asked for a longer pause than a window of the plan. */
export interface LongPause {
  /** What it asked for, in milliseconds. */
  readonly askedMs: number;
  /** How long the limiter pauses, in milliseconds: a window. */
  readonly pauseMs: number;
  /** The refusal. */
  readonly error: PipelineError;
}

/** Waits are rounded up to what comes after a clock minute: that much beyond a window is no longer pause. */
const roundedUpMs = 1_000;

/** What providers say of when to call again: a pause, in which calls wait, or a quota that is gone, which refuses them. */
export class Stops {
  readonly #options: StopsOptions;
  #pausedUntil = 0;
  #closedUntil = 0;

  constructor(options: StopsOptions) {
    this.#options = options;
  }

  /** Nothing is sent before, by `performance.now()`. */
  get until(): number {
    return Math.max(this.#pausedUntil, this.#closedUntil);
  }

  /** Why no call is accepted now; undefined when calls are. */
  closed(): PipelineError | undefined {
    const retryAfterMs = this.#closedUntil - performance.now();
    if (retryAfterMs <= 0) return undefined;
    const until = new Date(this.#options.now() + retryAfterMs).toISOString();
    const message = `creditLimiter: the provider's quota is used up until ${until}`;
    return new PipelineError('quota_exhausted', message, { retryAfterMs });
  }

  pause(error: PipelineError): void {
    const { windowMs, longestPauseMs, onLongPause, now } = this.#options;
    const asked = askedMs(error, Infinity) ?? 0;
    const isLong = asked > longestPauseMs + roundedUpMs;
    const pause = pauseMs(error, windowMs, now(), isLong ? longestPauseMs : Infinity);
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + pause);
    if (isLong) onLongPause?.({ askedMs: asked, pauseMs: pause, error });
  }

  /** The provider's quota is gone: for as long as it says, otherwise until the day ends in UTC. */
  close(error: PipelineError): PipelineError {
    const { longestStopMs, now } = this.#options;
    const restOfDayMs = periodAt('day', now()).endsAt - now();
    const until = performance.now() + (askedMs(error, longestStopMs) ?? restOfDayMs);
    this.#closedUntil = Math.max(this.#closedUntil, until);
    return this.closed() ?? error;
  }
}
