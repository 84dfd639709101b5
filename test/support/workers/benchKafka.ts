// Before kafkajs is loaded: see there.
import '../committedOnly.ts';
import { Kafka, logLevel, type Admin, type Producer } from 'kafkajs';
import { createTopics } from '../broker/createTopics.ts';
import { Closing } from '../Closing.ts';
import type { OwnBroker } from '../kafkaBroker.ts';
import { Answers } from './Answers.ts';
import { lanes, topics, type PlannedRequest } from './requests.ts';

/** A request that was sent. */
export interface SentRequest extends PlannedRequest {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** What the ledger and the completion call it. */
  readonly key: string;
}

/** The clients of the workers: they send requests and read the answers. */
export interface BenchKafka extends AsyncDisposable {
  readonly admin: Admin;
  readonly answers: Answers;
  send(request: PlannedRequest, partition: number): Promise<SentRequest>;
}

/** Makes the topics and connects. */
export async function openBenchKafka({ brokers }: OwnBroker, partitions: number): Promise<BenchKafka> {
  await using closing = new Closing();
  const kafka = new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    // Longer than any restart of the broker.
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 200 },
  });
  const admin = kafka.admin();
  await admin.connect();
  closing.defer(() => admin.disconnect());
  await createAll(admin, partitions);
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  closing.defer(() => producer.disconnect());
  const answers = closing.use(new Answers(kafka, admin));
  await answers.start();
  const opened = closing.handOver();
  return {
    admin,
    answers,
    send: (request, partition) => send(producer, request, partition),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

async function createAll(admin: Admin, partitions: number): Promise<void> {
  const all = lanes.flatMap((lane) => {
    const { request, completion, work, progress } = topics[lane];
    return [request, completion, progress, `${request}-dlt`]
      .map((topic) => ({ topic, numPartitions: partitions }))
      .concat({ topic: work, numPartitions: 6 });
  });
  await createTopics(admin, all);
}

/** The timestamp is ours, because it is part of the key. */
async function send(producer: Producer, request: PlannedRequest, partition: number): Promise<SentRequest> {
  const topic = topics[request.lane].request;
  const timestamp = String(Date.now());
  const [stored] = await producer.send({ topic, messages: [{ value: request.value, timestamp, partition }] });
  const offset = stored?.baseOffset ?? '?';
  return { ...request, topic, partition, offset, key: `${topic}-${partition}-${offset}-${timestamp}` };
}
