/** Something that can be closed: what `await using` accepts. */
export type Closable = AsyncDisposable | Disposable;

interface Open {
  readonly close: () => Promise<void>;
  /** The stack of the `track` call. */
  readonly openedAt: Error;
}

const open = new Map<object, Open>();

/**
 * Registers what a test opens, so that a test that leaves it open fails.
 *
 * The resource comes back as it is, with a `Symbol.asyncDispose` that also takes it off the list. `close` is for
 * resources that cannot dispose of themselves.
 *
 * ```ts
 * await using database = track(await openTestDatabase());
 * await using server = track(createServer(), (server) => closeServer(server));
 * ```
 */
export function track<Resource extends Closable>(resource: Resource): Resource & AsyncDisposable;
export function track<Resource extends object>(
  resource: Resource,
  close: (resource: Resource) => unknown,
): Resource & AsyncDisposable;
export function track<Resource extends object>(
  resource: Resource,
  close: (resource: Resource) => unknown = disposerOf(resource),
): Resource & AsyncDisposable {
  const untrack = async (): Promise<void> => {
    open.delete(resource);
    await close(resource);
  };
  open.set(resource, { close: untrack, openedAt: new Error('opened here, and never closed') });
  // On the object itself: a proxy would break private fields.
  return Object.defineProperty(resource, Symbol.asyncDispose, { value: untrack, configurable: true }) as Resource &
    AsyncDisposable;
}

/** What is open now. */
export function openResources(): ReadonlySet<object> {
  return new Set(open.keys());
}

/** Closes what is open and was not before, and throws when there was any. */
export async function closeLeaks(openBefore: ReadonlySet<object> = new Set()): Promise<void> {
  const leaks = [...open].filter(([resource]) => !openBefore.has(resource)).map(([, leak]) => leak);
  await Promise.allSettled(leaks.map((leak) => leak.close()));
  if (leaks.length > 0) {
    throw new AggregateError(
      leaks.map((leak) => leak.openedAt),
      `a test left ${String(leaks.length)} tracked resource(s) open:\n${leaks.map((leak) => whereOpened(leak)).join('\n')}`,
    );
  }
}

function disposerOf(resource: Partial<AsyncDisposable & Disposable>): () => unknown {
  const dispose: (() => unknown) | undefined = resource[Symbol.asyncDispose] ?? resource[Symbol.dispose];
  if (dispose === undefined) throw new TypeError('track: the resource has no disposer; give a close function');
  return () => dispose.call(resource);
}

function whereOpened({ openedAt }: Open): string {
  const frames = openedAt.stack?.split('\n').slice(1) ?? [];
  return frames.find((frame) => !frame.includes('/support/track.ts')) ?? '    (unknown place)';
}
