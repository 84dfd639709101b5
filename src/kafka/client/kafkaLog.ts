import { logLevel, type LogEntry, type logCreator } from 'kafkajs';

/** Something the Kafka client has to say. */
export interface KafkaLog {
  /** `error`: it needs somebody; `warn`: it mends itself, but look if it goes on; the rest is routine. */
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  /** The part of the client that speaks. */
  readonly from: string;
}

/**
 * Hands the entries of kafkajs on at the level they deserve. It logs at ERROR what every rebalance and every second
 * transaction brings along (network/connection.js: each error code in an answer), and what the caller is told by an error
 * anyway; so its ERROR is a `warn` here at most, and routine is `debug`.
 */
export function logTo(onLog: ((entry: KafkaLog) => void) | undefined, secrets: readonly string[]): logCreator {
  return () => (entry) => {
    if (onLog === undefined) return;
    // Only what is named: the other fields hold requests, and with them what is in them.
    const detail = typeof entry.log['error'] === 'string' ? `: ${entry.log['error']}` : '';
    onLog({
      level: levelOf(entry),
      message: withoutSecrets(entry.log.message + detail, secrets),
      from: entry.namespace === '' ? 'Kafka' : entry.namespace,
    });
  };
}

/** The text without the secrets in it. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}

// What every rebalance and transaction brings along, and what is thrown to whoever asked, too.
const routine =
  /^Response |^Connection |^Failed to (connect|send)|rebalanc|re-join|not aware of this member|Limiting retries|^Crash: /i;

function levelOf({ level, log }: LogEntry): KafkaLog['level'] {
  switch (level) {
    case logLevel.ERROR:
    case logLevel.WARN:
      return routine.test(log.message) ? 'debug' : 'warn';
    case logLevel.INFO:
      return 'info';
    default:
      return 'debug';
  }
}
