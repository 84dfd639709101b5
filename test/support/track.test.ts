import { createServer } from 'node:http';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { closeLeaks, openResources, track } from './track.ts';

describe('track', () => {
  it('takes a disposed resource off the list, and disposes of it once', async () => {
    const openBefore = openResources();
    let disposals = 0;
    {
      await using resource = track({
        async [Symbol.asyncDispose]() {
          disposals += 1;
        },
      });
      expect(openResources().has(resource)).toBe(true);
    }
    expect(disposals).toBe(1);
    expect(openResources()).toEqual(openBefore);
  });

  it('takes synchronous disposers and close functions', async () => {
    const closed: string[] = [];
    {
      await using _first = track({
        [Symbol.dispose]() {
          closed.push('disposer');
        },
      });
      const server = createServer().listen(0, '127.0.0.1');
      await using _second = track(server, async (given) => {
        given.close();
        await once(given, 'close');
        closed.push('function');
      });
      await once(server, 'listening');
    }
    expect(closed).toEqual(['function', 'disposer']);
  });

  it('refuses what cannot be closed', () => {
    expect(() => track({} as AsyncDisposable)).toThrow('no disposer');
  });

  it('closes what was left open, and says where it was opened', async () => {
    const openBefore = openResources();
    let disposals = 0;
    track({
      async [Symbol.asyncDispose]() {
        disposals += 1;
      },
    });
    await expect(closeLeaks(openBefore)).rejects.toThrow(/left 1 tracked resource\(s\) open:\n.*track\.test\.ts/);
    expect(disposals).toBe(1);
    await expect(closeLeaks(openBefore)).resolves.toBeUndefined();
  });
});
