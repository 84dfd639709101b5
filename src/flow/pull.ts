import { FlowError } from './FlowError.ts';
import { inspect } from './checks.ts';

/** What can be asked for one item after the other: an array, a generator, a readable stream, rows of a cursor. */
export type Pull<Value> = Iterable<Value> | AsyncIterable<Value>;

/** A pull source, or a factory that opens one for each subscription; the signal is aborted when it ends early. */
export type PullFactory<Value> = (signal: AbortSignal) => Pull<Value>;

/** An iterator, with the kind of answer that its `next()` gives. */
export type OpenPull<Value> =
  | { readonly kind: 'sync'; readonly iterator: Iterator<Value, unknown> }
  | { readonly kind: 'async'; readonly iterator: AsyncIterator<Value, unknown> };

/**
 * Checks `source` at once, and returns what opens it for one subscription.
 *
 * A generator object is its own iterator: after one subscription it is used up, and a second one would silently see an
 * empty source.
 */
export function pullOpener<Value>(
  owner: string,
  source: Pull<Value> | PullFactory<Value>,
): (signal: AbortSignal) => OpenPull<Value> {
  if (typeof source === 'function') return (signal) => openPull(`${owner}: the factory's result`, source(signal));
  if (!isPull(source)) throw notPull(`${owner}: source`, source);
  let opened = false;
  return () => {
    const open = openPull(`${owner}: source`, source);
    if (opened && (open.iterator as unknown) === source) {
      throw new FlowError(
        'source_used_up',
        `${owner}: this iterator was used up by an earlier subscription; give a factory, such as () => items()`,
      );
    }
    opened = true;
    return open;
  };
}

function openPull<Value>(what: string, source: Pull<Value>): OpenPull<Value> {
  if (!isPull(source)) throw notPull(what, source);
  if (isAsync(source)) return { kind: 'async', iterator: source[Symbol.asyncIterator]() };
  return { kind: 'sync', iterator: source[Symbol.iterator]() };
}

function isPull(source: unknown): source is Pull<unknown> {
  if (source === undefined || source === null) return false;
  return isAsync(source) || typeof (source as Partial<Iterable<unknown>>)[Symbol.iterator] === 'function';
}

/** What is both is read as `for await` reads it. */
function isAsync<Value>(source: object | string): source is AsyncIterable<Value> {
  return typeof (source as Partial<AsyncIterable<Value>>)[Symbol.asyncIterator] === 'function';
}

function notPull(what: string, seen: unknown): TypeError {
  return new TypeError(`${what}: expected an iterable or an async iterable, got ${inspect(seen)}`);
}
