import { setImmediate } from 'node:timers/promises';
import { firstValueFrom, from, lastValueFrom, of, toArray } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { memoryBus } from '../../src/memory/memoryBus.ts';
import { OptionsError, PublishError } from '../../src/model/errors.ts';
import type { Publisher } from '../../src/model/ports.ts';
import { publishCompletion } from '../../src/operators/publishCompletion.ts';
import { deferred } from '../support/deferred.ts';
import { marbles } from './marbles.ts';

const failing = (error: Error): Publisher<string> => ({ publish: () => Promise.reject(error) });

describe('publishCompletion', () => {
  it.each([
    ['an empty source', '         --|', '--|'],
    ['a source that never emits', '---', '---'],
    ['an error of the source', '  --#', '--#'],
  ])('follows %s', (_, source, expected) => {
    marbles(({ cold, expectObservable }) => {
      const publisher = memoryBus<string>();
      expectObservable(cold(source.trim()).pipe(publishCompletion({ publisher }))).toBe(expected);
    });
  });

  it('unsubscribes its source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-----|');
      const stop = '       ---!';
      expectObservable(source.pipe(publishCompletion({ publisher: memoryBus<string>() })), stop).toBe('----');
      expectSubscriptions(source.subscriptions).toBe('^--!');
    });
  });

  it('publishes the value itself, and emits it after that', async () => {
    const { promise, resolve } = deferred();
    const published: string[] = [];
    const publisher = {
      publish: async (event: string) => {
        await promise;
        published.push(event);
      },
    };
    const seen: string[] = [];
    of('done')
      .pipe(publishCompletion({ publisher }))
      .subscribe((event) => {
        expect(published).toEqual(['done']);
        seen.push(event);
      });
    await setImmediate();
    expect(seen).toEqual([]);
    resolve();
    await vi.waitFor(() => {
      expect(seen).toEqual(['done']);
    });
  });

  it('publishes what it makes of each value, one after the other', async () => {
    let running = 0;
    const bus = memoryBus<string>();
    const publisher: Publisher<string> = {
      publish: async (event) => {
        expect(++running).toBe(1);
        await setImmediate();
        await bus.publish(event);
        running -= 1;
      },
    };
    const toCompletion = (count: number) => `count ${count}`;
    const events = from([1, 2, 3]).pipe(publishCompletion({ publisher, toCompletion }), toArray());
    expect(await lastValueFrom(events)).toEqual(['count 1', 'count 2', 'count 3']);
    expect(bus.events).toEqual(['count 1', 'count 2', 'count 3']);
  });

  it('errors with what the user throws', () => {
    marbles(({ cold, expectObservable }) => {
      const source = '  -a-|';
      const expected = '-#';
      const toCompletion = (): string => {
        throw new Error('user');
      };
      const publisher = memoryBus<string>();
      expectObservable(cold(source).pipe(publishCompletion({ publisher, toCompletion }))).toBe(
        expected,
        undefined,
        new Error('user'),
      );
    });
  });

  it('errors with the PublishError of the publisher', async () => {
    const error = new PublishError('no broker');
    await expect(firstValueFrom(of('a').pipe(publishCompletion({ publisher: failing(error) })))).rejects.toBe(error);
  });

  it('puts a foreign error underneath, without its text', async () => {
    const cause = new Error('connect kafka://user:secret@host');
    const published = firstValueFrom(of('a').pipe(publishCompletion({ publisher: failing(cause) })));
    const error: unknown = await published.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PublishError);
    expect(error).toMatchObject({
      code: 'publish_failed',
      cause,
      message: 'the completion event could not be published',
    });
  });

  it('names what is wrong with its options', () => {
    expect(() => publishCompletion({ publisher: {} as Publisher<string> })).toThrow(OptionsError);
  });
});
