import { FencedError, PipelineError, SinkError } from '../../../model/errors.ts';
import type { CompletionEvent } from '../../../model/events/completion.ts';
import type { AnyDelivery } from '../partitionHandler.ts';

/** How long a pipeline that was told to end a request may take to answer. */
const endingMs = 5_000;

/** What a pipeline says of a request. */
export type Answer =
  | { readonly type: 'completed'; readonly completion: CompletionEvent; readonly announced: (error?: unknown) => void }
  | { readonly type: 'returned'; readonly error: PipelineError };

/** A request that was handed out once. The first answer counts; later ones are refused. */
export class Attempt {
  readonly delivery: AnyDelivery;
  readonly answer: Promise<Answer>;
  readonly #controller = new AbortController();
  #settle: ((answer: Answer) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #stuck: PipelineError | undefined;
  #ending: NodeJS.Timeout | undefined;

  /** `recall`: aborted when the pipeline is to give the request back. */
  constructor(delivery: Omit<AnyDelivery, 'signal' | 'ack' | 'nack'>, recall: AbortSignal) {
    const { signal } = this.#controller;
    this.answer = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    this.delivery = {
      ...delivery,
      signal,
      ack: (completion) => this.#ack(completion),
      nack: (error) => this.#nack(error),
    };
    const giveBack = (): void => void this.#end(recall.reason as PipelineError);
    if (recall.aborted) giveBack();
    else recall.addEventListener('abort', giveBack, { once: true, signal });
  }

  /** Why it was told to end, when it made no progress. */
  get stuck(): PipelineError | undefined {
    return this.#stuck;
  }

  /** It makes no progress: tells the pipeline to end the request, and to answer with what it has. */
  end(stuck: PipelineError): void {
    if (this.#end(stuck)) this.#stuck = stuck;
  }

  /** The request is somebody else's: `answer` rejects, and what the pipeline still says of it is refused. */
  lose(reason: Error): void {
    if (this.#fail === undefined) return;
    this.#fail(reason);
    this.#close();
    this.#controller.abort(reason);
  }

  async #ack(completion: CompletionEvent): Promise<void> {
    if (this.#settle === undefined)
      throw new FencedError(`request ${this.delivery.id} is answered, or not ours any more`);
    const obstacle = obstacleTo(completion, this.#stuck !== undefined);
    if (obstacle !== undefined) {
      this.#take({ type: 'returned', error: obstacle });
      throw obstacle;
    }
    await new Promise<void>((resolve, reject) => {
      const announced = (error?: unknown): void => {
        if (error === undefined) resolve();
        else reject(PipelineError.from(error));
      };
      this.#take({ type: 'completed', completion, announced });
    });
  }

  async #nack(error: PipelineError): Promise<void> {
    this.#take({ type: 'returned', error });
    await Promise.resolve();
  }

  /** After a while the pipeline is not waited for any longer. False when it has answered, or was told to end before. */
  #end(reason: PipelineError): boolean {
    if (this.#settle === undefined || this.#controller.signal.aborted) return false;
    this.#ending = setTimeout(() => this.#take({ type: 'returned', error: reason }), endingMs);
    this.#controller.abort(reason);
    return true;
  }

  #take(answer: Answer): void {
    this.#settle?.(answer);
    this.#close();
  }

  #close(): void {
    clearTimeout(this.#ending);
    this.#settle = undefined;
    this.#fail = undefined;
  }
}

/** Why a completion would not be the truth about its request, but about this attempt. */
function obstacleTo({ failed, skipped }: CompletionEvent, isStuck: boolean): PipelineError | undefined {
  const outage = failed.find(({ reason }) => reason === 'database_unavailable');
  if (outage !== undefined) return new SinkError('database_unavailable', outage.message, { retryable: true });
  const isCanceled = skipped.some(({ reason }) => reason === 'canceled');
  if (!isCanceled || isStuck) return undefined;
  return new PipelineError('canceled', 'the request was not tried to its end', { retryable: true });
}
