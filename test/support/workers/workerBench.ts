import { Kafka, logLevel, type Admin, type Producer } from 'kafkajs';
import { startKafkaBroker, type OwnBroker } from '../kafkaBroker.ts';
import { openTestDatabase, type TestDatabase } from '../postgres.ts';
import { startTcpProxy, type TcpProxy } from '../tcpProxy.ts';
import { kafkaWire, type KafkaMessage } from '../wire/kafkaWire.ts';
import { postgresWire } from '../wire/postgresWire.ts';
import { Closing } from '../Closing.ts';
import { Answers } from './Answers.ts';
import { CrashWatch, type CrashPoint } from './crashPoints.ts';
import { LedgerLooks } from './LedgerLooks.ts';
import { startPriceServers, type PriceServers } from './prices.ts';
import { lanes, topics, type PlannedRequest } from './requests.ts';
import { WorkerProcess } from './WorkerProcess.ts';

export interface WorkerBenchOptions {
  readonly workers: number;
  /** The program that the workers are. */
  readonly program: string;
  readonly words: readonly string[];
  /** What the workers find in their environment besides. Default: nothing. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Default: 1500. */
  readonly sessionTimeoutMs?: number | undefined;
  /** Partitions of each request topic. Default: 3. */
  readonly partitions?: number | undefined;
  /** How long providers take. Default: 20. */
  readonly latencyMs?: number | undefined;
}

/** A request that was sent. */
export interface SentRequest extends PlannedRequest {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** What the ledger and the completion call it. */
  readonly key: string;
}

/** A worker and the wire around it. */
export interface BenchWorker {
  readonly process: WorkerProcess;
  readonly kafka: TcpProxy;
  readonly postgres: TcpProxy;
  readonly looks: LedgerLooks;
  readonly crash: CrashWatch;
  /** Sees what the worker and Kafka say; returns how to end that. One at a time. */
  watchKafka(watch: KafkaWatch): () => void;
}

/** What a test may do with the messages between a worker and Kafka, before anything else does. */
export interface KafkaWatch {
  onRequest?(message: KafkaMessage): Promise<void> | undefined;
  onAnswer?(message: KafkaMessage): void;
}

/** Real workers on a real Kafka and a real PostgreSQL, with a proxy of each worker's own before both. */
export interface WorkerBench extends AsyncDisposable {
  readonly workers: readonly BenchWorker[];
  readonly broker: OwnBroker;
  readonly admin: Admin;
  readonly database: TestDatabase;
  readonly prices: PriceServers;
  readonly answers: Answers;
  readonly sent: readonly SentRequest[];
  /** How often a worker was killed at each point. */
  readonly kills: ReadonlyMap<CrashPoint | 'any moment', number>;
  /** For the next request to be planned. */
  nextNumber(): number;
  send(requests: readonly PlannedRequest[]): Promise<readonly SentRequest[]>;
  /** Kills a worker at once. */
  kill(worker: BenchWorker): Promise<void>;
}

export const groupId = 'etl-job-consumer-group';

/** The bench, or why there can be none. */
export async function openWorkerBench(
  options: WorkerBenchOptions,
): Promise<WorkerBench | { readonly missing: string }> {
  const { partitions = 3 } = options;
  await using stack = new Closing();
  const kills = new Map<CrashPoint | 'any moment', number>();
  const count = (point: CrashPoint | 'any moment'): void => void kills.set(point, (kills.get(point) ?? 0) + 1);

  // The proxies are there before the broker, which names them to its clients.
  let behindProxies: readonly number[] = [];
  const wires = Array.from({ length: options.workers }, () => newWire());
  const kafkaProxies = await Promise.all(
    wires.map((wire, number) =>
      startTcpProxy({
        target: () => behindProxies[number] ?? 0,
        protocol: kafkaWire,
        onClientMessage: async (message, connection) => {
          await wire.watch?.onRequest?.(message);
          return wire.crash?.onKafkaRequest(message, connection);
        },
        onServerMessage: (message, connection) => {
          wire.watch?.onAnswer?.(message);
          return wire.crash?.onKafkaAnswer(message, connection);
        },
      }),
    ),
  );
  for (const proxy of kafkaProxies) stack.use(proxy);
  const broker = await startKafkaBroker({ proxyPorts: kafkaProxies.map(({ port }) => port) });
  if ('missing' in broker) return broker;
  ({ behindProxies } = broker);
  stack.defer(() => broker.stop());

  const kafka = new Kafka({
    brokers: [...broker.brokers],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50 },
  });
  const admin = kafka.admin();
  await admin.connect();
  stack.defer(() => admin.disconnect());
  await createTopics(admin, partitions);
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  stack.defer(() => producer.disconnect());
  const answers = stack.use(new Answers(kafka, admin));
  await answers.start();

  const database = stack.use(await openTestDatabase({ shape: 'S1', migrated: true, ownDatabase: true }));
  const url = new URL(database.url);
  const postgresPort = Number(url.port);
  const postgresProxies = await Promise.all(
    wires.map((wire) =>
      startTcpProxy({
        target: () => postgresPort,
        protocol: postgresWire,
        onClientMessage: (message, connection) => {
          wire.looks.see(message);
          return wire.crash?.onPostgresRequest(message, connection);
        },
        onServerMessage: (message, connection) => wire.crash?.onPostgresAnswer(message, connection),
      }),
    ),
  );
  for (const proxy of postgresProxies) stack.use(proxy);
  const prices = stack.use(
    await startPriceServers({
      workers: options.workers,
      latencyMs: options.latencyMs,
      onAnswered: (worker) => wires[worker]!.crash?.onAnswered(),
    }),
  );

  const workers = wires.map((wire, number): BenchWorker => {
    const ofWorker = new URL(url);
    ofWorker.port = String(postgresProxies[number]!.port);
    const process = new WorkerProcess({
      number,
      program: options.program,
      words: options.words,
      environment: {
        KAFKA_BROKER: `127.0.0.1:${kafkaProxies[number]!.port}`,
        KAFKA_CONSUMER_GROUP_ID: groupId,
        KAFKA_CONSUMER_SESSION_TIMEOUT_MS: String(options.sessionTimeoutMs ?? 1_500),
        DATABASE_URL: ofWorker.href,
        ...providersAt(prices.baseUrls[number]!),
        ...options.environment,
      },
    });
    const crash = new CrashWatch((point) => {
      count(point);
      process.signal('SIGKILL');
    });
    wire.crash = crash;
    return {
      process,
      crash,
      looks: wire.looks,
      kafka: kafkaProxies[number]!,
      postgres: postgresProxies[number]!,
      watchKafka(watch) {
        wire.watch = watch;
        return () => (wire.watch = undefined);
      },
    };
  });
  stack.defer(async () => {
    await Promise.all(workers.map((worker) => worker.process.kill()));
  });

  let numbers = 0;
  const sent: SentRequest[] = [];
  const opened = stack.handOver();
  return {
    workers,
    broker,
    admin,
    database,
    prices,
    answers,
    sent,
    kills,
    nextNumber: () => (numbers += 1),
    send: async (requests) => {
      const done = await Promise.all(
        requests.map((request, index) => send(producer, request, (sent.length + index) % partitions)),
      );
      sent.push(...done);
      return done;
    },
    kill: async (worker) => {
      count('any moment');
      await worker.process.kill();
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

interface Wire {
  readonly looks: LedgerLooks;
  crash?: CrashWatch;
  watch?: KafkaWatch | undefined;
}

function newWire(): Wire {
  return { looks: new LedgerLooks() };
}

async function createTopics(admin: Admin, partitions: number): Promise<void> {
  const all = lanes.flatMap((lane) => {
    const { request, completion, work, progress } = topics[lane];
    return [request, completion, progress, `${request}-dlt`]
      .map((topic) => ({ topic, numPartitions: partitions }))
      .concat({ topic: work, numPartitions: 6 });
  });
  await admin.createTopics({ waitForLeaders: true, topics: all });
}

/** All providers in one place, with a key and more credits than are needed. */
function providersAt(baseUrl: string): Record<string, string> {
  return {
    TWELVE_DATA_API_HOST: baseUrl,
    TWELVE_DATA_API_KEY: 'key-of-the-tests',
    TWELVE_DATA_CREDITS_PER_MINUTE: '10000',
    TWELVE_DATA_CREDITS_PER_DAY: 'none',
    TWELVE_DATA_WINDOW_MS: '500',
    RAPIDAPI_HOST: baseUrl,
    RAPIDAPI_KEY: 'key-of-the-tests',
    RAPIDAPI_REQUESTS_PER_SECOND: '500',
    RAPIDAPI_REQUESTS_PER_MONTH: 'none',
  };
}

/** The timestamp is ours, because it is part of the key. */
async function send(producer: Producer, request: PlannedRequest, partition: number): Promise<SentRequest> {
  const topic = topics[request.lane].request;
  const timestamp = String(Date.now());
  const [stored] = await producer.send({ topic, messages: [{ value: request.value, timestamp, partition }] });
  const offset = stored?.baseOffset ?? '?';
  return { ...request, topic, partition, offset, key: `${topic}-${partition}-${offset}-${timestamp}` };
}
