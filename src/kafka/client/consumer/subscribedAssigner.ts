import { AssignerProtocol, type GroupMember, type PartitionAssigner } from 'kafkajs';

const { MemberAssignment, MemberMetadata } = AssignerProtocol;

const name = 'SubscribedAssigner';
const version = 0;

/** A member of the group while the partitions are dealt out. */
interface Reader {
  readonly memberId: string;
  readonly topics: readonly string[];
  readonly assignment: Record<string, number[]>;
  count: number;
}

/**
 * Deals each partition to the member that reads its topic and has the fewest so far.
 *
 * That of kafkajs (assigners/roundRobinAssigner) deals out the leader's topics only, and to all members: what comes to a
 * member that does not read the topic, it drops, and the partition is nobody's.
 */
export const subscribedAssigner: PartitionAssigner = ({ cluster }) => ({
  name,
  version,
  async assign({ members }) {
    const readers = members.map(toReader).sort((one, other) => (one.memberId < other.memberId ? -1 : 1));
    const topics = [...new Set(readers.flatMap((reader) => reader.topics))].sort();
    // The leader, which deals, may not read them all.
    await cluster.addMultipleTargetTopics(topics);
    const shares = topics.map((topic) => ({ topic, among: readers.filter((reader) => reader.topics.includes(topic)) }));
    // Those with few readers first: the others make up for it.
    for (const { topic, among } of shares.sort((one, other) => one.among.length - other.among.length)) {
      const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
      deal(topic, partitions, among);
    }
    return readers.map(({ memberId, assignment }) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({ version, assignment, userData: Buffer.alloc(0) }),
    }));
  },
  protocol: ({ topics }) => ({
    name,
    metadata: MemberMetadata.encode({ version, topics, userData: Buffer.alloc(0) }),
  }),
});

function toReader({ memberId, memberMetadata }: GroupMember): Reader {
  const topics = MemberMetadata.decode(memberMetadata)?.topics ?? [];
  return { memberId, topics, assignment: {}, count: 0 };
}

function deal(topic: string, partitions: readonly number[], among: readonly Reader[]): void {
  for (const partition of partitions.toSorted((one, other) => one - other)) {
    const reader = among.reduce((least, each) => (each.count < least.count ? each : least));
    (reader.assignment[topic] ??= []).push(partition);
    reader.count += 1;
  }
}
