import { z } from 'zod';

/** The servers that the processes talk to. */
export type SimulatedServer = 'database' | 'broker' | 'provider';

/**
 * What goes wrong, and when: as soon as the processes have begun `at` effects on the outside. Whoever begins that one is meant.
 */
export type Fault = { readonly at: number } & (
  | {
      /** The process ends as by SIGKILL: before its effect has begun, or once it has taken effect and before it hears of it. */
      readonly type: 'kill';
      readonly point: 'before' | 'after';
      /** When another process takes its place, in milliseconds. */
      readonly restartMs: number;
    }
  /** The process is told to stop: it takes nothing new, ends what it has begun, and another takes its place. */
  | { readonly type: 'stop'; readonly restartMs: number }
  /** The process is stopped as by SIGSTOP, and goes on after a time: what it has sent arrives meanwhile. */
  | { readonly type: 'pause'; readonly forMs: number }
  /** A server is unavailable: it refuses what arrives, and what has begun there is rolled back. */
  | { readonly type: 'outage'; readonly of: SimulatedServer; readonly forMs: number }
  /** A server takes twenty times as long. */
  | { readonly type: 'slow'; readonly of: SimulatedServer; readonly forMs: number }
  /** The next effect on the server takes place, and its answer is lost. */
  | { readonly type: 'lost-answer'; readonly of: SimulatedServer }
  /**
   * What the provider does with the next calls: `refuse` them for their rate, `cut` the connection after having counted them,
   * `repeat` its last answer, say that the quota of the day is `exhausted`, or that it knows `unknown` none of the symbols.
   */
  | {
      readonly type: 'provider';
      readonly how: 'refuse' | 'cut' | 'repeat' | 'exhausted' | 'unknown';
      readonly calls: number;
    }
  /** A wall clock jumps: that of the process, or that of the database. */
  | { readonly type: 'clock'; readonly of: 'process' | 'database'; readonly byMs: number }
);

/** A message that a client sends. */
export interface SimulatedRequest {
  /** When, in milliseconds from the beginning. */
  readonly atMs: number;
  readonly partition: number;
  /** The assets asked for, such as `AAPL STOCK`. A symbol that begins with X is one that the provider does not know. None: a message that is no request. */
  readonly assets: readonly string[];
}

/** What a run is about; all of it but the chances, which the seed decides. */
export interface Scenario {
  /** Processes at the beginning; each that dies is followed by another. */
  readonly workers: number;
  readonly partitions: number;
  readonly batchSize: number;
  /** Requests of more batches are spread over all workers. */
  readonly splitAbove: number;
  /** Most unanswered requests of a partition. */
  readonly maxOpen: number;
  /** The plan of the provider: most credits, one an asset, in any time of `windowMs`. */
  readonly credits: number;
  readonly windowMs: number;
  /** Most credits of the day: what is beyond them is skipped. Default: any. */
  readonly dailyCredits?: number | undefined;
  readonly requests: readonly SimulatedRequest[];
  readonly faults: readonly Fault[];
}

const count = z.int().min(1);
const moment = z.int().min(0);
const at = { at: count };
const of = z.enum(['database', 'broker', 'provider']);

/** What a scenario may be: whoever writes one in JavaScript is told what is wrong with it. */
export const scenarioSchema = z.strictObject({
  workers: count,
  partitions: count,
  batchSize: count,
  splitAbove: count,
  maxOpen: count,
  credits: count,
  windowMs: count,
  dailyCredits: count.optional(),
  requests: z.array(z.strictObject({ atMs: moment, partition: moment, assets: z.array(z.string()) })),
  faults: z.array(
    z.discriminatedUnion('type', [
      z.strictObject({ ...at, type: z.literal('kill'), point: z.enum(['before', 'after']), restartMs: moment }),
      z.strictObject({ ...at, type: z.literal('stop'), restartMs: moment }),
      z.strictObject({ ...at, type: z.literal('pause'), forMs: moment }),
      z.strictObject({ ...at, type: z.literal('outage'), of, forMs: moment }),
      z.strictObject({ ...at, type: z.literal('slow'), of, forMs: moment }),
      z.strictObject({ ...at, type: z.literal('lost-answer'), of }),
      z.strictObject({
        ...at,
        type: z.literal('provider'),
        how: z.enum(['refuse', 'cut', 'repeat', 'exhausted', 'unknown']),
        calls: count,
      }),
      z.strictObject({ ...at, type: z.literal('clock'), of: z.enum(['process', 'database']), byMs: z.int() }),
    ]),
  ),
}) satisfies z.ZodType<Scenario>;
