import { frameCutter, type Protocol } from './protocol.ts';

/** The requests that tests look at, by their key on the wire. */
const names = new Map([
  [0, 'Produce'],
  [1, 'Fetch'],
  [3, 'Metadata'],
  [8, 'OffsetCommit'],
  [9, 'OffsetFetch'],
  [10, 'FindCoordinator'],
  [11, 'JoinGroup'],
  [12, 'Heartbeat'],
  [13, 'LeaveGroup'],
  [14, 'SyncGroup'],
  [18, 'ApiVersions'],
  [22, 'InitProducerId'],
  [24, 'AddPartitionsToTxn'],
  [25, 'AddOffsetsToTxn'],
  [26, 'EndTxn'],
  [28, 'TxnOffsetCommit'],
] as const);

export type KafkaRequestName = NonNullable<ReturnType<typeof names.get>> | 'other';

/** A request to a broker, or the answer to one. */
export interface KafkaMessage {
  readonly name: KafkaRequestName;
  readonly correlationId: number;
  /** The whole of it, its length included. */
  readonly bytes: Buffer;
  /** Of `EndTxn` and its answer: true commits, false aborts. */
  readonly commits?: boolean | undefined;
  /** Of answers to `EndTxn`: 0 where it went well. */
  readonly errorCode?: number | undefined;
}

/** Kafka's protocol: each message is led by its length. */
export const kafkaWire: Protocol<KafkaMessage, KafkaMessage> = () => {
  const asked = new Map<number, KafkaMessage>();
  const lengthOf = (bytes: Buffer): number | undefined => (bytes.length < 4 ? undefined : bytes.readInt32BE(0) + 4);
  const requests = frameCutter(lengthOf);
  const answers = frameCutter(lengthOf);
  return {
    fromClient: (chunk) =>
      requests(chunk).map((bytes) => {
        const name = names.get(bytes.readInt16BE(4) as 0) ?? 'other';
        const correlationId = bytes.readInt32BE(8);
        // Its last field; the newer versions of the request have an empty list of tags behind it.
        const isFlexible = bytes.readInt16BE(6) >= 3;
        const commits = name === 'EndTxn' ? bytes.at(isFlexible ? -2 : -1) === 1 : undefined;
        const message: KafkaMessage = { name, correlationId, bytes, commits };
        asked.set(correlationId, message);
        return { bytes, message };
      }),
    fromServer: (chunk) =>
      answers(chunk).map((bytes) => {
        const correlationId = bytes.readInt32BE(4);
        const { name, commits }: Partial<KafkaMessage> = asked.get(correlationId) ?? {};
        asked.delete(correlationId);
        // Behind the correlation id and the time that the broker asks to wait.
        const errorCode = name === 'EndTxn' ? bytes.readInt16BE(12) : undefined;
        return { bytes, message: { name: name ?? 'other', correlationId, bytes, commits, errorCode } };
      }),
  };
};
