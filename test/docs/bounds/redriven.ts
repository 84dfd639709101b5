import { deadLetterRecord } from '../../../src/kafka/records/deadLetterRecord.ts';
import { redrive } from '../../../src/kafka/redrive/redrive.ts';
import { memoryBroker } from '../../../src/memory/memoryBroker.ts';
import { RequestError } from '../../../src/model/errors.ts';
import type { RecordSource } from '../../../src/model/recordPorts.ts';
import { changedSink } from '../../kafka/changedSink.ts';
import { requestRecord } from '../../kafka/records/records.ts';
import { groupId, settle } from '../../kafka/requests/bench.ts';
import { many } from './inputBound.ts';

/** How many dead letters of that size a redrive has fetched while its first transaction lasts, and how many stand in that. */
export async function redriven(
  count: number,
  bytes: number,
): Promise<{ readonly fetched: number; readonly first: number }> {
  const broker = memoryBroker({ topics: { 'IN-dlt': 1, IN: 1 } });
  const record = requestRecord({ topic: 'IN', partition: 0, value: Buffer.alloc(bytes) });
  const letter = deadLetterRecord(record, new RequestError('timeout', 'late'), { topic: 'IN-dlt', groupId });
  await broker.sink().send(many(count, () => letter));
  const seen = { fetched: 0, first: 0 };
  const stop = new AbortController();
  const through = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()));
  const openSource = (group: string, topic: string): RecordSource => {
    const source = broker.source({ groupId: group, topics: [topic] });
    return {
      joined: true,
      run: (handlers) =>
        source.run({
          ...handlers,
          onRecord: (each, epoch) => {
            seen.fetched += 1;
            handlers.onRecord(each, epoch);
          },
        }),
      commit: (...position) => source.commit(...position),
      pause: (places) => source.pause(places),
      resume: (places) => source.resume(places),
      rewind: (position) => source.rewind(position),
      stop: () => source.stop(),
    };
  };
  const sink = broker.sink();
  const slow = changedSink(sink, {
    own: async (...place) => {
      const announcer = await sink.own(...place);
      return {
        committed: announcer.committed,
        close: () => announcer.close(),
        announce: async (records, next) => {
          if (seen.first === 0) seen.first = records.length;
          await through;
          await announcer.announce(records, next);
        },
      };
    },
  });
  const { signal } = stop;
  const done = redrive({ topic: 'IN-dlt', groupId, openSource, sink: slow, topics: broker.topics(), signal });
  for (let turns = 0; turns < 20; turns++) await settle();
  const then = { ...seen };
  stop.abort();
  await done;
  return then;
}
