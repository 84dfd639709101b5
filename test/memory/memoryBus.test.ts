import { config } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { memoryBus } from '../../src/memory/memoryBus.ts';
import { OptionsError } from '../../src/model/errors.ts';

describe('memoryBus', () => {
  afterEach(() => {
    config.onUnhandledError = null;
  });

  it('keeps events in order and emits each before publish returns', () => {
    const bus = memoryBus<number>();
    const seen: number[] = [];
    void bus.publish(1);
    bus.events$.subscribe((event) => seen.push(event));
    void bus.publish(2);
    void bus.publish(3);
    expect(seen).toEqual([2, 3]);
    expect(bus.events).toEqual([1, 2, 3]);
  });

  it('drops the oldest events beyond its bound', async () => {
    const bus = memoryBus<number>({ maxEvents: 2 });
    for (const event of [1, 2, 3]) await bus.publish(event);
    expect(bus.events).toEqual([2, 3]);
  });

  it('does not fail for a subscriber that throws', async () => {
    const reported = vi.fn();
    config.onUnhandledError = reported;
    const bus = memoryBus<number>();
    bus.events$.subscribe(() => {
      throw new Error('user');
    });
    await expect(bus.publish(1)).resolves.toBeUndefined();
    await vi.waitFor(() => {
      expect(reported).toHaveBeenCalledWith(new Error('user'));
    });
  });

  it('names what is wrong with its options', () => {
    expect(() => memoryBus({ maxEvents: 0 })).toThrow(OptionsError);
  });
});
