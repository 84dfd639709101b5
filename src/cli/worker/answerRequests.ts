import { ignoreElements, lastValueFrom, map, type Observable } from 'rxjs';
import { answerByPipeline, type Delivery, type RecordSink, type RecordSource, type RunEvent } from '../../index.ts';
import { fromRequests, type WorkerObserver } from '../../kafka/index.ts';
import type { OpenPipeline } from './pipelines.ts';
import type { WorkerLog } from './watch/WorkerLog.ts';

export interface AnswerRequestsOptions {
  readonly source: RecordSource;
  readonly sink: RecordSink;
  readonly groupId: string;
  readonly pipelines: readonly OpenPipeline[];
  readonly progress: Observable<RunEvent>;
  readonly standsStill: () => boolean;
  readonly quarantineAfter: number;
  readonly quarantineStarts: number;
  readonly log: WorkerLog;
  readonly events: WorkerObserver;
  /** Ends the work: what was taken is answered, and nothing else is taken. */
  readonly stop: AbortSignal;
}

/** Reads requests and answers them, until it is told to stop. Rejects when the group cannot be joined, or is lost for good. */
export async function answerRequests(options: AnswerRequestsOptions): Promise<void> {
  const { source, sink, groupId, pipelines, progress, standsStill, log, events, stop } = options;
  const { quarantineAfter, quarantineStarts } = options;
  const topics = pipelines.map(({ topic }) => topic);
  const answers = Object.assign({}, ...pipelines.map((pipeline) => pipeline.answers)) as OpenPipeline['answers'];
  const given = { source, sink, groupId, topics, progress, standsStill, stop, events };
  const requests = fromRequests({ ...given, quarantineAfter, quarantineStarts });
  const answered = requests.pipe(
    // A topic's deliveries are those of its pipeline.
    map((delivery) => withResult(delivery as AnswerableDelivery, log)),
    answerByPipeline(answers),
    ignoreElements(),
  );
  await lastValueFrom(answered, { defaultValue: undefined });
}

type AnswerableDelivery = Parameters<ReturnType<typeof answerByPipeline>>[0] extends Observable<infer D> ? D : never;

/** Lets the log know what became of the symbols by the time that the answer is out. */
function withResult<D extends Delivery<unknown, unknown>>(delivery: D, log: WorkerLog): D {
  if (delivery.share?.role === 'part') return delivery;
  const ack: D['ack'] = async (completion) => {
    const forget = log.expect(delivery.id, completion);
    try {
      await delivery.ack(completion);
    } finally {
      forget();
    }
  };
  return { ...delivery, ack };
}
