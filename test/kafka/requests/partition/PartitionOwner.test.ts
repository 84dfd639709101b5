import { beforeEach, describe, expect, it, vi } from 'vitest';
import { OpenOffsets } from '../../../../src/kafka/requests/partition/OpenOffsets.ts';
import { PartitionOwner } from '../../../../src/kafka/requests/partition/PartitionOwner.ts';
import type { Announcer } from '../../../../src/model/recordPorts.ts';
import { faultySink, groupId, openBroker } from '../bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

describe('the owner of a partition', () => {
  // issue 10, 24: each announcer has a connection of its own, which would stay open
  it('closes the announcer whose announcement has failed before it becomes the owner again', async () => {
    const broker = openBroker();
    const sink = faultySink(broker.sink(), { announce: () => (life.length < 3 ? 'before' : undefined) });
    const life: string[] = [];
    const own = async (...place: Parameters<typeof sink.own>): Promise<Announcer> => {
      const announcer = await sink.own(...place);
      const number = life.push('owned');
      const close = (): Promise<void> => {
        life.push(`closed the one of step ${number}`);
        return announcer.close();
      };
      return { committed: announcer.committed, announce: (...args) => announcer.announce(...args), close };
    };
    const offsets = new OpenOffsets();
    const owner = new PartitionOwner({
      place: { topic: 'IN', partition: 0 },
      groupId,
      sink: { ...sink, own },
      lost: new AbortController().signal,
      offsets,
      onGone: () => undefined,
      onWait: () => undefined,
    });
    await owner.own();
    offsets.take(0n);
    const announced = owner.announce(0n, () => []);
    await vi.advanceTimersByTimeAsync(1_000);
    await announced;
    expect(life).toEqual(['owned', 'closed the one of step 1', 'owned']);
  });
});
