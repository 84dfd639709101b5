import { z } from 'zod';
import { callback, defineOptions } from '../model/defineOptions.ts';
import type { SharedWindow } from '../model/quotaPorts.ts';

export interface MemoryWindowOptions {
  /** The credits of the window. */
  credits: number;
  /** Its length, in milliseconds, which is the least that a credit in use is gone for. Default: 60000. */
  windowMs?: number | undefined;
  /** The shortest and the longest time that an answer takes, in milliseconds. Default: [0, 0]. */
  latencyMs?: readonly [number, number] | undefined;
  /** Chance, from 0 to 1, for the latencies. Default: Math.random. */
  random?: (() => number) | undefined;
}

const milliseconds = z.number().min(0);

const resolveOptions = defineOptions<MemoryWindowOptions>('memoryWindow')({
  credits: z.int().min(1),
  windowMs: z.int().min(1).default(60_000),
  latencyMs: z.tuple([milliseconds, milliseconds]).default([0, 0]),
  random: callback<() => number>().default(() => () => Math.random()),
});

/** How long a taker waits at least for a credit whose call has no answer yet. */
const pollMs = 250;

/** The grant of the credits that others spent. */
const others = 'others';

interface Slot {
  grant: string;
  /** How many grants there had been, this one included. */
  number: number;
  /** How many credits the processes held before it. */
  heldBefore: number;
  grantedAt: number;
  isSettled: boolean;
  freeAt: number;
}

/**
 * A window of credits that limiters of one process share: a double of the table that processes share, for tests. It lives on
 * `setTimeout` and `performance.now()`, so that fake timers reach it.
 *
 * @example
 * ```ts
 * import { creditLimiter } from 'fintrack-pipelines';
 * import { memoryWindow } from 'fintrack-pipelines/testing';
 *
 * const window = memoryWindow({ credits: 8 });
 * const { signal } = new AbortController();
 * for (const credits of [5, 8]) {
 *   const limiter = creditLimiter({ credits: 8, window });
 *   console.log(await limiter.run({ credits, min: 1 }, async (grant) => grant.credits, { signal }));
 * }
 * // 5
 * // 3
 * ```
 */
export function memoryWindow(options: MemoryWindowOptions): SharedWindow {
  const { credits: capacity, windowMs, latencyMs, random } = resolveOptions(options);
  const slots = Array.from({ length: capacity }, (): Slot => ({
    grant: '',
    number: 0,
    heldBefore: 0,
    grantedAt: 0,
    isSettled: true,
    freeAt: -Infinity,
  }));
  let grants = 0;

  function afterLatency<Answer>(answer: () => Answer): Promise<Answer> {
    const ms = latencyMs[0] + random() * (latencyMs[1] - latencyMs[0]);
    if (ms === 0) return Promise.resolve(answer());
    return new Promise((resolve) => {
      setTimeout(() => {
        resolve(answer());
      }, ms);
    });
  }

  /** When it is worth asking for a slot again. */
  function askAgainAt({ isSettled, grantedAt, freeAt }: Slot, now: number): number {
    return isSettled ? freeAt : Math.max(grantedAt + windowMs, now + pollMs);
  }

  const slotsOf = (grant: string): Slot[] => slots.filter((slot) => slot.grant === grant);
  const count = (counts: (slot: Slot) => boolean): number =>
    slots.filter((slot) => slot.grant !== others && counts(slot)).length;

  /** The most that the processes can have sent by the time the provider answered the grant's call. */
  function mostOwn({ grant, number, heldBefore, grantedAt }: Slot): number {
    const known = count((slot) => slot.number <= number && slot.freeAt > grantedAt);
    const since = count((slot) => slot.number > number && slot.freeAt > slot.grantedAt);
    return since + Math.max(known, heldBefore + slotsOf(grant).length);
  }

  /** The slots of others that are free last are held on; free ones are added to them, the reserve's last of all. */
  function holdBack(wanted: number, now: number, freeAt: number): void {
    const marked = slotsOf(others).filter((slot) => slot.freeAt > now);
    const last = marked.sort((one, other) => other.freeAt - one.freeAt);
    const free = slots.filter((slot) => slot.freeAt <= now).reverse();
    for (const slot of [...last, ...free].slice(0, Math.max(0, wanted))) {
      Object.assign(slot, { grant: others, grantedAt: now, isSettled: true, freeAt });
    }
  }

  return {
    take: ({ credits, min, reserve, holdMs }) =>
      afterLatency(() => {
        const now = performance.now();
        const usable = slots.slice(reserve);
        const taken = usable.filter(({ freeAt }) => freeAt <= now).slice(-credits);
        if (taken.length < min) {
          const next = usable.filter(({ freeAt }) => freeAt > now).map((slot) => askAgainAt(slot, now));
          return { retryInMs: Math.min(...next) - now };
        }
        grants += 1;
        const id = String(grants);
        const heldBefore = count(({ freeAt }) => freeAt > now);
        const grant = { grant: id, number: grants, heldBefore, grantedAt: now, isSettled: false, freeAt: now + holdMs };
        for (const slot of taken) Object.assign(slot, grant);
        return { id, credits: taken.length };
      }),
    release: ({ id }, unused) =>
      afterLatency(() => {
        for (const slot of slotsOf(id).slice(0, unused)) {
          // What was never sent was held for no time.
          Object.assign(slot, { grant: '', isSettled: true, freeAt: slot.grantedAt });
        }
      }),
    settle: ({ id }, freeInMs, refused = false) =>
      afterLatency(() => {
        const end = { isSettled: true, freeAt: performance.now() + freeInMs };
        for (const slot of slotsOf(id)) Object.assign(slot, end, { grant: refused ? others : '' });
      }),
    report: ({ id }, used, holdMs) =>
      afterLatency(() => {
        const [first] = slotsOf(id);
        const now = performance.now();
        if (first !== undefined) holdBack(Math.ceil(used) - mostOwn(first), now, now + holdMs);
      }),
  };
}
