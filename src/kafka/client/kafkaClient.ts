import { Kafka, logLevel, type ISocketFactory, type KafkaConfig, type SASLOptions } from 'kafkajs';
import { ClientSockets, forKafkajs } from './ClientSockets.ts';
import type { Connection, KafkaSasl } from './kafkaConnectionOptions.ts';
import { logTo } from './kafkaLog.ts';

/** The client and the texts that none of its errors may hold. */
export interface KafkaClient {
  readonly kafka: Kafka;
  readonly secrets: readonly string[];
  /** Ends all connections that it has left; to be called once everything is disconnected. */
  close(): void;
}

/** A client of kafkajs. The socket factory is for tests, which cut its connections. */
export function kafkaClient(connection: Connection, socketFactory?: ISocketFactory): KafkaClient {
  const sockets = new ClientSockets(socketFactory);
  const kafka = new Kafka({ ...clientConfig(connection), socketFactory: sockets.factory });
  return {
    kafka,
    secrets: secretsOf(connection),
    close: () => {
      sockets.close();
    },
  };
}

/** Our options in the words of kafkajs. */
export function clientConfig(connection: Connection): KafkaConfig {
  const { brokers, clientId, ssl, sasl, connectionTimeoutMs, requestTimeoutMs, onLog } = connection;
  return {
    brokers: brokers.map(forKafkajs),
    clientId,
    ssl,
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    logLevel: onLog === undefined ? logLevel.NOTHING : logLevel.INFO,
    logCreator: logTo(onLog, secretsOf(connection)),
    // With the default of 300 ms a transaction behind another takes 295 ms, and 17 ms with this: kafkajs waits as long
    // when the broker says CONCURRENT_TRANSACTIONS, which it does as long as it finishes the one before.
    retry: { initialRetryTime: 10, maxRetryTime: 1_000, retries: 10 },
  };
}

function saslOptions(sasl: KafkaSasl): SASLOptions {
  if (sasl.mechanism !== 'oauthbearer') return sasl;
  return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await sasl.token() }) };
}

function secretsOf({ sasl }: Connection): readonly string[] {
  return sasl === undefined || sasl.mechanism === 'oauthbearer' ? [] : [sasl.password];
}
