import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandLine } from '../../../src/cli/commandLine.ts';
import { parseEvent } from '../../../src/index.ts';
import { track } from '../../support/track.ts';

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The width of the terminal that stderr is. Default: it is none. */
  readonly terminal?: number;
  /** Gets what sends signals. */
  readonly onSignals?: (signals: EventEmitter) => void;
  /** Sees what is written to stderr, and may send signals. */
  readonly onLog?: (text: string, signals: EventEmitter) => void;
}

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The codes that the process would have been ended with at once. */
  readonly exits: readonly number[];
  /** Listeners left on the process. */
  readonly listeners: number;
  /** The last line of stdout. */
  event(): Record<string, unknown>;
}

/** Runs the command line in this process, with nothing of the machine's environment. */
export async function cli(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { env = {}, cwd = '/nonexistent', terminal, onSignals, onLog } = options;
  const signals = new EventEmitter();
  onSignals?.(signals);
  const exits: number[] = [];
  let stdout = '';
  let stderr = '';
  const code = await commandLine({
    argv,
    env,
    cwd,
    stdout: { write: (text) => (stdout += text) },
    stderr: {
      isTTY: terminal !== undefined,
      columns: terminal,
      write: (text) => {
        stderr += text;
        onLog?.(text, signals);
      },
    },
    signals,
    exit: (exitCode) => exits.push(exitCode),
  });
  const listeners = signals.listenerCount('SIGINT') + signals.listenerCount('SIGTERM');
  const event = () => parseEvent(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
  return { code, stdout, stderr, exits, listeners, event };
}

/** A folder of the test's own. */
export async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'fintrack-cli-'));
  return track({ path }, () => rm(path, { recursive: true, force: true }));
}
