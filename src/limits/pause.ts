import type { PipelineError } from '../model/errors.ts';

const minuteMs = 60_000;
/** Clocks differ: a pause until the next clock minute ends this much after it. */
const afterMinuteMs = 250;

/**
 * How long a refusal for the rate stops every call on the key: for as long as the provider asks; when it does not say, until
 * just after the next clock minute, where providers start a new count, or for a whole window where that is shorter.
 */
export function pauseMs(error: PipelineError, windowMs: number, now: number, longestMs = Infinity): number {
  const otherwise = windowMs < minuteMs ? windowMs : minuteMs - (now % minuteMs) + afterMinuteMs;
  return askedMs(error, longestMs) ?? otherwise;
}

/** How long a provider asks to wait, if that is a time to come; never longer than `longestMs`, whatever it says. */
export function askedMs({ retryAfterMs }: PipelineError, longestMs: number): number | undefined {
  const isTimeToCome = retryAfterMs !== undefined && Number.isFinite(retryAfterMs) && retryAfterMs > 0;
  return isTimeToCome ? Math.min(retryAfterMs, longestMs) : undefined;
}
