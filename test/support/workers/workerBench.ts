import type { Admin } from 'kafkajs';
import { Closing } from '../Closing.ts';
import { startKafkaBroker, type OwnBroker } from '../kafkaBroker.ts';
import { startOwnPostgres, type OwnPostgres } from '../ownPostgres.ts';
import { openTestDatabase, type TestDatabase } from '../postgres.ts';
import { startTcpProxy, type TcpProxy } from '../tcpProxy.ts';
import type { Answers } from './Answers.ts';
import { openBenchKafka, type SentRequest } from './benchKafka.ts';
import { CrashWatch, type CrashPoint } from './crashPoints.ts';
import { startPriceServers, type PriceServers } from './prices.ts';
import type { PlannedRequest } from './requests.ts';
import { WorkerProcess } from './WorkerProcess.ts';
import { WorkerWire } from './WorkerWire.ts';

export interface WorkerBenchOptions {
  readonly workers: number;
  /** The program that the workers are. */
  readonly program: string;
  /** Default: none. */
  readonly words?: readonly string[] | undefined;
  /** What the workers find in their environment besides. Default: nothing. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Default: 1500. */
  readonly sessionTimeoutMs?: number | undefined;
  /** Partitions of each request topic. Default: 3. */
  readonly partitions?: number | undefined;
}

/** A worker, and a proxy of its own before each server that it uses. */
export interface BenchWorker {
  readonly process: WorkerProcess;
  readonly kafka: TcpProxy;
  readonly postgres: TcpProxy;
  readonly providers: TcpProxy;
  /** What is seen on the wire of the first two. */
  readonly wire: WorkerWire;
  readonly crash: CrashWatch;
}

/** Real workers with a real Kafka, a real PostgreSQL and providers that tell what was fetched. */
export interface WorkerBench extends AsyncDisposable {
  readonly workers: readonly BenchWorker[];
  readonly broker: OwnBroker;
  readonly admin: Admin;
  readonly postgres: OwnPostgres;
  readonly database: TestDatabase;
  readonly prices: PriceServers;
  readonly answers: Answers;
  readonly sent: readonly SentRequest[];
  /** How often a worker was killed at each point. */
  readonly kills: ReadonlyMap<CrashPoint | 'any moment', number>;
  /** For the next request to be planned. */
  nextNumber(): number;
  /** Where the next request will go. */
  nextPartition(): number;
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
  await using closing = new Closing();
  const wires = Array.from({ length: options.workers }, () => new WorkerWire());

  // The proxies are there before the broker, which names them to its clients.
  let behindProxies: readonly number[] = [];
  const kafkaProxies = await Promise.all(wires.map((wire, number) => wire.openKafka(() => behindProxies[number] ?? 0)));
  for (const proxy of kafkaProxies) closing.use(proxy);
  const broker = await startKafkaBroker({ proxyPorts: kafkaProxies.map(({ port }) => port) });
  if ('missing' in broker) return broker;
  ({ behindProxies } = broker);
  closing.defer(() => broker.stop());
  const kafka = closing.use(await openBenchKafka(broker, partitions));

  const postgres = closing.use(await startOwnPostgres());
  const database = closing.use(
    await openTestDatabase({ server: postgres.url, shape: 'S1', migrated: true, ownDatabase: true }),
  );
  const prices = closing.use(
    await startPriceServers({ workers: options.workers, onAnswered: (worker) => wires[worker]!.crash?.onAnswered() }),
  );

  const kills = new Map<CrashPoint | 'any moment', number>();
  const count = (point: CrashPoint | 'any moment'): void => void kills.set(point, (kills.get(point) ?? 0) + 1);
  const workers = await Promise.all(
    wires.map(async (wire, number): Promise<BenchWorker> => {
      const url = new URL(database.url);
      const proxies = {
        kafka: kafkaProxies[number]!,
        postgres: closing.use(await wire.openPostgres(Number(url.port))),
        providers: closing.use(await startTcpProxy({ target: () => prices.ports[number]! })),
      };
      url.port = String(proxies.postgres.port);
      const { program, words = [] } = options;
      const environment = environmentOf(proxies, url.href, options);
      const process = new WorkerProcess({ number, program, words, environment });
      closing.defer(() => process.kill());
      const crash = new CrashWatch((point) => {
        count(point);
        process.signal('SIGKILL');
      });
      wire.crash = crash;
      return { ...proxies, process, wire, crash };
    }),
  );

  let numbers = 0;
  const sent: SentRequest[] = [];
  const opened = closing.handOver();
  return {
    workers,
    broker,
    admin: kafka.admin,
    answers: kafka.answers,
    postgres,
    database,
    prices,
    sent,
    kills,
    nextNumber: () => (numbers += 1),
    nextPartition: () => sent.length % partitions,
    send: async (requests) => {
      const first = sent.length;
      const done = await Promise.all(
        requests.map((request, index) => kafka.send(request, (first + index) % partitions)),
      );
      sent.push(...done);
      return done;
    },
    kill: async ({ process }) => {
      count('any moment');
      await process.kill();
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

function environmentOf(
  { kafka, providers }: Pick<BenchWorker, 'kafka' | 'providers'>,
  databaseUrl: string,
  { sessionTimeoutMs = 1_500, environment }: WorkerBenchOptions,
): Record<string, string> {
  const providersUrl = `http://127.0.0.1:${providers.port}`;
  return {
    KAFKA_BROKER: `127.0.0.1:${kafka.port}`,
    KAFKA_CONSUMER_GROUP_ID: groupId,
    KAFKA_CONSUMER_SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
    DATABASE_URL: databaseUrl,
    // More credits than are needed.
    TWELVE_DATA_API_HOST: providersUrl,
    TWELVE_DATA_API_KEY: 'key-of-the-tests',
    TWELVE_DATA_CREDITS_PER_MINUTE: '10000',
    TWELVE_DATA_CREDITS_PER_DAY: 'none',
    TWELVE_DATA_WINDOW_MS: '500',
    RAPIDAPI_HOST: providersUrl,
    RAPIDAPI_KEY: 'key-of-the-tests',
    RAPIDAPI_REQUESTS_PER_SECOND: '500',
    RAPIDAPI_REQUESTS_PER_MONTH: 'none',
    ...environment,
  };
}
