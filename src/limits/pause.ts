import type { PipelineError } from '../model/errors.ts';

const minuteMs = 60_000;
/** Clocks differ: a pause until the next clock minute ends this much after it. */
const afterMinuteMs = 250;

/**
 * How long a refusal for the rate stops every call on the key: for as long as the provider asks; when it does not say, until
 * just after the next clock minute, where providers start a new count, or for a whole window where that is shorter.
 */
export function pauseMs(error: PipelineError, windowMs: number, now: number): number {
  const { retryAfterMs } = error;
  if (retryAfterMs !== undefined && Number.isFinite(retryAfterMs) && retryAfterMs > 0) return retryAfterMs;
  return windowMs < minuteMs ? windowMs : minuteMs - (now % minuteMs) + afterMinuteMs;
}
