/**
 * Listens to many aborts through one listener per signal: a signal that a whole run shares would otherwise collect one for
 * each waiting call, and Node.js prints a leak warning from the eleventh on.
 */
export class AbortListeners {
  readonly #bySignal = new WeakMap<AbortSignal, { readonly listeners: Set<() => void>; readonly notify: () => void }>();

  /** Calls `listener` when `signal` aborts; the function returned forgets it. */
  add(signal: AbortSignal, listener: () => void): () => void {
    const { listeners, notify } = this.#entry(signal);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      signal.removeEventListener('abort', notify);
      if (this.#bySignal.get(signal)?.listeners === listeners) this.#bySignal.delete(signal);
    };
  }

  #entry(signal: AbortSignal) {
    const known = this.#bySignal.get(signal);
    if (known !== undefined) return known;
    const listeners = new Set<() => void>();
    const notify = (): void => {
      for (const listener of [...listeners]) listener();
    };
    const entry = { listeners, notify };
    this.#bySignal.set(signal, entry);
    signal.addEventListener('abort', notify, { once: true });
    return entry;
  }
}
