import { creditLimiter, type CreditLimiter, type CreditLimiterOptions, type CreditQuota } from '../../index.ts';
import { postgresQuotaStore, postgresWindow, type Database } from '../../postgres/index.ts';

/** What a plan allows. */
export interface Allowance {
  readonly provider: string;
  readonly apiKey: string;
  /** The credits of a day or a month; `Infinity` where the plan has no such bound. */
  readonly quota?: CreditQuota | undefined;
  /** Told of a pause that is cut to a window. */
  readonly onLongPause?: CreditLimiterOptions['onLongPause'];
}

export interface WindowAllowance extends Allowance {
  /** The credits of a window. */
  readonly credits: number;
  readonly windowMs: number;
  /** The longest that a call takes, its wait for the database included. */
  readonly callTimeoutMs: number;
}

export interface SpacedAllowance extends Allowance {
  readonly callsPerSecond: number;
}

/**
 * Keeps a window of credits. With a database all processes on the key count in it together, and a day's credits survive the
 * process; without one, this process counts for itself. `lanes` are those that share it, the highest first.
 */
export function windowLimiter(
  allowance: WindowAllowance,
  database: Database | undefined,
  lanes: readonly string[] = [],
): CreditLimiter {
  const { provider, apiKey, credits, windowMs, callTimeoutMs, onLongPause } = allowance;
  return creditLimiter({
    credits,
    windowMs,
    lanes,
    callTimeoutMs,
    onLongPause,
    quotas: quotasOf(allowance, database),
    ...(database && { window: postgresWindow({ database, provider, apiKey, credits, windowMs }) }),
  });
}

/** A strict window of a second would be waited through most of the time: the calls are spaced out instead. */
export function spacedLimiter(
  allowance: SpacedAllowance,
  database: Database | undefined,
  lanes: readonly string[] = [],
): CreditLimiter {
  const { callsPerSecond, onLongPause } = allowance;
  const minTimeMs = spacingMs(callsPerSecond);
  return creditLimiter({ credits: Infinity, minTimeMs, lanes, onLongPause, quotas: quotasOf(allowance, database) });
}

/** The time between two calls; a quarter of head room is for calls that catch up with each other on their way. */
export function spacingMs(callsPerSecond: number): number {
  return Math.ceil(1250 / callsPerSecond);
}

/** Frankfurter has no quota and asks for moderation. */
export function politeLimiter(
  _database: Database | undefined,
  lanes: readonly string[] = [],
  onLongPause?: CreditLimiterOptions['onLongPause'],
): CreditLimiter {
  return creditLimiter({ credits: 60, maxConcurrent: 2, lanes, onLongPause });
}

/** Recorded and simulated providers have no quota. */
export function unlimited(): CreditLimiter {
  return creditLimiter({ credits: Infinity });
}

function quotasOf({ provider, apiKey, quota }: Allowance, database: Database | undefined): readonly CreditQuota[] {
  if (quota === undefined || quota.credits === Infinity) return [];
  return [{ ...quota, ...(database && { store: postgresQuotaStore({ database, provider, apiKey }) }) }];
}
