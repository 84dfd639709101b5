import { PipelineError, type Limiter } from '../../index.ts';
import { pause } from '../pause.ts';

const firstPauseMs = 250;
const longestPauseMs = 5_000;

export interface PatientLimiterOptions {
  /** Called each time that no credits could be had, with the reason. */
  readonly onAway: (error: PipelineError) => void;
  /** Called when credits were granted. */
  readonly onGrant: () => void;
}

/**
 * The same limiter, but a call that gets no credits because whoever counts them is away, mostly PostgreSQL, asks again until
 * its signal aborts: its inputs have done nothing wrong.
 */
export function patientLimiter(limiter: Limiter, { onAway, onGrant }: PatientLimiterOptions): Limiter {
  return {
    async run(want, task, call) {
      const credits = { areGranted: false };
      const granted: typeof task = (grant) => {
        credits.areGranted = true;
        onGrant();
        return task(grant);
      };
      for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
        try {
          return await limiter.run(want, granted, call);
        } catch (error) {
          // Before the call it is the limiter that fails, afterwards the call.
          if (credits.areGranted || !PipelineError.isInstance(error) || !error.retryable) throw error;
          onAway(error);
        }
        await pause(pauseMs, call.signal);
      }
    },
    forecast: (credits, lane, request) => limiter.forecast(credits, lane, request),
    windows: (lane) => limiter.windows?.(lane) ?? [],
    refresh: async () => limiter.refresh?.(),
  };
}
