import type { RecordSink } from '../../src/model/recordPorts.ts';

/** A sink of which some functions are replaced. */
export function changedSink(sink: RecordSink, changes: Partial<RecordSink>): RecordSink {
  return {
    send: (records) => sink.send(records),
    maxRecordBytes: (topic) => sink.maxRecordBytes(topic),
    partitionsOf: (topic) => sink.partitionsOf(topic),
    close: () => sink.close(),
    own: (topic, partition, groupId) => sink.own(topic, partition, groupId),
    ...changes,
  };
}
