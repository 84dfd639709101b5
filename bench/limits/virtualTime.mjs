/** Runs whole days in seconds: timers and clocks are replaced, promises are not. */
import FakeTimers from '@sinonjs/fake-timers';

const toFake = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'Date',
  'performance',
];

/** A real turn of the event loop, in which every promise goes as far as it can. */
const { setImmediate: realImmediate } = globalThis;
const settle = () => new Promise((resolve) => realImmediate(resolve));

/** What `work` returns; it is given the clock, which stands until it is moved. */
export async function inVirtualTime(work) {
  const clock = FakeTimers.install({ now: Date.UTC(2026, 0, 1, 0, 0, 13), toFake, shouldClearNativeTimers: true });
  try {
    return await work(clock);
  } finally {
    clock.uninstall();
  }
}

/** Lets so much time pass. The clock's own `tickAsync` takes a real millisecond for every timer. */
export async function pass(clock, ms) {
  let isOver = false;
  await settle();
  setTimeout(() => {
    isOver = true;
  }, ms);
  while (!isOver) {
    clock.next();
    await settle();
  }
}

/** What `promise` becomes, however much virtual time it takes. */
export async function whenDone(clock, promise) {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  promise.then(over, over);
  await settle();
  for (let steps = 0; !isOver; steps++) {
    if (steps > 1_000_000) throw new Error('it never ends');
    clock.next();
    await settle();
  }
  return promise;
}

/** The same chances in every run (mulberry32). */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
