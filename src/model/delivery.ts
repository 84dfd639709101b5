import type { PipelineError } from './errors.ts';
import type { CompletionEvent } from './events/completion.ts';

/** How a delivery takes part in a request whose batches are spread over several workers. */
export type DeliveryShare =
  /** It answers the request: parts are on their way to do the batches, and the ledger tells when they are done. */
  | { readonly role: 'owner' }
  /** It does some batches of it, from this number on. Its completion event goes nowhere: only the ledger's rows count. */
  | { readonly role: 'part'; readonly firstBatch: number };

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
  /** Set when several workers share the request. Missing: this delivery is all of it. */
  readonly share?: DeliveryShare | undefined;
  /** Announces the completion. Rejects with a `PublishError` when it could not. */
  ack(completion: C): Promise<void>;
  /** Gives the request back unanswered. */
  nack(error: PipelineError): Promise<void>;
}
