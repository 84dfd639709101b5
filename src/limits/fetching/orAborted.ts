import type { AbortListeners } from '../abortListeners.ts';

/** What `promise` becomes, or a rejection with the signal's reason as soon as it aborts. */
export async function orAborted<R>(promise: Promise<R>, signal: AbortSignal, aborts: AbortListeners): Promise<R> {
  let forget: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) abort();
    else forget = aborts.add(signal, abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    forget();
  }
}
