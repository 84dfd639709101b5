import type { z } from 'zod';
import type { Ledger } from '../../model/ports.ts';
import type { Request, RequestMessage } from '../../model/requests/request.ts';

/** A topic that requests of one pipeline come from, and where what becomes of them goes. */
export interface RequestTopic<R extends Request<I>, I> {
  readonly topic: string;
  /** Where the completion events go. */
  readonly completionTopic: string;
  /** Where records go that are no requests, and requests that made no progress. */
  readonly deadLetterTopic: string;
  /** Where the batches of large requests go, for all workers to take. Missing: no request is shared. */
  readonly workTopic?: string | undefined;
  readonly pipeline: R['pipeline'];
  /** Whose share of the credits its requests use. */
  readonly lane: string;
  /** Inputs a batch, for requests that come from now on. */
  readonly batchSize: number;
  /** Remembers what was accepted and done: mostly that of the sink. Missing: a request that comes again begins anew. */
  readonly ledger?: Ledger<I, unknown> | undefined;
  /** Reads a message. Throws a `RequestError` when it is no request. */
  parse(message: RequestMessage): R;
  /** Checks an input of a work record, which comes from outside, too. */
  readonly inputSchema: z.ZodType<I>;
  /** The request that a batch of inputs stands for, when a work record brings it. */
  requestOf(inputs: readonly I[]): R;
}

/** A topic of any pipeline. */
export type AnyRequestTopic = RequestTopic<Request<unknown>, unknown>;
