import { PipelineError } from '../../index.ts';
import { duration } from '../output/duration.ts';
import { sentence } from '../output/sentence.ts';
import { pause } from '../pause.ts';

const firstPauseMs = 500;
const longestPauseMs = 10_000;

export interface UntilThereOptions {
  /** What is waited for, such as `Kafka`. */
  readonly what: string;
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Gets one line for each attempt that failed. */
  readonly log: (line: string) => void;
}

/**
 * Tries until it succeeds, with growing pauses, as long as the error is one that mends itself. Rejects with any other error at
 * once, and with the signal's reason when that aborts.
 */
export async function untilThere<Result>(
  attempt: () => Promise<Result>,
  { what, signal, log }: UntilThereOptions,
): Promise<Result> {
  for (let pauseMs = firstPauseMs, tries = 1; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs), tries += 1) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!PipelineError.isInstance(error) || !error.retryable) throw error;
      log(`waiting for ${what}: try ${tries} failed: ${sentence(error)}; next in ${duration(pauseMs)}`);
    }
    await pause(pauseMs, signal);
  }
}
