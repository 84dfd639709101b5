import { PipelineError, SinkError, type Limiter } from '../../index.ts';
import { pause } from '../pause.ts';

const firstPauseMs = 250;
const longestPauseMs = 5_000;
/** The same while somebody has to see to the deployment. */
const notReadyPauseMs = 60_000;
/** A probe without an answer for so long has failed. */
const probeWithinMs = 5_000;

export interface PatientLimiterOptions {
  /** Called each time that no credits could be had, with the reason. */
  readonly onAway: (error: PipelineError) => void;
  /** Called when credits were granted. */
  readonly onGrant: () => void;
  /** Rejects when the database that counts the credits gives no answers or takes no writes. Default: nobody is asked. */
  readonly probe?: (() => Promise<void>) | undefined;
}

/**
 * The same limiter, but a call that gets no credits because whoever counts them is away, mostly PostgreSQL, asks again until
 * its signal aborts: its inputs have done nothing wrong. So it is with a database that lacks something, such as a table; the
 * pauses then grow to a minute.
 */
export function patientLimiter(limiter: Limiter, { onAway, onGrant, probe }: PatientLimiterOptions): Limiter {
  return {
    async run(want, task, call) {
      const credits = { areGranted: false };
      const granted: typeof task = (grant) => {
        credits.areGranted = true;
        onGrant();
        return task(grant);
      };
      let longestMs = longestPauseMs;
      for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestMs)) {
        try {
          return await limiter.run(want, granted, call);
        } catch (error) {
          // Before the call it is the limiter that fails, afterwards the call.
          const reason = credits.areGranted ? undefined : await reasonToWait(error, probe);
          if (reason === undefined) throw error;
          longestMs = reason.code === 'database_not_ready' ? notReadyPauseMs : longestPauseMs;
          onAway(reason);
        }
        await pause(pauseMs, call.signal);
      }
    },
    forecast: (credits, lane, request) => limiter.forecast(credits, lane, request),
    windows: (lane) => limiter.windows?.(lane) ?? [],
    refresh: async () => limiter.refresh?.(),
  };
}

/** The error that tells why to wait; undefined when the call is to fail. */
async function reasonToWait(
  error: unknown,
  probe: (() => Promise<void>) | undefined,
): Promise<PipelineError | undefined> {
  if (!PipelineError.isInstance(error)) return undefined;
  const { code, message, retryable } = error;
  if (code === 'database_not_ready') return error;
  const isOfDatabase = code === 'database_unavailable' || code === 'database_error';
  if (probe === undefined || !isOfDatabase) return retryable ? error : undefined;
  const isThere = await isAnswered(probe);
  if (retryable && !isThere) return error;
  if (!retryable && isThere) return undefined;
  return new SinkError(isThere ? 'database_busy' : 'database_unavailable', message, { retryable: true, cause: error });
}

async function isAnswered(probe: () => Promise<void>): Promise<boolean> {
  const late = new AbortController();
  try {
    return await Promise.race([probe().then(() => true), pause(probeWithinMs, late.signal).then(() => false)]);
  } catch {
    return false;
  } finally {
    late.abort();
  }
}
