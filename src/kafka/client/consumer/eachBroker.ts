import type { PartitionAssigner } from 'kafkajs';

/** What a consumer of kafkajs finds its brokers in: it hands it to its assigners, and to nobody else. */
export type Cluster = Parameters<PartitionAssigner>[0]['cluster'];

type Broker = Awaited<ReturnType<Cluster['findBroker']>>;

/**
 * Prepares each broker of a cluster before it is first used. Nothing of kafkajs is imported that it does not export, so that it
 * can be bundled.
 */
export function eachBroker(cluster: Cluster, prepare: (broker: Broker) => void): void {
  const findBroker = cluster.findBroker.bind(cluster);
  const known = new WeakSet<Broker>();
  cluster.findBroker = async (node) => {
    const broker = await findBroker(node);
    if (!known.has(broker)) prepare(broker);
    known.add(broker);
    return broker;
  };
}
