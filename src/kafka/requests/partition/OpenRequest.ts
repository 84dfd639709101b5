import { orAborted } from '../../../flow/orAborted.ts';
import { pause } from '../../../flow/pause.ts';
import { PipelineError, RequestError } from '../../../model/errors.ts';
import type { CompletionEvent, FailedEntry } from '../../../model/events/completion.ts';
import { failedRequest } from '../../../model/events/failedRequest.ts';
import { rejectedRequest } from '../../../model/events/rejectedRequest.ts';
import type { SinkRecord, SourceRecord } from '../../../model/recordPorts.ts';
import type { Request } from '../../../model/requests/request.ts';
import { completionRecords } from '../../records/completionRecords.ts';
import { deadLetterRecord } from '../../records/deadLetterRecord.ts';
import { fitToShow } from '../../records/fitToShow.ts';
import { ledgerKeyOf } from '../../records/ledgerKeyOf.ts';
import { acceptRequest, type AcceptedRequest } from './acceptRequest.ts';
import { Attempt, type Answer } from './Attempt.ts';
import type { PartitionContext } from '../partitionHandler.ts';
import { startWork, type StartedWork } from '../quarantine/startWork.ts';
import { Backoff, mayPass } from './retry.ts';
import type { AnyRequestTopic } from '../requestTopic.ts';

/** What an open request needs of its partition. */
export interface OpenRequestContext extends PartitionContext {
  readonly topic: AnyRequestTopic;
  readonly progressDeadlineMs: number;
  readonly splitAbove: number;
  /** Aborted when nothing more is to be handed out. */
  readonly leaving: AbortSignal;
  /** Announces the records, and that the record at the offset is done; they are made anew when they are too large. */
  readonly announce: (offset: bigint, recordsOf: () => readonly SinkRecord[]) => Promise<void>;
  /** Runs a task once those given before have ended, or have passed on their turn. */
  readonly inTurn: <Result>(task: (passOn: () => void) => Promise<Result>) => Promise<Result>;
}

/** A request that was started, and that the ledger knows. */
interface Begun {
  readonly work: StartedWork;
  readonly accepted: AcceptedRequest;
}

/** A record of a request topic, from its arrival until what became of it is announced. */
export class OpenRequest {
  readonly #record: SourceRecord;
  readonly #context: OpenRequestContext;
  readonly #key: string;
  readonly #takenAt = performance.now();
  readonly #backoff = new Backoff();
  #attempt: Attempt | undefined;
  #lost: Error | undefined;

  constructor(record: SourceRecord, context: OpenRequestContext) {
    this.#record = record;
    this.#context = context;
    this.#key = ledgerKeyOf(record);
  }

  /** Reads the record at once. Resolves when it is answered, or left to whoever comes next. */
  async run(): Promise<void> {
    try {
      const request = this.#read();
      await (PipelineError.isInstance(request) ? this.#reject(request) : this.#answer(request));
    } catch (error) {
      if (this.#lost !== undefined || error === this.#context.leaving.reason) return;
      // What nobody has foreseen must not stay open: it would hold its partition up for ever.
      await this.#reject(PipelineError.from(error)).catch(() => undefined);
    }
  }

  /** Leaves it to somebody else, at once. */
  lose(reason: Error): void {
    this.#lost = reason;
    this.#attempt?.lose(reason);
  }

  #read(): Request<unknown> | PipelineError {
    const { topic, maxMessageBytes } = this.#context;
    const { value } = this.#record;
    try {
      if (value === null || value.length <= maxMessageBytes) return topic.parse(value);
      const message = `request: expected at most ${maxMessageBytes} bytes, got ${value.length}`;
      return new RequestError('request_malformed', message);
    } catch (error) {
      return PipelineError.from(error);
    }
  }

  async #answer(request: Request<unknown>): Promise<void> {
    let begun = await this.#context.inTurn((passOn) => this.#begin(request, passOn));
    for (;;) {
      if (PipelineError.isInstance(begun)) return this.#reject(begun, request);
      const error = await this.#try(request, begun);
      if (error === undefined) return;
      await this.#waitAfter(error);
      begun = await this.#begin(request);
    }
  }

  /** Goes on until it may be started and the ledger has taken it; answers why, when it is not to be. */
  async #begin(request: Request<unknown>, onSuspect?: () => void): Promise<Begun | PipelineError> {
    const { topic, quarantine, leaving, emit } = this.#context;
    let work: StartedWork | undefined;
    try {
      const persist = <Result>(task: () => Promise<Result>): Promise<Result> => this.#persist(task);
      const start = { key: this.#key, ledger: topic.ledger, quarantine, signal: leaving, persist, emit };
      const started = await startWork({ ...start, onSuspect });
      if (PipelineError.isInstance(started)) return started;
      work = started;
      const accepted = await persist(() => acceptRequest(this.#key, request, this.#context));
      // It only waits for its batches from here on: a place that it kept would be missing where they are to be done.
      if (accepted.isShared && accepted.storedBatches !== accepted.batches) await work.end(false);
      return { work, accepted };
    } catch (cause) {
      await work?.end(false);
      leaving.throwIfAborted();
      return PipelineError.from(cause);
    }
  }

  /** Asks the ledger until it answers, or refuses. */
  async #persist<Result>(task: () => Promise<Result>): Promise<Result> {
    const { leaving } = this.#context;
    for (;;) {
      leaving.throwIfAborted();
      try {
        // The ledger may wait for its database, for however long that takes.
        return await orAborted(task(), leaving);
      } catch (cause) {
        leaving.throwIfAborted();
        const error = PipelineError.from(cause);
        if (!mayPass(error)) throw error;
        await this.#waitAfter(error);
      }
    }
  }

  /** Hands it out once, and announces what comes of it; answers why it is to be tried again, when it is. */
  async #try(request: Request<unknown>, { work, accepted }: Begun): Promise<PipelineError | undefined> {
    let isDone = false;
    try {
      const attempt = this.#handOut(request, accepted, work.recall);
      const answer = await this.#answerTo(attempt);
      if (answer.type === 'completed') await this.#complete(answer, attempt.stuck);
      else {
        const final = finalError(answer.error, attempt.stuck);
        if (final === undefined) return answer.error;
        await this.#reject(final, request);
      }
      isDone = true;
      return undefined;
    } finally {
      await work.end(isDone);
    }
  }

  #handOut(request: Request<unknown>, accepted: AcceptedRequest, recall: AbortSignal): Attempt {
    const { topic, leaving, deliver } = this.#context;
    if (this.#lost !== undefined) throw this.#lost;
    leaving.throwIfAborted();
    if (this.#attempt === undefined) this.#tellAccepted(accepted);
    const { inputs, batchSize, acceptedAt, isShared } = accepted;
    const share = isShared ? { share: { role: 'owner' } as const } : {};
    const attempt = new Attempt(
      { id: this.#key, request, inputs, batchSize, lane: topic.lane, acceptedAt, ...share },
      recall,
    );
    this.#attempt = attempt;
    deliver(attempt.delivery);
    return attempt;
  }

  /** What the pipeline answers. One that makes no progress is told to end, and after that not waited for any longer. */
  async #answerTo(attempt: Attempt): Promise<Answer> {
    const { watch, progressDeadlineMs, leaving } = this.#context;
    const onStuck = (): void => {
      const message = `request ${this.#key} made no progress for ${progressDeadlineMs / 1_000} s`;
      attempt.end(new PipelineError('timeout', message));
    };
    // An owner only waits for its parts, which are watched where they are.
    const isOwner = attempt.delivery.share !== undefined;
    const unwatch = watch.watch({ request: this.#key, ...(isOwner ? {} : { onStuck }) });
    // Some of them may wait in the partitions that this worker is about to leave.
    const leave = (): void => attempt.lose(leaving.reason as Error);
    if (isOwner) leaving.addEventListener('abort', leave, { once: true });
    try {
      return await attempt.answer;
    } finally {
      leaving.removeEventListener('abort', leave);
      unwatch();
    }
  }

  async #complete({ completion, announced }: Answer & { type: 'completed' }, stuck?: PipelineError): Promise<void> {
    try {
      await this.#announce(completion, stuck ?? exhaustionIn(completion));
      announced();
    } catch (error) {
      announced(error);
      throw error;
    }
  }

  /** Puts the record to the dead letters, and tells the client. */
  async #reject(error: PipelineError, request?: Request<unknown>): Promise<void> {
    const shown = fitToShow(error);
    const isRefused = this.#attempt === undefined && error.code !== 'request_exhausted';
    const stage = isRefused ? 'validate' : 'fetch';
    const completion =
      request === undefined
        ? rejectedRequest(this.#context.topic.pipeline, shown, this.#key)
        : failedRequest(request, shown, { key: this.#key, stage });
    // What a pipeline had of it, it has counted itself, batch by batch.
    const unanswered =
      this.#attempt === undefined ? completion.failed : completion.failed.slice(0, request?.refused.length);
    await this.#announce(completion, shown, unanswered);
  }

  async #announce(
    completion: CompletionEvent,
    deadLetter: PipelineError | undefined,
    unanswered: readonly FailedEntry[] = [],
  ): Promise<void> {
    const { topic, sink, announce, emit } = this.#context;
    await announce(this.#record.offset, () => [
      ...(deadLetter === undefined ? [] : [this.#deadLetter(deadLetter)]),
      ...completionRecords(completion, {
        topic: topic.completionTopic,
        key: this.#key,
        request: this.#record,
        maxBytes: sink.maxRecordBytes(topic.completionTopic),
      }),
    ]);
    const { status } = completion;
    const durationMs = performance.now() - this.#takenAt;
    const more = unanswered.length === 0 ? {} : { unanswered };
    emit({ type: 'request-announced', key: this.#key, status, durationMs, ...more });
    if (deadLetter === undefined) return;
    emit({ type: 'dead-lettered', key: this.#key, place: this.#place(), error: deadLetter });
  }

  #deadLetter(error: PipelineError): SinkRecord {
    const { topic, groupId, sink } = this.#context;
    const { deadLetterTopic } = topic;
    const maxBytes = sink.maxRecordBytes(deadLetterTopic);
    return deadLetterRecord(this.#record, error, { topic: deadLetterTopic, groupId, maxBytes });
  }

  async #waitAfter(error: PipelineError): Promise<void> {
    const delayMs = this.#backoff.next();
    this.#context.emit({ type: 'request-retried', key: this.#key, error, delayMs });
    await pause(delayMs, this.#context.leaving);
  }

  #tellAccepted({ inputs, batches, storedBatches, isShared }: AcceptedRequest): void {
    this.#context.emit({
      type: 'request-accepted',
      key: this.#key,
      place: this.#place(),
      inputs: inputs.length,
      batches,
      storedBatches,
      isShared,
    });
  }

  #place(): { topic: string; partition: number; offset: bigint } {
    const { topic, partition, offset } = this.#record;
    return { topic, partition, offset };
  }
}

/** Why a request that was shared belongs to the dead letters: no process survived one of its batches. */
function exhaustionIn({ failed }: CompletionEvent): PipelineError | undefined {
  const entry = failed.find(({ reason }) => reason === 'request_exhausted');
  return entry && new PipelineError('request_exhausted', entry.message);
}

/** Why a request that came back is not tried again; undefined when it is. */
function finalError(error: PipelineError, stuck: PipelineError | undefined): PipelineError | undefined {
  if (error.code === 'database_unavailable') return undefined;
  return stuck ?? (mayPass(error) ? undefined : error);
}
