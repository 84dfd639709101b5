import type { ErrorCode, PipelineError } from '../../../model/errors.ts';

const shortestMs = 250;
const longestMs = 5_000;

/** Growing pauses between attempts: 250 ms, and twice as long each time, up to 5 s. */
export class Backoff {
  #nextMs = shortestMs;

  /** How long to wait before the next attempt. */
  next(): number {
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(2 * delayMs, longestMs);
    return delayMs;
  }
}

/** What ends without a change of the request: an outage, or what a person has to see to. */
const passing: readonly ErrorCode[] = ['database_not_ready', 'publish_failed', 'broker_unavailable', 'broker_error'];

/** Whether it is worth while to try again. */
export function mayPass({ retryable, code }: PipelineError): boolean {
  return retryable || passing.includes(code);
}
