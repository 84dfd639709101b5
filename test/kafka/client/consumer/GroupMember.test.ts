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
