import type { Environment } from './input/environment.ts';
import type { Writer } from './output/writer.ts';

/** One invocation of a command, its arguments checked against `Command.options`. */
export interface Invocation {
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | undefined>>;
  readonly environment: Environment;
  readonly cwd: string;
  readonly writer: Writer;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  readonly help: string;
  /** The names of its options; each takes a value, unless it is one of the flags. */
  readonly options: readonly string[];
  /** Those that take none; given, they are `yes`. */
  readonly flags?: readonly string[] | undefined;
  /** How many arguments that are no options it takes. */
  readonly positionals: number;
  /** Resolves with the exit code. What it rejects with is printed as one sentence. */
  run(invocation: Invocation): Promise<number>;
}

/** Nothing failed. */
export const exitComplete = 0;
/** Nothing could be served, or the command could not do its work. */
export const exitFailed = 1;
/** Something failed or was skipped, the rest was served. */
export const exitPartial = 2;
