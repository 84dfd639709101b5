import { eachBroker, type Cluster } from './eachBroker.ts';

interface DisconnectingBroker {
  disconnect(): Promise<void>;
}

/**
 * Has the brokers of a cluster disconnected by one call at a time, which all share that ask for it meanwhile.
 *
 * kafkajs (2.2.4, broker/index.js) disconnects a broker for each request that a closed connection has rejected, and each waits
 * for the fetch on the other connection, with a listener of its own: Node.js takes more than ten of them for a leak, and warns.
 */
export function disconnectOnce(cluster: Cluster): void {
  eachBroker(cluster, (found) => {
    const broker = found as unknown as DisconnectingBroker;
    const disconnect = broker.disconnect.bind(broker);
    let underWay: Promise<void> | undefined;
    broker.disconnect = () => {
      underWay ??= disconnect().finally(() => (underWay = undefined));
      return underWay;
    };
  });
}
