import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deadLetterRecord } from '../../../src/kafka/records/deadLetterRecord.ts';
import { redrive, type RedriveOptions } from '../../../src/kafka/redrive/redrive.ts';
import { memoryBroker, type MemoryBroker } from '../../../src/memory/memoryBroker.ts';
import { PublishError, RequestError } from '../../../src/model/errors.ts';
import type { Announcer, RecordSink, SinkRecord } from '../../../src/model/recordPorts.ts';
import { deferred } from '../../support/deferred.ts';
import { track } from '../../support/track.ts';
import { changedSink } from '../changedSink.ts';
import { header, headersOf, requestRecord } from '../records/records.ts';

const error = new RequestError('timeout', 'no progress');
const letter = (value: string, fields: Parameters<typeof requestRecord>[0] = {}): SinkRecord =>
  deadLetterRecord(requestRecord({ partition: 0, ...fields, value: Buffer.from(value) }), error, {
    topic: 'REQUESTS-dlt',
    groupId: 'workers',
  });

function broker(sizes: { readonly requests?: number; readonly deadLetters?: number } = {}): MemoryBroker {
  const { requests = 1, deadLetters = requests } = sizes;
  return memoryBroker({ topics: { REQUESTS: requests, 'REQUESTS-dlt': deadLetters } });
}

function optionsFor(used: MemoryBroker, more: Partial<RedriveOptions> = {}): RedriveOptions {
  return {
    topic: 'REQUESTS-dlt',
    groupId: 'workers',
    openSource: (groupId, topic) => used.source({ groupId, topics: [topic] }),
    sink: used.sink(),
    topics: used.topics(),
    ...more,
  };
}

const values = (used: MemoryBroker): string[] => used.records('REQUESTS').map(({ value }) => String(value));
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

/** A sink whose announcers are replaced. */
function sinkWith(used: MemoryBroker, change: (announcer: Announcer) => Pick<Announcer, 'announce'>): RecordSink {
  const sink = used.sink();
  return changedSink(sink, {
    own: async (topic, partition, group) => {
      const announcer = await sink.own(topic, partition, group);
      return { committed: announcer.committed, close: () => announcer.close(), ...change(announcer) };
    },
  });
}

describe('a redrive', () => {
  // issue 10, 8
  it('fails at what cannot be decoded, once all before it and all other partitions are done', async () => {
    const used = broker({ requests: 2 });
    await used.sink().send([letter('a'), letter('b', { partition: 1 })]);
    used.sendUndecodable('REQUESTS-dlt', 0, 'broken');
    await used.sink().send([letter('c')]);
    await expect(redrive(optionsFor(used))).rejects.toMatchObject({ code: 'undecodable' });
    expect(values(used)).toEqual(['a', 'b']);
  });

  it('sends the records as they were, whatever their headers say of a topic', async () => {
    const used = broker({ requests: 3 });
    const headers = [header('traceparent', 'trace'), header('kafka_dlt-original-topic', 'SECRETS')];
    await used.sink().send([letter('{}', { partition: 2, headers })]);
    expect(await redrive(optionsFor(used))).toEqual({ partitions: 3, sent: 1, cut: 0 });
    const [record] = used.records('REQUESTS');
    expect(record).toMatchObject({
      topic: 'REQUESTS',
      partition: 2,
      key: Buffer.from('key'),
      value: Buffer.from('{}'),
    });
    expect(headersOf(record ?? {})).toEqual([['traceparent', 'trace']]);
  });

  it('goes on where the last one came to, and says when there is nothing', async () => {
    const used = broker();
    expect(await redrive(optionsFor(used))).toEqual({ partitions: 1, sent: 0, cut: 0 });
    await used.sink().send([letter('a'), letter('b')]);
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 2 });
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 0 });
    await used.sink().send([letter('c')]);
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 1 });
    expect(values(used)).toEqual(['a', 'b', 'c']);
  });

  it('keeps to its limit over all partitions', async () => {
    const used = broker({ requests: 2 });
    await used.sink().send(numbers(10).map((value, index) => letter(value, { partition: index % 2 })));
    expect(await redrive(optionsFor(used, { limit: 3 }))).toMatchObject({ sent: 3 });
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 7 });
    expect(values(used).toSorted()).toEqual(numbers(10));
  });

  it('takes thousands', async () => {
    const used = broker();
    await used.sink().send(numbers(1_500).map((value) => letter(value)));
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 1_500 });
    expect(values(used)).toEqual(numbers(1_500));
  });

  it('leaves out what was cut, and says so', async () => {
    const used = broker();
    await used.sink().send([letter('a'), letter('x'.repeat(2_000_000)), letter('b'), letter('x'.repeat(2_000_000))]);
    expect(await redrive(optionsFor(used, { limit: 2 }))).toEqual({ partitions: 1, sent: 2, cut: 1 });
    expect(values(used)).toEqual(['a', 'b']);
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 0, cut: 1 });
  });

  it('goes by the key where the topic has no such partition', async () => {
    const used = broker({ requests: 1, deadLetters: 3 });
    await used.sink().send([letter('a', { partition: 2 })]);
    await redrive(optionsFor(used));
    expect(values(used)).toEqual(['a']);
  });

  it('ends, though each record becomes a dead letter at once', async () => {
    const used = broker();
    await used.sink().send([letter('a'), letter('b')]);
    const sink = sinkWith(used, (announcer) => ({
      announce: async (records, next) => {
        await announcer.announce(records, next);
        await used.sink().send(records.map((record) => letter(String(record.value))));
      },
    }));
    expect(await redrive(optionsFor(used, { sink }))).toMatchObject({ sent: 2 });
    expect(values(used)).toEqual(['a', 'b']);
  });

  it('leaves for the next one what came after it had begun', async () => {
    const used = broker();
    await used.sink().send([letter('a')]);
    const openSource: RedriveOptions['openSource'] = (groupId, topic) => {
      void used.sink().send([letter('late')]);
      return used.source({ groupId, topics: [topic] });
    };
    expect(await redrive(optionsFor(used, { openSource }))).toMatchObject({ sent: 1 });
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 1 });
    expect(values(used)).toEqual(['a', 'late']);
  });

  it('ends early when it is told to, and the next one goes on', async () => {
    const used = broker();
    await used.sink().send(numbers(1_000).map((value) => letter(value)));
    const controller = new AbortController();
    const sink = sinkWith(used, (announcer) => ({
      announce: async (records, next) => {
        controller.abort();
        await announcer.announce(records, next);
      },
    }));
    const { sent } = await redrive(optionsFor(used, { sink, signal: controller.signal }));
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(1_000);
    expect(await redrive(optionsFor(used, { signal: AbortSignal.abort() }))).toMatchObject({ sent: 0 });
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 1_000 - sent });
    expect(values(used)).toEqual(numbers(1_000));
  });

  it('sends nothing twice together with others', async () => {
    const used = broker({ requests: 4 });
    const all = numbers(2_000);
    await used.sink().send(all.map((value, index) => letter(value, { partition: index % 4 })));
    const runs = await Promise.all([1, 2, 3].map(() => redrive(optionsFor(used))));
    expect(runs.reduce((sum, { sent }) => sum + sent, 0)).toBe(2_000);
    expect(values(used).toSorted()).toEqual(all.toSorted());
  });

  it('leaves a partition to whoever took it over', async () => {
    const used = broker({ requests: 2 });
    await used.sink().send([letter('a'), letter('b', { partition: 1 })]);
    let owners = 0;
    const sink = sinkWith(used, (announcer) => ({
      announce: async (records, next) => {
        if (owners++ === 0) await used.sink().own('REQUESTS-dlt', 0, 'workers-redrive');
        await announcer.announce(records, next);
      },
    }));
    expect(await redrive(optionsFor(used, { sink }))).toEqual({ partitions: 1, sent: 1, cut: 0 });
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 1 });
    expect(values(used).toSorted()).toEqual(['a', 'b']);
  });

  it('owns nothing that it lost while it was taking it over', async () => {
    const used = broker({ requests: 2 });
    const [owning, joined] = [deferred(), deferred()];
    const owned: number[] = [];
    const sink = used.sink();
    const slow = sinkWith(used, (announcer) => announcer);
    slow.own = async (topic, partition, group) => {
      owning.resolve();
      await joined.promise;
      const announcer = await sink.own(topic, partition, group);
      owned.push(partition);
      const close = async (): Promise<void> => {
        owned.splice(owned.indexOf(partition), 1);
        await announcer.close();
      };
      return { committed: announcer.committed, announce: announcer.announce.bind(announcer), close };
    };
    const running = redrive(optionsFor(used, { sink: slow }));
    await owning.promise;
    await using other = track(used.source({ groupId: 'workers-redrive', topics: ['REQUESTS-dlt'] }), (each) =>
      each.stop(),
    );
    await other.run({ onRecord: () => {}, onAssigned: () => {}, onRevoked: () => {}, onFatal: () => {} });
    joined.resolve();
    expect(await running).toEqual({ partitions: 1, sent: 0, cut: 0 });
    expect(owned).toEqual([]);
  });

  it('neither loses nor doubles a record when it breaks at any point', async () => {
    const breaks = fc.array(fc.record({ at: fc.nat(6), isCommitted: fc.boolean() }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(breaks, fc.integer({ min: 1, max: 450 }), async (points, count) => {
        const used = broker({ requests: 2 });
        const all = numbers(count);
        await used.sink().send(all.map((value, index) => letter(value, { partition: index % 2 })));
        for (const { at, isCommitted } of points) {
          let transactions = 0;
          const sink = sinkWith(used, (announcer) => ({
            announce: async (records, next) => {
              const breaksNow = transactions++ === at;
              if (!breaksNow || isCommitted) await announcer.announce(records, next);
              if (breaksNow) throw new PublishError('the connection broke');
            },
          }));
          await redrive(optionsFor(used, { sink })).catch((failure: unknown) => {
            expect(failure).toMatchObject({ code: 'publish_failed' });
          });
        }
        await redrive(optionsFor(used));
        expect(values(used).toSorted()).toEqual(all.toSorted());
      }),
      { numRuns: 25 },
    );
  });

  it.each([
    ['REQUESTS', 'options_invalid', 'redrive: topic: expected a name that ends in -dlt, got "REQUESTS"'],
    ['-dlt', 'options_invalid', 'got "-dlt"'],
    ['OTHER-dlt', 'broker_error', 'redrive: there is no topic OTHER-dlt'],
    ['LONE-dlt', 'broker_error', 'redrive: there is no topic LONE'],
  ])('refuses %s', async (topic, code, message) => {
    const used = broker();
    used.createTopic('LONE-dlt', 1);
    const refused = redrive(optionsFor(used, { topic }));
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });

  it('rejects with what its source ends with, and leaves nothing open', async () => {
    const used = broker();
    await used.sink().send([letter('a')]);
    const openSource: RedriveOptions['openSource'] = (groupId, topic) => {
      const source = used.source({ groupId, topics: [topic] });
      const run: typeof source.run = (handlers) =>
        source.run({
          ...handlers,
          onRecord: () => {
            throw new Error('broken');
          },
        });
      return Object.assign(Object.create(source) as typeof source, {
        run,
        pause: source.pause.bind(source),
        resume: source.resume.bind(source),
        rewind: source.rewind.bind(source),
        stop: source.stop.bind(source),
      });
    };
    await expect(redrive(optionsFor(used, { openSource }))).rejects.toThrow('broken');
    expect(await redrive(optionsFor(used))).toMatchObject({ sent: 1 });
  });
});
