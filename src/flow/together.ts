/**
 * Runs `work` on one list at a time: what comes while it runs waits, and goes into the next list together.
 *
 * The result of a call is that of the list it went into. Memory: what waits is what was given and has not been answered, so
 * whoever calls bounds it.
 */
export function together<Item>(work: (items: readonly Item[]) => Promise<void>): (item: Item) => Promise<void> {
  let waiting: { readonly items: Item[]; readonly done: Promise<void> } | undefined;
  let running: Promise<unknown> = Promise.resolve();

  const collect = (first: Item): Promise<void> => {
    const items = [first];
    const done = running.then(() => {
      waiting = undefined;
      return work(items);
    });
    waiting = { items, done };
    running = done.catch(() => undefined);
    return done;
  };

  return (item) => {
    if (waiting === undefined) return collect(item);
    waiting.items.push(item);
    return waiting.done;
  };
}
