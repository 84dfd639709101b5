import { PipelineError } from '../index.ts';
import type { Context, StopSignal } from './context.ts';

/** What a shell expects of a process that a signal ended. */
const exitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

/**
 * Runs `work` with a signal that the first Ctrl-C or SIGTERM aborts; `onStop` is told. The second one ends the process at
 * once.
 */
export async function withStopSignals<R>(
  { signals, exit }: Pick<Context, 'signals' | 'exit'>,
  onStop: () => void,
  work: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  const controller = new AbortController();
  const stop = (signal: StopSignal): void => {
    if (controller.signal.aborted) {
      exit(exitCodes[signal]);
      return;
    }
    onStop();
    controller.abort(new PipelineError('canceled', 'stopped before the work was done'));
  };
  signals.on('SIGINT', stop);
  signals.on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    signals.off('SIGINT', stop);
    signals.off('SIGTERM', stop);
  }
}
