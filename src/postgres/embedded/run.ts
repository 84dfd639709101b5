import { spawn } from 'node:child_process';
import type { SpawnOptionsWithoutStdio } from 'node:child_process';

/** The user that PostgreSQL's programs run as; empty for the user of this process. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** How a program ended. */
export interface RunResult {
  /** Its exit code; undefined when it could not be started or was killed. */
  readonly exitCode: number | undefined;
  /** The end of what it wrote, to stdout and stderr. */
  readonly output: string;
  /** Why it could not be started, such as EACCES. */
  readonly startError?: NodeJS.ErrnoException | undefined;
}

const keptOutput = 4000;

/** Keeps the end of what a program writes, for the message in case it fails. */
export function appendOutput(output: string, chunk: unknown): string {
  return (output + String(chunk)).slice(-keptOutput);
}

/** Runs a program to its end. Never rejects: a program that cannot be started is a result, too. */
export function run(
  program: string,
  args: readonly string[],
  options: SpawnOptionsWithoutStdio = {},
): Promise<RunResult> {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (chunk) => (output = appendOutput(output, chunk)));
    child.stderr.on('data', (chunk) => (output = appendOutput(output, chunk)));
    child.once('error', (startError) => {
      resolve({ exitCode: undefined, output, startError });
    });
    child.once('close', (exitCode) => {
      resolve({ exitCode: exitCode ?? undefined, output });
    });
  });
}

/** What a program that failed leaves to say. */
export function explain({ exitCode, output, startError }: RunResult): string {
  if (startError !== undefined) return startError.message;
  return `exit code ${exitCode ?? 'unknown'}: ${output.trim().split('\n').slice(-6).join(' / ')}`;
}
