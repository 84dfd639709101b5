import { PipelineError } from '../../../model/errors.ts';
import type { Acceptance } from '../../../model/ports.ts';
import type { Request } from '../../../model/requests/request.ts';
import { shareOut, type ShareOutOptions } from '../../parts/shareOut.ts';
import type { PartitionContext } from '../partitionHandler.ts';
import type { AnyRequestTopic } from '../requestTopic.ts';

/** A request that the ledger knows, ready to be handed out. */
export interface AcceptedRequest {
  readonly inputs: readonly unknown[];
  readonly batchSize: number;
  readonly acceptedAt: Date;
  readonly batches: number;
  /** Of a shared request: how many batches the ledger had already. */
  readonly storedBatches?: number | undefined;
  readonly isShared: boolean;
}

export interface AcceptContext extends Pick<PartitionContext, 'sink' | 'now'> {
  readonly topic: AnyRequestTopic;
  readonly splitAbove: number;
}

/** Accepts a request in its ledger, and sends its batches to all workers where that is worth while. */
export async function acceptRequest(
  key: string,
  { pipeline, inputs }: Request<unknown>,
  { topic, splitAbove, sink, now }: AcceptContext,
): Promise<AcceptedRequest> {
  const { ledger, workTopic } = topic;
  const own = { inputs, batchSize: topic.batchSize, acceptedAt: new Date(now()) };
  const accepted =
    ledger === undefined ? own : await ledger.accept({ key, pipeline, inputs, batchSize: topic.batchSize });
  const batches = Math.ceil(accepted.inputs.length / accepted.batchSize);
  const fields = { ...accepted, acceptedAt: acceptedAt(accepted, now()), batches };
  if (ledger === undefined || workTopic === undefined || batches <= splitAbove) return { ...fields, isShared: false };
  const stored = new Set(await ledger.storedNumbers(key));
  const missing = Array.from({ length: batches }, (_, number) => number).filter((number) => !stored.has(number));
  const isShared = await isSharedOut({
    sink,
    topic: workTopic,
    pipeline,
    key,
    inputs: accepted.inputs,
    batchSize: accepted.batchSize,
    missing,
  });
  return isShared ? { ...fields, storedBatches: batches - missing.length, isShared } : { ...fields, isShared };
}

/** Whether all batches were sent. A work topic that does not take one for its size, takes it never: then this worker does all. */
async function isSharedOut(options: ShareOutOptions): Promise<boolean> {
  try {
    await shareOut(options);
    return true;
  } catch (error) {
    if (PipelineError.isInstance(error) && error.code === 'record_too_large') return false;
    throw error;
  }
}

/** In this process's time, in which the end is measured as well: the clock of the ledger's server may differ. */
function acceptedAt({ acceptedAt, ageMs }: Acceptance<unknown>, now: number): Date {
  return ageMs === undefined ? acceptedAt : new Date(now - ageMs);
}
