import type { TimeOwner } from './VirtualTime.ts';

/** A process: it lives until it is killed, and another takes its place. */
export class SimulatedProcess implements TimeOwner {
  readonly name: string;
  readonly deferred = new Map<object, () => void>();
  isAlive = true;
  isPaused = false;
  clockOffsetMs = 0;
  /** Provider calls on their way, and the most that there were at once. */
  calls = 0;
  mostCalls = 0;
  /** Told when it is paused, and for how long. */
  readonly onPause = new Set<(forMs: number) => void>();
  /** Tells it to stop. */
  stop: () => void = () => undefined;
  /** Told when it dies. */
  readonly onDeath = new Set<() => void>();

  constructor(name: string) {
    this.name = name;
  }
}
