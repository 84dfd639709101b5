import { startTcpProxy, type TcpProxy } from '../tcpProxy.ts';
import { kafkaWire, type KafkaMessage } from '../wire/kafkaWire.ts';
import { postgresWire } from '../wire/postgresWire.ts';
import type { CrashWatch } from './crashPoints.ts';
import { LedgerLooks } from './LedgerLooks.ts';

/** What a test may do with the messages between a worker and Kafka, before anything else does. */
export interface KafkaWatch {
  onRequest?(message: KafkaMessage): Promise<void> | undefined;
  onAnswer?(message: KafkaMessage): void;
}

/** All that one worker says to others, and hears from them. */
export class WorkerWire {
  readonly looks = new LedgerLooks();
  /** Kills the worker at named moments. */
  crash: CrashWatch | undefined;
  watch: KafkaWatch | undefined;

  /** A proxy before Kafka. */
  openKafka(target: () => number): Promise<TcpProxy> {
    return startTcpProxy({
      target,
      protocol: kafkaWire,
      onClientMessage: async (message, connection) => {
        await this.watch?.onRequest?.(message);
        return this.crash?.onKafkaRequest(message, connection);
      },
      onServerMessage: (message, connection) => {
        this.watch?.onAnswer?.(message);
        return this.crash?.onKafkaAnswer(message, connection);
      },
    });
  }

  /** A proxy before PostgreSQL. */
  openPostgres(port: number): Promise<TcpProxy> {
    return startTcpProxy({
      target: () => port,
      protocol: postgresWire,
      onClientMessage: (message, connection) => {
        this.looks.see(message);
        return this.crash?.onPostgresRequest(message, connection);
      },
      onServerMessage: (message, connection) => this.crash?.onPostgresAnswer(message, connection),
    });
  }
}
