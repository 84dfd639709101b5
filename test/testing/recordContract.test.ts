import { describe, expect, it } from 'vitest';
import { memoryBroker } from '../../src/memory/memoryBroker.ts';
import type { Announcer, RecordSink, RecordSource } from '../../src/model/recordPorts.ts';
import { recordContract } from '../../src/testing/recordContract.ts';

interface Faults {
  /** What a faulty source does differently. */
  readonly source?: (good: RecordSource) => Partial<RecordSource>;
  readonly announcer?: (good: Announcer) => Partial<Announcer>;
}

/** The names of the cases that the memory broker fails with these faults. */
async function failedBy({ source = () => ({}), announcer = () => ({}) }: Faults): Promise<string[]> {
  let open = 0;
  const cases = recordContract(async () => {
    open += 1;
    const broker = memoryBroker();
    const originals = new Map<RecordSource, RecordSource>();
    let topics = 0;
    return {
      createTopic: async (partitions, limits) => {
        topics += 1;
        broker.createTopic(`topic-${String(topics)}`, partitions, limits);
        return `topic-${String(topics)}`;
      },
      source: (groupId, names) => {
        const good = broker.source({ groupId, topics: names });
        const faulty = withFaults(good, source(good));
        originals.set(faulty, good);
        return faulty;
      },
      sink: () => {
        const good = broker.sink();
        const own: RecordSink['own'] = async (...of) => {
          const owned = await good.own(...of);
          return withFaults(owned, announcer(owned));
        };
        return withFaults(good, { own });
      },
      records: async (topic) => broker.records(topic),
      crash: (faulty) => broker.crash(originals.get(faulty) ?? faulty),
      [Symbol.asyncDispose]: async () => {
        open -= 1;
      },
    };
  });
  const failed: string[] = [];
  for (const { name, run } of cases) await run().catch(() => failed.push(name));
  expect(open).toBe(0);
  return failed;
}

/** The object with some of its members replaced; the others still see the original as `this`. */
function withFaults<Port extends object>(good: Port, faults: Partial<Port>): Port {
  return new Proxy(good, {
    get: (target, name) => {
      if (name in faults) return faults[name as keyof Port];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('recordContract', () => {
  it('passes a good broker', async () => {
    expect(await failedBy({})).toEqual([]);
  });

  it.each<[string, Faults, string]>([
    [
      'takes the commits of former owners',
      { source: (good) => ({ commit: (record, epoch) => good.commit(record, epoch).catch(() => undefined) }) },
      'refuses the commit of a former owner, and takes that of a partition that was kept',
    ],
    [
      'does not pause',
      { source: () => ({ pause: () => undefined }) },
      'hands out nothing of a paused partition, not even the rest of what was fetched, and loses nothing',
    ],
    [
      'says that it has joined before it has',
      { source: () => ({ joined: true }) },
      'tells of partitions before their records, and of their end when it stops',
    ],
    [
      'calls what a former owner announces a success',
      { announcer: (good) => ({ announce: (records, next) => good.announce(records, next).catch(() => undefined) }) },
      'refuses a former owner, whose records are never seen',
    ],
    [
      'forgets what is announced after the offset',
      {
        announcer: (good) => ({
          announce: (records, { offset }) => good.announce(records, { offset, announced: new Set() }),
        }),
      },
      'announces records, and keeps with the offset what is done after it',
    ],
    [
      'announces a record twice',
      { announcer: (good) => ({ announce: (records, next) => good.announce([...records, ...records], next) }) },
      'announces all that comes while a transaction is under way, each record once',
    ],
  ])(
    'fails a broker that %s',
    async (_fault, faults, name) => {
      expect(await failedBy(faults)).toContain(name);
    },
    120_000,
  );
});
