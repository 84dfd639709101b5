/** What nobody may ever read in a log or an error. */
export const kafkaSaslPassword = 'canary-9f2c71-password';

/** A place where clients connect, and where they are told to connect. */
export interface Listener {
  readonly name: string;
  readonly port: number;
  /** What the broker tells its clients: a proxy, where one stands before it. */
  readonly advertisedPort: number;
}

export interface BrokerSettings {
  /** `PLAINTEXT` and `SASL_PLAINTEXT`, and what was asked for besides. */
  readonly listeners: readonly Listener[];
  readonly controllerPort: number;
  /** The address that the broker listens on: all of them inside a container. */
  readonly host: '127.0.0.1' | '0.0.0.0';
  readonly logFolder: string;
}

/** Short sessions, so that a member that is gone is missed soon; everything once, since there is one node. */
export function brokerSettings(settings: BrokerSettings): Readonly<Record<string, string>> {
  const { listeners, controllerPort, host, logFolder } = settings;
  const protocols = listeners.map(({ name }) => `${name}:${name === 'SASL_PLAINTEXT' ? name : 'PLAINTEXT'}`);
  const places = listeners.map(({ name, port }) => `${name}://${host}:${port}`);
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: [...places, `CONTROLLER://127.0.0.1:${controllerPort}`].join(','),
    'advertised.listeners': listeners
      .map(({ name, advertisedPort }) => `${name}://127.0.0.1:${advertisedPort}`)
      .join(','),
    'listener.security.protocol.map': [...protocols, 'CONTROLLER:PLAINTEXT'].join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.sasl_plaintext.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_tester="${kafkaSaslPassword}";`,
    'log.dirs': logFolder,
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    'auto.create.topics.enable': 'false',
    'log.cleaner.dedupe.buffer.size': '4194304',
  };
}

/** As the file that a broker from jars is started with. */
export function toProperties(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** As the variables that the image apache/kafka makes its file of: see "Using Environment Variables" of its documentation. */
export function toVariables(settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const nameOf = (setting: string): string => setting.replaceAll('_', '__').replaceAll('.', '_').toUpperCase();
  return Object.fromEntries(Object.entries(settings).map(([setting, value]) => [`KAFKA_${nameOf(setting)}`, value]));
}
