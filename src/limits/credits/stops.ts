import { PipelineError } from '../../model/errors.ts';
import { askedMs, pauseMs } from '../pause.ts';
import { periodAt } from '../quotas/quotaPeriod.ts';

export interface StopsOptions {
  readonly windowMs: number;
  /** The longest that a provider can stop the limiter at once, in milliseconds. */
  readonly longestStopMs: number;
  readonly now: () => number;
}

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
    const { windowMs, longestStopMs, now } = this.#options;
    const until = performance.now() + pauseMs(error, windowMs, now(), longestStopMs);
    this.#pausedUntil = Math.max(this.#pausedUntil, until);
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
