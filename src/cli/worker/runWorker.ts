import type { RecordSource } from '../../index.ts';
import { kafkaSource } from '../../kafka/index.ts';
import { checkTables } from '../../postgres/index.ts';
import { exitComplete, type Invocation } from '../command.ts';
import { sentence } from '../output/sentence.ts';
import { answerRequests } from './answerRequests.ts';
import { Drain } from './Drain.ts';
import { serveHttp } from './http/httpServer.ts';
import { openParts, type WorkerParts } from './openParts.ts';
import { prepareKafka } from './prepareKafka.ts';
import { Probe } from './http/Probe.ts';
import { ProviderWatch } from './watch/ProviderWatch.ts';
import type { WorkerState } from './http/readiness.ts';
import { tellStart } from './tellStart.ts';
import { untilThere, type UntilThereOptions } from './untilThere.ts';
import { WorkerLog } from './watch/WorkerLog.ts';
import type { WorkOptions } from './workOptions.ts';
import { workerPages } from './http/workerPages.ts';

/** A worker at work. */
interface Worker {
  readonly options: WorkOptions;
  readonly parts: WorkerParts;
  readonly log: WorkerLog;
  readonly say: (line: string) => void;
  readonly drain: Drain;
  readonly stop: AbortSignal;
  isStarting: boolean;
  /** The member of the group; one that has died has another one after it. */
  source?: RecordSource | undefined;
}

/** Works until the signal aborts, and resolves with the exit code once everything is closed. */
export async function runWorker(
  options: WorkOptions,
  { writer, signal: stop, exit }: Pick<Invocation, 'writer' | 'signal' | 'exit'>,
): Promise<number> {
  const log = new WorkerLog({ writer });
  const say = (line: string): void => {
    log.line(line);
  };
  using drain = new Drain({ stop, drainMs: options.drainMs, log: say, exit });
  await using parts = openParts(options, log, drain.handBack);
  const worker: Worker = { options, parts, log, say, drain, stop, isStarting: true };
  await using http = await serveHttp({ ...options, pages: pagesOf(worker) });
  tellStart(options, parts, http.url, say);
  using _watch = new ProviderWatch({ providers: parts.pipelines, log: say });
  try {
    await waitForServers(worker);
    worker.isStarting = false;
    await untilThere(() => workAsMember(worker), waitingFor('Kafka', worker));
  } catch (error) {
    if (!stop.aborted) throw error;
    // What was to be announced when it failed is announced by the next owner.
    if (error !== stop.reason) say(`drain: ${sentence(error)}`);
  }
  say('stopped');
  return exitComplete;
}

/** Waits for the servers, and looks whether everything is there that requests need. */
async function waitForServers(worker: Worker): Promise<void> {
  const { options, parts, say } = worker;
  const { database, connection, pipelines, absentTopics } = parts;
  if (database !== undefined) {
    const tables = options.pipelines.map(({ table }) => table);
    await untilThere(() => checkTables({ database, tables }), waitingFor('PostgreSQL', worker));
  }
  const { createTopics } = options;
  const absent = await untilThere(
    () => prepareKafka({ connection, pipelines, createTopics, log: say }),
    waitingFor('Kafka', worker),
  );
  for (const topic of absent) absentTopics.add(topic);
}

function waitingFor(what: string, { stop, say }: Worker): UntilThereOptions {
  return { what, signal: stop, log: say };
}

/** From joining the group to leaving it. */
async function workAsMember(worker: Worker): Promise<void> {
  const { options, parts, log, drain, stop } = worker;
  const { sink, pipelines, events: progress, observer: events, connection } = parts;
  const { groupId, sessionTimeoutMs } = options.kafka;
  const topics = pipelines.flatMap(({ topic: { topic, workTopic } }) =>
    workTopic === undefined ? [topic] : [topic, workTopic],
  );
  const source = kafkaSource({ ...connection, groupId, topics, sessionTimeoutMs });
  worker.source = source;
  const leave = (): void => {
    void source.stop();
  };
  drain.handBack.addEventListener('abort', leave, { once: true });
  try {
    const standsStill = (): boolean => isStandingStill(parts);
    const { quarantineAfter, quarantineStarts } = options;
    const quarantine = { quarantineAfter, quarantineStarts };
    await answerRequests({ source, sink, groupId, pipelines, progress, standsStill, log, events, stop, ...quarantine });
  } finally {
    drain.handBack.removeEventListener('abort', leave);
    await source.stop();
  }
}

/** Whether no request can be blamed for making no progress: somebody that it needs is away. */
function isStandingStill({ databaseWatch, pipelines }: WorkerParts): boolean {
  return databaseWatch.isAway || pipelines.some(({ health }) => health().every(({ state }) => state === 'down'));
}

function pagesOf(worker: Worker): ReturnType<typeof workerPages> {
  const { options, parts, drain } = worker;
  const { database, pipelines } = parts;
  const state = (): WorkerState => {
    if (drain.isUnderWay) return 'draining';
    return worker.isStarting ? 'starting' : 'running';
  };
  return workerPages({
    state,
    groupId: options.kafka.groupId,
    isJoined: () => worker.source?.joined ?? false,
    held: () => parts.held.partitions,
    // A standby answers, too, but takes no writes.
    database: database && new Probe({ ask: () => database.probe() }),
    isDatabaseNotReady: () => parts.databaseWatch.isNotReady,
    providers: pipelines,
    metrics: parts.metrics,
  });
}
