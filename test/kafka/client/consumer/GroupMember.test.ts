import type { Consumer } from 'kafkajs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { GroupMember } from '../../../../src/kafka/client/consumer/GroupMember.ts';
import type { KafkaClient } from '../../../../src/kafka/client/kafkaClient.ts';
import { resolveSourceOptions } from '../../../../src/kafka/kafkaSource.ts';

type Listener = (event: { payload: unknown }) => void;

/** A client whose consumers crash as they join, with these errors one after the other, and then join. */
function clientThatFailsWith(errors: readonly string[]): KafkaClient & { readonly consumers: () => number } {
  let made = 0;
  const consumer = (): Consumer => {
    const type = errors[made++];
    const listeners = new Map<string, Listener>();
    const run = async (): Promise<void> => {
      const error = Object.assign(new Error('the coordinator is loading'), { type, retriable: true });
      const member = { memberId: 'member', memberAssignment: { topic: [0] } };
      if (type === undefined) listeners.get('group_join')?.({ payload: member });
      else listeners.get('crash')?.({ payload: { error } });
    };
    const done = async (): Promise<void> => {};
    const events = { GROUP_JOIN: 'group_join', CRASH: 'crash' };
    const on = (name: string, listener: Listener) => listeners.set(name, listener);
    return {
      events,
      on,
      run,
      connect: done,
      subscribe: done,
      disconnect: done,
      resume: () => {},
    } as unknown as Consumer;
  };
  return {
    kafka: { consumer } as unknown as KafkaClient['kafka'],
    secrets: [],
    close: () => undefined,
    consumers: () => made,
  };
}

const settings = resolveSourceOptions({ brokers: ['localhost:9092'], groupId: 'group', topics: ['topic'] });
const handlers = () => ({
  onRecord: vi.fn(),
  onAssigned: vi.fn(),
  onRevoked: vi.fn(),
  onFatal: vi.fn(),
  onInterrupted: vi.fn(),
});

beforeEach(() => {
  vi.useFakeTimers();
});

describe('the first join', () => {
  it('waits for a broker that is still starting up, and says so', async () => {
    const client = clientThatFailsWith(['GROUP_COORDINATOR_NOT_AVAILABLE', 'GROUP_LOAD_IN_PROGRESS']);
    const member = new GroupMember(client, settings);
    const told = handlers();
    const running = member.run(told);
    await vi.runAllTimersAsync();
    await running;
    expect(member.joined).toBe(true);
    expect(client.consumers()).toBe(3);
    expect(told.onInterrupted).toHaveBeenCalledTimes(2);
    expect(told.onAssigned).toHaveBeenCalledOnce();
    await member.stop();
  });

  it('rejects with any other error of the broker', async () => {
    const client = clientThatFailsWith(['UNKNOWN_TOPIC_OR_PARTITION']);
    await expect(new GroupMember(client, settings).run(handlers())).rejects.toMatchObject({ code: 'broker_error' });
    expect(client.consumers()).toBe(1);
  });

  it('ends when the source is stopped meanwhile', async () => {
    const client = clientThatFailsWith(Array.from({ length: 100 }, () => 'GROUP_LOAD_IN_PROGRESS'));
    const member = new GroupMember(client, settings);
    const running = member.run(handlers());
    const ended = expect(running).rejects.toMatchObject({ code: 'broker_error' });
    await vi.advanceTimersByTimeAsync(50);
    await member.stop();
    await vi.runAllTimersAsync();
    await ended;
    expect(client.consumers()).toBeLessThan(5);
  });
});

// issue 10, 8: a member that joins and crashes as it fetches joined anew 600 times a minute.
describe('a member that crashes each time that it has joined', () => {
  it('waits longer and longer, until it has really read something', async () => {
    const joins: number[] = [];
    const crashes: (() => void)[] = [];
    const batches: (() => void)[] = [];
    const done = async (): Promise<void> => {};
    const consumer = (): Consumer => {
      const listeners = new Map<string, Listener>();
      const run = async ({ eachBatch }: { eachBatch: (payload: unknown) => Promise<void> }): Promise<void> => {
        joins.push(Date.now());
        crashes.push(() => listeners.get('crash')?.({ payload: { error: new Error('the fetch failed') } }));
        const batch = { topic: 'topic', partition: 0, messages: [], lastOffset: () => '4' };
        batches.push(() => void eachBatch({ batch, isStale: () => false }));
        const member = { memberId: `member-${String(joins.length)}`, memberAssignment: { topic: [0] } };
        listeners.get('group_join')?.({ payload: member });
      };
      const events = { GROUP_JOIN: 'group_join', CRASH: 'crash' };
      const on = (name: string, listener: Listener) => listeners.set(name, listener);
      const rest = { connect: done, subscribe: done, disconnect: done, resume: () => {} };
      return { events, on, run, ...rest } as unknown as Consumer;
    };
    const client = { kafka: { consumer } as unknown as KafkaClient['kafka'], secrets: [], close: () => undefined };
    const member = new GroupMember(client, settings);
    await member.run(handlers());
    const crashAgain = async (): Promise<number> => {
      crashes.at(-1)?.();
      await vi.advanceTimersToNextTimerAsync();
      return (joins.at(-1) ?? 0) - (joins.at(-2) ?? 0);
    };
    const pauses: number[] = [];
    for (let crash = 0; crash < 8; crash++) pauses.push(await crashAgain());
    expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    batches.at(-1)?.();
    expect(await crashAgain()).toBe(100);
    await member.stop();
  });
});
