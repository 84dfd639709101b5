import { Subject } from 'rxjs';
import type { ProgressEvent, Publisher, RecordSink, RunEvent } from '../../index.ts';
import { kafkaSink, recordPublisher, type KafkaConnectionOptions, type WorkerObserver } from '../../kafka/index.ts';
import type { Database } from '../../postgres/index.ts';
import { openDatabase } from '../jobs/openDatabase.ts';
import { DatabaseWatch } from './watch/DatabaseWatch.ts';
import { HeldWatch } from './watch/HeldWatch.ts';
import { openPipelines } from './openPipelines.ts';
import type { OpenPipeline } from './pipelines.ts';
import type { WorkerLog } from './watch/WorkerLog.ts';
import { WorkerMetrics } from './watch/WorkerMetrics.ts';
import type { WorkOptions } from './workOptions.ts';

/** Most connections to the database for requests; as many more as a pool has by default count credits. */
const poolSize = 4;

/** What a worker is made of, until it is disposed of. */
export interface WorkerParts extends AsyncDisposable {
  readonly connection: KafkaConnectionOptions;
  readonly sink: RecordSink;
  /** Undefined: everything is kept in memory. */
  readonly database: Database | undefined;
  readonly databaseWatch: DatabaseWatch;
  readonly pipelines: readonly OpenPipeline[];
  readonly metrics: WorkerMetrics;
  readonly held: HeldWatch;
  /** Sees what becomes of partitions and requests. */
  readonly observer: WorkerObserver;
  /** Everything that happens in the pipelines. */
  readonly events: Subject<RunEvent>;
  /** Topics that are not there, and that nothing is published to. */
  readonly absentTopics: Set<string>;
}

/** Puts a worker together. Nothing is connected yet: that is done when it is first needed. */
export function openParts(options: WorkOptions, log: WorkerLog, handBack: AbortSignal): WorkerParts {
  const { kafka, server, pipelines: read } = options;
  const connection = { ...kafka.connection, onLog: log.onKafka };
  const sink = kafkaSink({ ...connection, startAt: kafka.startAt, compression: kafka.compression });
  const database = server && openDatabase(server, { poolSize });
  // Of its own: a call that waits for credits must not have to wait for batches that are being written.
  const counts = server && openDatabase(server);
  const databaseWatch = new DatabaseWatch((line) => {
    log.line(line);
  });
  const events = new Subject<RunEvent>();
  const absentTopics = new Set<string>();
  const progressTo = (topic: string): Publisher<ProgressEvent> => {
    const publisher = recordPublisher<ProgressEvent>({ sink, topic });
    return { publish: async (event) => (absentTopics.has(topic) ? undefined : publisher.publish(event)) };
  };
  const metrics = new WorkerMetrics();
  const surroundings = { database, counts, databaseWatch, metrics, progressTo, events, log, handBack };
  const opened = openPipelines({ pipelines: read, ...surroundings });
  const { pipelines } = opened;
  const counted = metrics.requestsOf(pipelines, () => databaseWatch.isAway);
  const held = new HeldWatch();
  const observer: WorkerObserver = {
    next: (event) => {
      log.next(event);
      counted.next(event);
      held.next(event);
    },
  };
  const dispose = async (): Promise<void> => {
    await sink.close();
    // It gives back to the database what it had booked.
    await opened[Symbol.asyncDispose]();
    await Promise.all([database?.close(), counts?.close()]);
  };
  return {
    ...{ connection, sink, database, databaseWatch, pipelines, metrics, held, observer, events, absentTopics },
    [Symbol.asyncDispose]: dispose,
  };
}
