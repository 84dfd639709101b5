// Issue 10, item 10: a request that no worker survives is started alone.
import { describe, expect, it } from 'vitest';
import { Quarantine, type Entry, type Place } from '../../../../src/kafka/requests/quarantine/Quarantine.ts';
import { settle } from '../bench.ts';

/** Who is at work, who has been called back, and a way to come and go. */
class Room {
  readonly #quarantine = new Quarantine({ after: 2, starts: 3 });
  readonly #places = new Map<string, Place>();

  async enter(name: string, entry: Partial<Entry> = {}): Promise<void> {
    const { signal } = new AbortController();
    const wanted = { isAlone: false, signal, ...entry };
    void this.#quarantine.enter(wanted).then(
      (place) => this.#places.set(name, place),
      () => undefined,
    );
    await settle();
  }

  async leave(name: string): Promise<void> {
    this.#places.get(name)?.leave();
    this.#places.delete(name);
    await settle();
  }

  get atWork(): string {
    return [...this.#places.keys()].join(' ');
  }

  get recalled(): string {
    return [...this.#places].flatMap(([name, { recall }]) => (recall.aborted ? [name] : [])).join(' ');
  }
}

describe('Quarantine', () => {
  it('lets everybody work at once as long as nobody is to be alone', async () => {
    const room = new Room();
    for (const name of ['a', 'b', 'c']) await room.enter(name);
    expect([room.atWork, room.recalled]).toEqual(['a b c', '']);
  });

  it('calls all back for one that is to be alone, and lets nobody in before it is done', async () => {
    const room = new Room();
    await room.enter('a');
    await room.enter('b');
    await room.enter('alone', { isAlone: true });
    expect([room.atWork, room.recalled]).toEqual(['a b', 'a b']);
    await room.enter('c');
    await room.leave('a');
    expect(room.atWork).toBe('b');
    await room.leave('b');
    expect(room.atWork).toBe('alone');
    await room.enter('a');
    expect([room.atWork, room.recalled]).toEqual(['alone', '']);
    await room.leave('alone');
    expect([room.atWork, room.recalled]).toEqual(['c a', '']);
  });

  it('lets those that are to be alone go one by one, and before all others', async () => {
    const room = new Room();
    await room.enter('first', { isAlone: true });
    await room.enter('a');
    await room.enter('second', { isAlone: true });
    await room.enter('third', { isAlone: true });
    for (const name of ['first', 'second', 'third']) {
      expect([room.atWork, room.recalled]).toEqual([name, '']);
      await room.leave(name);
    }
    expect(room.atWork).toBe('a');
  });

  it('forgets whoever waits no longer, and lets in those that waited for it', async () => {
    const room = new Room();
    const ending = new AbortController();
    await room.enter('a');
    await room.enter('alone', { isAlone: true, signal: ending.signal });
    await room.enter('b');
    expect(room.atWork).toBe('a');
    ending.abort(new Error('the worker ends'));
    await settle();
    expect(room.atWork).toBe('a b');
    await room.enter('late', { signal: ending.signal });
    expect(room.atWork).toBe('a b');
    // Twice is once.
    await room.leave('a');
    await room.leave('a');
    expect(room.atWork).toBe('b');
  });
});
