import type { Admin } from 'kafkajs';
import { decodeAnnounced } from '../../model/announcedBitmap.ts';
import { PublishError } from '../../model/errors.ts';
import type { CommittedState, TopicPartition } from '../../model/recordPorts.ts';

/** How far a group has got in a partition; undefined where nothing was ever committed. */
export async function readCommitted(
  admin: Admin,
  { topic, partition, group }: TopicPartition & { readonly group: string },
): Promise<CommittedState | undefined> {
  const [fetched] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
  const found = fetched?.partitions.find((each) => each.partition === partition);
  if (found === undefined)
    throw new PublishError(`Kafka: ${topic}-${partition} of group ${group}: there is no such partition`);
  const offset = BigInt(found.offset);
  if (offset < 0n) return undefined;
  return { offset, announced: decodeAnnounced(offset, found.metadata) };
}
