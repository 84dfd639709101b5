import type { EventEmitter } from 'node:events';
import { cli, type CliResult } from './cli.ts';

/** A worker in this process. */
export interface StartedWorker {
  /** What it has logged by now. */
  readonly log: () => string;
  /** The matches of a pattern, once there are so many. */
  logged(pattern: RegExp, count?: number): Promise<RegExpMatchArray[]>;
  /** Tells it to stop. */
  stop(): Promise<CliResult>;
  readonly ended: Promise<CliResult>;
}

/** Starts `work` with nothing of the machine's environment. */
export function startWorker(argv: readonly string[], env: Record<string, string>): StartedWorker {
  let signals: EventEmitter | undefined;
  let log = '';
  const waiting = new Set<() => void>();
  const ended = cli(['work', '--port', '0', ...argv], {
    env,
    onSignals: (emitter) => (signals = emitter),
    onLog: (text) => {
      log += text;
      for (const look of waiting) look();
    },
  });
  const logged = (pattern: RegExp, count = 1): Promise<RegExpMatchArray[]> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = [...log.matchAll(pattern)];
        if (found.length < count) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  const stop = (): Promise<CliResult> => {
    signals?.emit('SIGTERM', 'SIGTERM');
    return ended;
  };
  return { log: () => log, logged, stop, ended };
}
