import type { BrokerSource } from './broker/brokerSource.ts';
import type { Listener } from './broker/brokerSettings.ts';
import { kafkaContainer } from './broker/kafkaContainer.ts';
import { kafkaJars } from './broker/kafkaJars.ts';
import { freePorts } from './broker/ports.ts';

export { kafkaSaslPassword } from './broker/brokerSettings.ts';

/** A broker for tests. */
export interface KafkaBroker {
  /** Without authentication. */
  readonly brokers: readonly string[];
  /** With SASL PLAIN, where the broker was started here: user `tester`, password `kafkaSaslPassword`. */
  readonly saslBrokers: readonly string[] | undefined;
}

/** A broker that was started here. */
export interface OwnBroker extends KafkaBroker {
  /** Where the broker itself listens for what comes through the proxies, in their order. */
  readonly behindProxies: readonly number[];
  /** Ends it as its operators do, and keeps what it has stored. */
  pause(): Promise<void>;
  /** Starts it again, on the same ports; resolves once it answers. */
  unpause(): Promise<void>;
  stop(): Promise<void>;
}

export interface BrokerOptions {
  /** The ports of proxies: clients that come through one of them are sent back to it. Default: none. */
  proxyPorts?: readonly number[] | undefined;
  /** Default: Java with Maven, then Docker. */
  sources?: readonly BrokerSource[] | undefined;
}

/** A broker, or why there can be none. */
export type Started = OwnBroker | { readonly missing: string };

/** A single broker with one node: of the version that `KAFKA_VERSION` names, or 3.9.2. */
export async function startKafkaBroker(options: BrokerOptions = {}): Promise<Started> {
  const { proxyPorts = [], sources = [kafkaJars, kafkaContainer] } = options;
  const reasons: string[] = [];
  for (const source of sources) {
    const reason = source.missing();
    if (reason === undefined) {
      try {
        return await start(source, proxyPorts);
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    } else reasons.push(reason);
  }
  return { missing: reasons.join('; ') };
}

async function start(source: BrokerSource, proxyPorts: readonly number[]): Promise<OwnBroker> {
  const [port = 0, saslPort = 0, controllerPort = 0, ...behindProxies] = await freePorts(3 + proxyPorts.length);
  const listeners: Listener[] = [
    { name: 'PLAINTEXT', port, advertisedPort: port },
    { name: 'SASL_PLAINTEXT', port: saslPort, advertisedPort: saslPort },
    ...proxyPorts.map((advertisedPort, index) => ({
      name: `PROXIED${index}`,
      port: behindProxies[index]!,
      advertisedPort,
    })),
  ];
  const version = process.env['KAFKA_VERSION'] ?? '3.9.2';
  const running = await source.start({ version, listeners, controllerPort });
  return {
    ...running,
    brokers: [`127.0.0.1:${port}`],
    saslBrokers: [`127.0.0.1:${saslPort}`],
    behindProxies,
  };
}
