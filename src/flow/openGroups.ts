import { Observable, type Subscription } from 'rxjs';
import type { Emitter } from './Emitter.ts';
import { currentEmitters } from './stack.ts';

/** What RxJS keeps on every Observable made by `pipe` or `asObservable`, for walking back to where it begins. */
interface Linked {
  readonly source?: unknown;
}

/**
 * Knows which of an operator's running inner Observables are groups or windows that are still open, and who feeds them.
 *
 * When all of them are, and all that feed them wait for the operator, nothing can ever end. Each open group or window is
 * listened to besides its inner Observable: an item that arrives while an emitter calls `next` comes from that emitter.
 */
export class OpenGroups {
  #open = 0;
  readonly #feeders = new Set<Emitter>();

  /** Listens until the group or window ends or the result is unsubscribed; undefined when there is none. */
  watch(value: unknown, inner: unknown): Subscription | undefined {
    const live = groupOrWindowOf(value) ?? groupOf(inner);
    if (live === undefined) return undefined;
    this.#open++;
    const listening = live.subscribe({
      next: () => {
        for (const emitter of currentEmitters()) this.#feeders.add(emitter);
      },
      error: () => undefined, // the operator hears it from the inner Observable
    });
    listening.add(() => this.#open--);
    return listening;
  }

  /** True when all of the `running` inner Observables are open, and `waiting` and everybody else who feeds them waits. */
  stalled(running: number, waiting: Emitter): boolean {
    if (this.#open < running || !this.#feeders.has(waiting)) return false;
    return [...this.#feeders].every((feeder) => feeder.idle);
  }

  clear(): void {
    this.#feeders.clear();
  }
}

function groupOf(inner: unknown): Observable<unknown> | undefined {
  const root = rootOf(inner);
  return root instanceof Observable && Object.hasOwn(root, 'key') ? root : undefined;
}

function groupOrWindowOf(value: unknown): Observable<unknown> | undefined {
  const root = rootOf(value);
  const isSubject = root instanceof Observable && 'next' in root;
  return isSubject ? root : groupOf(root);
}

/** The Observable at the beginning of a chain of `pipe`: a group has its own `key`, a window begins with a Subject. */
function rootOf(observable: unknown): unknown {
  let root = observable;
  while (root instanceof Observable && (root as Linked).source !== undefined) root = (root as Linked).source;
  return root;
}
