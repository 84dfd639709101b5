import { PipelineError, SinkError, type Limiter } from '../../index.ts';
import { pause } from '../pause.ts';

const firstPauseMs = 250;
const longestPauseMs = 5_000;
/** The same while somebody has to see to the deployment. */
const notReadyPauseMs = 60_000;
/** A probe without an answer for so long has failed. */
const probeWithinMs = 5_000;
/** So often the same state may come while the probe is answered: then it is no accident. */
const strikes = 3;
/** SQLSTATEs of a statement over its time, and of one that waited for a lock. */
const [tooSlow, locked] = ['57014', '55P03'];

export interface PatientLimiterOptions {
  /** Called each time that no credits could be had, with the reason. */
  readonly onAway: (error: PipelineError) => void;
  /** Called when credits were granted. */
  readonly onGrant: () => void;
  /** Rejects when the database that counts the credits gives no answers or takes no writes. Default: nobody is asked. */
  readonly probe?: (() => Promise<void>) | undefined;
}

/**
 * The same limiter, but a call that gets no credits because whoever counts them is away or slow, mostly PostgreSQL, asks again
 * until its signal aborts: its inputs have done nothing wrong. So it is with a database that lacks something, such as a table; the
 * pauses then grow to a minute. What else the database refuses is asked for three times.
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
      const seen = new Map<string, number>();
      for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestMs)) {
        try {
          return await limiter.run(want, granted, call);
        } catch (error) {
          // Before the call it is the limiter that fails, afterwards the call.
          if (!credits.areGranted) call.signal.throwIfAborted();
          const reason = credits.areGranted ? undefined : await reasonToWait(error, probe, seen);
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

/** The error that tells why to wait; undefined when the call is to fail. `seen` counts the states that it has met. */
async function reasonToWait(
  error: unknown,
  probe: (() => Promise<void>) | undefined,
  seen: Map<string, number>,
): Promise<PipelineError | undefined> {
  if (!PipelineError.isInstance(error)) return undefined;
  const { code, message, retryable, cause } = error;
  if (code === 'database_not_ready') return error;
  // The limiter gives up on a store or a window that is slow by itself.
  const isOfDatabase =
    code === 'database_unavailable' || code === 'database_error' || (code === 'timeout' && retryable);
  if (probe === undefined || !isOfDatabase) return retryable ? error : undefined;
  const isThere = await isAnswered(probe);
  const state = stateOf(cause);
  if (isThere && !retryable && state !== tooSlow) {
    const count = (seen.get(state) ?? 0) + 1;
    seen.set(state, count);
    if (count >= strikes) return undefined;
  }
  return new SinkError(isThere ? 'database_busy' : 'database_unavailable', message, { retryable: true, cause: error });
}

function stateOf(error: unknown): string {
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}

async function isAnswered(probe: () => Promise<void>): Promise<boolean> {
  const late = new AbortController();
  try {
    return await Promise.race([probe().then(() => true), pause(probeWithinMs, late.signal).then(() => false)]);
  } catch (error) {
    // Others hold the table that the probe writes to: the database answers.
    return stateOf(error) === locked;
  } finally {
    late.abort();
  }
}
