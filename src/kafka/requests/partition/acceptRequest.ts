import type { Acceptance } from '../../../model/ports.ts';
import type { Request } from '../../../model/requests/request.ts';
import { shareOut } from '../../parts/shareOut.ts';
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
  await shareOut({
    sink,
    topic: workTopic,
    pipeline,
    key,
    inputs: accepted.inputs,
    batchSize: accepted.batchSize,
    missing,
  });
  return { ...fields, storedBatches: batches - missing.length, isShared: true };
}

/** In this process's time, in which the end is measured as well: the clock of the ledger's server may differ. */
function acceptedAt({ acceptedAt, ageMs }: Acceptance<unknown>, now: number): Date {
  return ageMs === undefined ? acceptedAt : new Date(now - ageMs);
}
