import type { Observable } from 'rxjs';
import { z } from 'zod';
import { announcedSpan } from '../../model/announcedBitmap.ts';
import { callback, defineOptions, port } from '../../model/defineOptions.ts';
import type { RecordSink, RecordSource } from '../../model/recordPorts.ts';
import type { RunEvent } from '../../model/runEvents.ts';
import type { AnyRequestTopic } from './requestTopic.ts';
import type { WorkerObserver } from '../../model/workerEvents.ts';

export interface FromRequestsOptions<Topic extends AnyRequestTopic = AnyRequestTopic> {
  /** The member of the group; it has to read all request topics and all work topics. It is run, and stopped at the end. */
  source: RecordSource;
  /** Where completions, dead letters and work records go. It is not closed at the end: others may use it, too. */
  sink: RecordSink;
  /** The consumer group that `source` is a member of: offsets are committed in its name. */
  groupId: string;
  /** What the requests of each topic are, and where their answers go. */
  topics: readonly Topic[];
  /** Most unanswered requests of a partition: beyond it, the partition is paused. Default: 32. */
  maxOpen?: number | undefined;
  /**
   * Most bytes of unanswered requests in all partitions together, with keys and headers: beyond it, a partition takes one only
   * when it has none.
   * Default: 2,097,152.
   */
  maxOpenBytes?: number | undefined;
  /** Most offsets between the oldest unanswered request of a partition and the newest one taken. Default: 1,000. */
  window?: number | undefined;
  /** After how long without progress a request is given up, in milliseconds. Default: 120,000. */
  progressDeadlineMs?: number | undefined;
  /** Tells of progress: the `events` of the pipelines. Default: none, no request is ever given up. */
  progress?: Observable<RunEvent> | undefined;
  /** Whether no request can go on, as when the database is away: their deadlines stand still. Default: never. */
  standsStill?: (() => boolean) | undefined;
  /** A request of more batches is shared among all workers, where its topic has a ledger and a work topic. Default: 20. */
  splitAbove?: number | undefined;
  /**
   * After how many starts of a request after which the process ended without handing it back it is started alone, with nothing
   * else in this process. Only a ledger can count them. Default: 2.
   */
  quarantineAfter?: number | undefined;
  /** After how many such starts alone it is answered as failed, `request_exhausted`. Default: 3. */
  quarantineStarts?: number | undefined;
  /** Most bytes of a message: what is larger is no request. Default: 1,048,576. */
  maxMessageBytes?: number | undefined;
  /** Ends the work: no request is taken any more, and the result completes once those handed out are answered. Default: none. */
  stop?: AbortSignal | undefined;
  /** Sees what becomes of partitions and requests. Default: nobody. */
  events?: WorkerObserver | undefined;
  /** The clock, in epoch milliseconds. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

/** Checks the options and fills in the defaults. */
export const resolveFromRequests = defineOptions<FromRequestsOptions>('fromRequests')({
  source: port<RecordSource>('a record source', 'run', 'commit', 'pause', 'resume', 'rewind', 'stop'),
  sink: port<RecordSink>('a record sink', 'send', 'own'),
  groupId: z.string().min(1),
  topics: z
    .array(port<AnyRequestTopic>('a request topic', 'parse', 'requestOf'))
    .min(1)
    .refine(areDistinct, { error: 'expected each request topic and each work topic once' }),
  maxOpen: z.int().min(1).max(10_000).default(32),
  maxOpenBytes: z.int().min(1).default(2_097_152),
  window: z.int().min(1).max(announcedSpan).default(1_000),
  progressDeadlineMs: z.int().min(1).default(120_000),
  progress: port<Observable<RunEvent>>('an observable', 'subscribe').optional(),
  standsStill: callback<() => boolean>().default(() => () => false),
  splitAbove: z.int().min(1).default(20),
  quarantineAfter: z.int().min(1).max(1_000).default(2),
  quarantineStarts: z.int().min(1).max(1_000).default(3),
  maxMessageBytes: z.int().min(1).default(1_048_576),
  stop: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
  events: port<WorkerObserver>('an observer', 'next').optional(),
  now: callback<() => number>().default(() => () => Date.now()),
});

/** Options with their defaults. */
export type FromRequestsSettings = ReturnType<typeof resolveFromRequests>;

function areDistinct(topics: readonly AnyRequestTopic[]): boolean {
  const names = topics.flatMap(({ topic, workTopic }) => (workTopic === undefined ? [topic] : [topic, workTopic]));
  return new Set(names).size === names.length;
}
