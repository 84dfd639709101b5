import { orAborted } from '../../flow/orAborted.ts';
import { pause } from '../../flow/pause.ts';
import { PipelineError } from '../../model/errors.ts';
import type { CompletionEvent } from '../../model/events/completion.ts';
import type { Ledger } from '../../model/ports.ts';
import type { SinkRecord, SourceRecord } from '../../model/recordPorts.ts';
import { deadLetterRecord } from '../records/deadLetterRecord.ts';
import { fitToShow } from '../records/fitToShow.ts';
import { ledgerKeyOf } from '../records/ledgerKeyOf.ts';
import { sendFitting } from '../records/sendFitting.ts';
import { Attempt, type Answer } from '../requests/partition/Attempt.ts';
import { Backoff, mayPass } from '../requests/partition/retry.ts';
import type { PartitionContext } from '../requests/partitionHandler.ts';
import { startWork } from '../requests/quarantine/startWork.ts';
import type { AnyRequestTopic } from '../requests/requestTopic.ts';
import { nameOf, type Work } from './workRecord.ts';

/** What an open part needs of its partition. */
export interface OpenPartContext extends PartitionContext {
  readonly topic: AnyRequestTopic;
  readonly ledger: Ledger<unknown, unknown>;
  readonly read: (record: SourceRecord) => Work<unknown>;
  /** Aborted when nothing more is to be handed out. */
  readonly leaving: AbortSignal;
  /** Aborted when the partition is lost. */
  readonly lost: AbortSignal;
  /** Runs a task once those of the same name that were given before have ended. */
  readonly inTurn: (name: string, task: () => Promise<void>) => Promise<void>;
}

/** A record of a work topic, from its arrival until the ledger has its batch. */
export class OpenPart {
  readonly #record: SourceRecord;
  readonly #context: OpenPartContext;
  readonly #backoff = new Backoff();
  #attempt: Attempt | undefined;
  #failure: PipelineError | undefined;

  constructor(record: SourceRecord, context: OpenPartContext) {
    this.#record = record;
    this.#context = context;
  }

  /** Resolves once the record is done; rejects when it is left to whoever comes next. */
  async run(): Promise<void> {
    const work = this.#read();
    if (PipelineError.isInstance(work)) return this.#putAway(work);
    // A batch may have been sent twice, when its request got another owner: the second finds it in the ledger.
    await this.#context.inTurn(nameOf(work), () => this.#do(work));
    const { key, batch } = work;
    this.#context.emit({ type: 'part-done', key, batch, ...(this.#failure && { error: this.#failure }) });
  }

  /** Leaves it to somebody else, at once. */
  lose(reason: Error): void {
    this.#attempt?.lose(reason);
  }

  #read(): Work<unknown> | PipelineError {
    try {
      return this.#context.read(this.#record);
    } catch (error) {
      return PipelineError.from(error);
    }
  }

  async #do(work: Work<unknown>): Promise<void> {
    const { ledger } = this.#context;
    const { key, batch: index, inputs } = work;
    while (!(await this.#persist(key, () => this.#isStored(work)))) {
      const error = await this.#try(work);
      if (error === undefined) return;
      if (mayPass(error) || isOutage(error)) {
        await this.#waitAfter(key, error);
        continue;
      }
      // Without its row, the owner of the request would wait for it for ever.
      const shown = fitToShow(error);
      await this.#persist(key, () => ledger.storeFailed(key, { index, inputs, error: shown }));
      this.#failure = shown;
      return;
    }
  }

  async #isStored({ key, batch }: Work<unknown>): Promise<boolean> {
    return (await this.#context.ledger.storedNumbers(key, [batch])).length > 0;
  }

  /** Starts the part as soon as it may be, and hands it out once; answers what came in the way of its row in the ledger. */
  async #try(work: Work<unknown>): Promise<PipelineError | undefined> {
    const { ledger, quarantine, leaving, emit } = this.#context;
    const { key, batch } = work;
    const persist = (task: () => Promise<number>): Promise<number> => this.#persist(key, task);
    const started = await startWork({ key, batch, ledger, quarantine, signal: leaving, persist, emit });
    if (PipelineError.isInstance(started)) return started;
    let isDone = false;
    try {
      const error = await this.#handOut(work, started.recall);
      isDone = error === undefined;
      return error;
    } finally {
      await started.end(isDone);
    }
  }

  /** Hands the part out once; answers what came in the way of its row in the ledger. */
  async #handOut(work: Work<unknown>, recall: AbortSignal): Promise<PipelineError | undefined> {
    const { topic, now, leaving, deliver } = this.#context;
    const { key, batch, inputs } = work;
    leaving.throwIfAborted();
    const delivery = {
      id: key,
      request: topic.requestOf(inputs),
      inputs,
      batchSize: inputs.length,
      lane: topic.lane,
      acceptedAt: new Date(now()),
      share: { role: 'part', firstBatch: batch },
    } as const;
    const attempt = new Attempt(delivery, recall);
    this.#attempt = attempt;
    deliver(attempt.delivery);
    const answer = await this.#answerTo(attempt, work);
    if (answer.type === 'returned') return isOutage(answer.error) ? answer.error : (attempt.stuck ?? answer.error);
    const error = await this.#obstacleTo(answer.completion, work);
    answer.announced(error);
    return error;
  }

  /** Why a part that was answered is not done: its batch is not in the ledger, and only that counts. */
  async #obstacleTo({ failed }: CompletionEvent, work: Work<unknown>): Promise<PipelineError | undefined> {
    try {
      if (await orAborted(this.#isStored(work), this.#context.lost)) return undefined;
    } catch (error) {
      return PipelineError.from(error);
    }
    const unwritten = failed.find(({ stage }) => stage === 'write');
    if (unwritten !== undefined) return new PipelineError(unwritten.reason, unwritten.message);
    return this.#attempt?.stuck ?? new PipelineError('internal', `batch ${nameOf(work)} was answered, and not stored`);
  }

  async #answerTo(attempt: Attempt, { key, batch }: Work<unknown>): Promise<Answer> {
    const onStuck = (): void => {
      attempt.end(new PipelineError('timeout', `batch ${batch} of request ${key} made no progress for too long`));
    };
    const unwatch = this.#context.watch.watch({ request: key, batches: { first: batch, count: 1 }, onStuck });
    try {
      return await attempt.answer;
    } finally {
      unwatch();
    }
  }

  /** No work at all: there is nobody to tell but the dead letters, which may have fewer partitions than the work. */
  async #putAway(error: PipelineError): Promise<void> {
    const { sink, topic, groupId, emit } = this.#context;
    const { topic: from, partition, offset } = this.#record;
    const key = ledgerKeyOf(this.#record);
    const letter = (): SinkRecord => {
      const maxBytes = sink.maxRecordBytes(topic.deadLetterTopic);
      const whole = deadLetterRecord(this.#record, error, { topic: topic.deadLetterTopic, groupId, maxBytes });
      return { ...whole, partition: undefined };
    };
    await this.#persist(key, () => sendFitting(sink, () => [letter()]));
    emit({ type: 'dead-lettered', key, place: { topic: from, partition, offset }, error });
  }

  /** Tries until it succeeds, or the partition is left. */
  async #persist<Result>(key: string, task: () => Promise<Result>): Promise<Result> {
    const { leaving } = this.#context;
    for (;;) {
      leaving.throwIfAborted();
      try {
        // The ledger may wait for its database, for however long that takes.
        return await orAborted(task(), leaving);
      } catch (error) {
        await this.#waitAfter(key, PipelineError.from(error));
      }
    }
  }

  async #waitAfter(key: string, error: PipelineError): Promise<void> {
    const delayMs = this.#backoff.next();
    this.#context.emit({ type: 'request-retried', key, error, delayMs });
    await pause(delayMs, this.#context.leaving);
  }
}

function isOutage({ code }: PipelineError): boolean {
  return code === 'database_unavailable';
}
