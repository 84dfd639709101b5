import type { Emitter } from './Emitter.ts';

/**
 * Who is calling `next` at this moment, innermost last. A `null` cuts the stack: what is emitted above it is nobody
 * else's item.
 */
type EmitterStack = (Emitter | null)[];

const key = Symbol.for('fintrack-pipelines/flow/1');

const shared = globalThis as { [key]?: EmitterStack | undefined };

/** One stack for every copy of the package in this process: a gate of one copy bounds the sources of another. */
export const emitting: EmitterStack = (shared[key] ??= []);

/** The emitters whose `next` is being called, down to the nearest cut. */
export function currentEmitters(): readonly Emitter[] {
  const from = emitting.lastIndexOf(null) + 1;
  return emitting.slice(from) as Emitter[];
}

/**
 * Runs `run` with an empty stack of emitters and returns what it returns.
 *
 * An operator of your own subscribes its source and its inner Observables inside `apart`: what they emit at once is then
 * theirs, and not an item of the pull source whose `next` happens to be running. Without it, an inner Observable could
 * wait for its own outer one.
 *
 * @example
 * ```ts
 * import { Observable, of } from 'rxjs';
 * import { apart } from 'fintrack-pipelines';
 *
 * const subscribedApart = new Observable<string>((subscriber) => apart(() => of('AAPL').subscribe(subscriber)));
 * subscribedApart.subscribe((symbol) => console.log(symbol));
 * // AAPL
 * ```
 */
export function apart<Result>(run: () => Result): Result {
  emitting.push(null);
  try {
    return run();
  } finally {
    emitting.pop();
  }
}
