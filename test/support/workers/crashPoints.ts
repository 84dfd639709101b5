import type { OnMessage, ProxiedConnection, Verdict } from '../tcpProxy.ts';
import type { KafkaMessage } from '../wire/kafkaWire.ts';
import type { PostgresAnswer, PostgresRequest } from '../wire/postgresWire.ts';

/** Moments in the life of a request at which a worker is killed: found on the wire, so that the worker knows nothing of them. */
export const crashPoints = [
  /** The provider has answered, nothing is stored. */
  'after the fetch',
  /** The rows of a batch were sent, and are not committed. */
  'inside the transaction of a batch',
  /** They are committed, and the worker does not know it yet. */
  'after the commit of a batch',
  /** Completion and offset were sent, and the transaction is not committed. */
  'before the end of the announcement',
  /** It is committed, and the worker does not know it yet. */
  'after the announcement',
  /** A part of a shared request is stored, and its offset is not committed. */
  'before the offset of a part',
] as const;

export type CrashPoint = (typeof crashPoints)[number];

/** Waits on the wire of one worker for the moment that was chosen, and kills then. */
export class CrashWatch {
  readonly #kill: (point: CrashPoint) => void;
  #armed: CrashPoint | undefined;
  /** Connections to PostgreSQL on which a batch is being written. */
  readonly #writing = new WeakSet<ProxiedConnection>();

  constructor(kill: (point: CrashPoint) => void) {
    this.#kill = kill;
  }

  /** From now on; undefined: not any more. */
  arm(point: CrashPoint | undefined): void {
    this.#armed = point;
  }

  onAnswered(): void {
    this.#at('after the fetch');
  }

  readonly onPostgresRequest: OnMessage<PostgresRequest> = (message, connection) => {
    if (message.type === 'bind' && isBatchWrite(message.text)) this.#writing.add(connection);
    // A statement by itself is committed with `sync`, a transaction with COMMIT: neither of them arrives.
    const commits = message.type === 'sync' || (message.type === 'query' && /^commit/i.test(message.text));
    if (!commits || !this.#writing.has(connection)) return undefined;
    return this.#at('inside the transaction of a batch');
  };

  readonly onPostgresAnswer: OnMessage<PostgresAnswer> = (message, connection) => {
    if (message.type !== 'ready' || !message.isIdle || !this.#writing.has(connection)) return undefined;
    this.#writing.delete(connection);
    return this.#at('after the commit of a batch');
  };

  readonly onKafkaRequest: OnMessage<KafkaMessage> = ({ name, commits }) => {
    if (name === 'EndTxn' && commits === true) return this.#at('before the end of the announcement');
    if (name === 'OffsetCommit') return this.#at('before the offset of a part');
    return undefined;
  };

  readonly onKafkaAnswer: OnMessage<KafkaMessage> = ({ name, commits }) =>
    name === 'EndTxn' && commits === true ? this.#at('after the announcement') : undefined;

  /** What is under way at the moment of the kill goes nowhere. */
  #at(point: CrashPoint): Verdict {
    if (this.#armed !== point) return undefined;
    this.#armed = undefined;
    this.#kill(point);
    return 'drop';
  }
}

/** A statement that stores a batch in the ledger, with its rows or without. */
export function isBatchWrite(text: string): boolean {
  return /insert into\s+"[^"]+"\."batches"/i.test(text);
}
