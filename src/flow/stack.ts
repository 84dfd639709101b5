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
