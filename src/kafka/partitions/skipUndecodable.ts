import { z } from 'zod';
import { callback, defineOptions, port } from '../../model/defineOptions.ts';
import { BrokerError, PipelineError } from '../../model/errors.ts';
import { announcedSpan, firstOpen } from '../../model/announcedBitmap.ts';
import type {
  Announcer,
  CommittedState,
  RecordSink,
  RecordSource,
  RecordTopics,
  TopicPartition,
  UndecodableRecord,
} from '../../model/recordPorts.ts';
import { deadLetterRecord } from '../records/deadLetterRecord.ts';
import { UndecodableReader } from './UndecodableReader.ts';

export interface SkipUndecodableOptions {
  topic: string;
  partition: number;
  /** What holds the partition: as the worker's line, `/readyz` and `onUndecodable` name it. */
  offset: bigint;
  /** The group of the worker. */
  groupId: string;
  /** Opens a source that reads the topic as the only member of a group, mostly a `kafkaSource`; it is stopped at the end. */
  openSource: (groupId: string, topic: string) => RecordSource;
  /** What sends the dead letter and commits, mostly a `kafkaSink`. It is not closed. */
  sink: RecordSink;
  /** The topics of the broker, mostly `kafkaTopics`. It is not closed. */
  topics: RecordTopics;
  /** Gives it up, unless it is committed already. Default: nothing does. */
  signal?: AbortSignal | undefined;
}

/** What was left out. */
export interface Skipped {
  /** Where the group goes on, once what is open before it is done. */
  readonly next: bigint;
  /** How many bytes went to the dead letters. */
  readonly bytes: number;
  readonly deadLetterTopic: string;
}

const resolveOptions = defineOptions<SkipUndecodableOptions>('skipUndecodable')({
  topic: z.string().min(1),
  partition: z.int().min(0),
  offset: z.bigint().min(0n),
  groupId: z.string().min(1),
  openSource: callback<(groupId: string, topic: string) => RecordSource>(),
  sink: port<RecordSink>('a record sink', 'own'),
  topics: port<RecordTopics>('topics of a broker', 'describe', 'create', 'ends'),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
});

/** How often the partition is taken over anew when its worker has taken it back meanwhile, or the dead letter is made smaller. */
const attempts: Readonly<Record<string, number>> = { fenced: 5, record_too_large: 15 };

/**
 * Leaves out what holds a partition because it cannot be decoded: what is stored of it goes to `<topic>-dlt` as a dead letter
 * with the code `undecodable`, in the transaction that commits that the group is done with it. What was announced out of order
 * stays announced, and what is open before it stays open. Whoever owns the partition is fenced by that, and goes on by itself.
 * Of a batch that is compressed or broken as a whole, all records from the offset on are left out.
 *
 * Rejects with a `BrokerError`, and changes nothing, unless that very offset is what holds the partition. A topic for dead
 * letters that is missing is created. Run it again when it rejects with any other error.
 *
 * @example
 * ```ts
 * import { memoryBroker } from 'fintrack-pipelines';
 * import { skipUndecodable } from 'fintrack-pipelines/kafka';
 *
 * const broker = memoryBroker({ topics: { REQUESTS: 1 } });
 * const offset = broker.sendUndecodable('REQUESTS', 0, 'broken');
 * const openSource = (groupId: string, topic: string) => broker.source({ groupId, topics: [topic] });
 * const place = { topic: 'REQUESTS', partition: 0, offset, groupId: 'workers' };
 * console.log(await skipUndecodable({ ...place, openSource, sink: broker.sink(), topics: broker.topics() }));
 * // { next: 1n, bytes: 6, deadLetterTopic: 'REQUESTS-dlt' }
 * console.log(broker.records('REQUESTS-dlt').map(({ value }) => String(value)));
 * // [ 'broken' ]
 * ```
 */
export async function skipUndecodable(options: SkipUndecodableOptions): Promise<Skipped> {
  const { topic, partition, offset, groupId, openSource, sink, topics, signal } = resolveOptions(options);
  const place = { topic, partition };
  const sizes = await topics.describe([topic, `${topic}-dlt`]);
  if ((sizes.get(topic) ?? 0) <= partition) throw refusal(place, `there is no partition ${topic}-${partition}`);
  const ends = (await topics.ends(topic)).find((each) => each.partition === partition);
  if (ends === undefined || offset < ends.first || offset >= ends.end)
    throw refusal(place, `nothing stands at offset ${offset}`);
  await using reader = new UndecodableReader({ source: openSource(`${groupId}-skip`, topic), place, signal });
  await reader.join();
  await demandHeld(reader, offset, offset);
  await topics.create([{ topic: `${topic}-dlt`, partitions: sizes.get(topic) ?? 1 }]);
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const announcer = await sink.own(topic, partition, groupId);
    try {
      return await skipAsOwner(announcer, reader, { ...place, offset }, { sink, groupId });
    } catch (error) {
      if (attempt >= (attempts[PipelineError.from(error).code] ?? 0)) throw error;
    } finally {
      await announcer.close();
    }
  }
}

async function skipAsOwner(
  announcer: Announcer,
  reader: UndecodableReader,
  place: TopicPartition & { readonly offset: bigint },
  { sink, groupId }: { readonly sink: RecordSink; readonly groupId: string },
): Promise<Skipped> {
  const { offset } = place;
  const { committed } = announcer;
  if (offset < committed.offset || committed.announced.has(offset)) {
    throw refusal(place, `the group is done with offset ${offset} already`);
  }
  const record = await demandHeld(reader, committed.offset, offset);
  const deadLetterTopic = `${place.topic}-dlt`;
  const letter = deadLetterRecord(
    { ...place, timestampMs: -1, key: null, value: record.bytes, headers: [] },
    new BrokerError('undecodable', record.reason),
    { topic: deadLetterTopic, groupId, maxBytes: sink.maxRecordBytes(deadLetterTopic) },
  );
  if (record.next - committed.offset > BigInt(announcedSpan)) {
    throw refusal(reader.place, `the request at offset ${committed.offset} has to be answered first`);
  }
  const next = stateWithout(committed, record);
  await announcer.announce([letter], next);
  return { next: record.next, bytes: letter.value?.length ?? 0, deadLetterTopic };
}

/** What stands at the offset, if that is the first that cannot be decoded from there on. */
async function demandHeld(
  reader: UndecodableReader,
  from: bigint,
  offset: bigint,
): Promise<UndecodableRecord & { readonly reason: string }> {
  const found = await reader.firstFrom(from, offset);
  if (found === undefined)
    throw refusal(reader.place, `what stands at offset ${offset} can be decoded, or is not to be read`);
  if (found.offset === offset) return found;
  throw refusal(reader.place, `it is held at offset ${found.offset}, and not at ${offset}`);
}

/** How far the group has got once it is done with these as well. */
function stateWithout({ offset, announced }: CommittedState, skipped: UndecodableRecord): CommittedState {
  const done = new Set(announced);
  if (skipped.offset > offset) {
    for (let each = skipped.offset; each < skipped.next; each++) done.add(each);
    return { offset, announced: done };
  }
  const next = firstOpen({ offset, announced }, skipped.next);
  return { offset: next, announced: new Set([...done].filter((each) => each > next)) };
}

function refusal({ topic, partition }: TopicPartition, reason: string): BrokerError {
  return new BrokerError('broker_error', `skip: ${topic}-${partition}: ${reason}; nothing was changed`);
}
