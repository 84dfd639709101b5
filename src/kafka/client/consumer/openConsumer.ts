import type { Consumer, EachBatchPayload, PartitionAssigner } from 'kafkajs';
import type { RecordPosition, TopicPartition } from '../../../model/recordPorts.ts';
import type { KafkaClient } from '../kafkaClient.ts';
import type { KafkaSourceSettings } from '../../kafkaSource.ts';
import { disconnectOnce } from './disconnectOnce.ts';
import { readFetches, type OnFetch } from './fetch/readFetches.ts';
import { subscribedAssigner } from './subscribedAssigner.ts';

/** Most bytes that a broker is asked for at once. */
const maxBytes = 10_485_760;

/** What a consumer of kafkajs tells of its life. */
export interface ConsumerEvents {
  /** Before it joins. */
  onOpened(consumer: Consumer): void;
  onJoined(memberId: string, partitions: readonly TopicPartition[]): void;
  onBatch(payload: EachBatchPayload): void;
  onFetch: OnFetch;
  /** A fetch brought nothing but what is not to be handed out, all of which stands before this place. */
  onPassed(position: RecordPosition): void;
  /** It has ended, and will do nothing any more; not called for what `openConsumer` rejects with. */
  onCrash(error: unknown): void;
}

/** A consumer that has joined its group. Rejects, with nothing left open, when it did not come to that. */
export async function openConsumer(
  { kafka }: KafkaClient,
  settings: KafkaSourceSettings,
  events: ConsumerEvents,
): Promise<void> {
  const { groupId, topics, sessionTimeoutMs } = settings;
  const assigner: PartitionAssigner = (surroundings) => {
    readFetches(surroundings.cluster, events.onFetch);
    disconnectOnce(surroundings.cluster);
    return subscribedAssigner(surroundings);
  };
  const consumer = kafka.consumer({
    groupId,
    partitionAssigners: [assigner],
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: settings.rebalanceTimeoutMs,
    heartbeatInterval: settings.heartbeatIntervalMs ?? Math.min(3_000, Math.ceil(sessionTimeoutMs / 10)),
    // disconnect() waits for the fetch that is open, by default up to 5 s.
    maxWaitTimeInMs: settings.maxWaitMs,
    maxBytes,
    maxBytesPerPartition: settings.maxBytesPerPartition,
    allowAutoTopicCreation: false,
    // Some crashes it restarts from and others not (consumer/index.js: onCrash). One way is enough: ours.
    retry: { initialRetryTime: 100, retries: 4, restartOnFailure: () => Promise.resolve(false) },
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    events.onOpened(consumer);
    await joinGroup(consumer, events);
  } catch (error) {
    await consumer.disconnect().catch(() => undefined);
    throw error;
  }
}

/** `consumer.run` resolves also when joining has failed: only the events tell. */
function joinGroup(consumer: Consumer, events: ConsumerEvents): Promise<void> {
  return new Promise((resolve, reject) => {
    let hasJoined = false;
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      hasJoined = true;
      events.onJoined(payload.memberId, placesOf(payload.memberAssignment));
      resolve();
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (hasJoined) events.onCrash(payload.error);
      else reject(payload.error);
    });
    // The only word of a fetch in which all was filtered out (consumer/runner.js: isEmptyDueToFiltering).
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { topic, partition, batchSize, lastOffset } }) => {
      if (batchSize === 0) events.onPassed({ topic, partition, offset: BigInt(lastOffset) + 1n });
    });
    const eachBatch = (payload: EachBatchPayload): Promise<void> => {
      events.onBatch(payload);
      return Promise.resolve();
    };
    consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch }).catch(reject);
  });
}

function placesOf(memberAssignment: Readonly<Record<string, number[]>>): TopicPartition[] {
  return Object.entries(memberAssignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}
