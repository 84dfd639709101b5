import type { PipelineError } from './errors.ts';
import type { CompletionEvent } from './events/completion.ts';

/** A request on its way, with its own acknowledgment: answering it and announcing the answer are one act. */
export interface Delivery<R, I, C extends CompletionEvent = CompletionEvent> {
  /** The ledger key of the request. */
  readonly id: string;
  readonly request: R;
  /** The inputs as the ledger first accepted them. */
  readonly inputs: readonly I[];
  /** The batch size as the ledger first accepted it. */
  readonly batchSize: number;
  /** Whose share of the credits it uses. */
  readonly lane: string;
  readonly acceptedAt: Date;
  /** Aborted when the request is to stop: what was not tried yet becomes `skipped`. */
  readonly signal: AbortSignal;
  /** Announces the completion. Rejects with a `PublishError` when it could not. */
  ack(completion: C): Promise<void>;
  /** Gives the request back unanswered. */
  nack(error: PipelineError): Promise<void>;
}
