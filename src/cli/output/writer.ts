import type { Output } from '../context.ts';

/** Writes what people read to stderr and what programs read to stdout. */
export interface Writer {
  /** Whether stderr is a terminal, where `live` shows something. */
  readonly isLive: boolean;
  /** A line on stdout. */
  result(line: string): void;
  /** A line on stderr. */
  log(line: string): void;
  /** Shows one line at the bottom of the terminal, in place of the one before; an empty one takes it away. */
  live(line: string): void;
}

const clearLine = '\r\u001B[2K';

/** A writer for the two outputs; every text passes through `redact`. */
export function createWriter(stdout: Output, stderr: Output, redact: (text: string) => string): Writer {
  const isLive = stderr.isTTY === true;
  let shown = '';
  const show = (line: string): void => {
    // A line that wraps could not be cleared.
    const fitting = redact(line).slice(0, Math.max(1, (stderr.columns ?? 80) - 1));
    if (fitting === shown) return;
    stderr.write(`${clearLine}${fitting}`);
    shown = fitting;
  };
  const above = (write: () => void): void => {
    const before = shown;
    if (before !== '') show('');
    write();
    if (before !== '') show(before);
  };
  return {
    isLive,
    result: (line) => {
      above(() => stdout.write(`${redact(line)}\n`));
    },
    log: (line) => {
      above(() => stderr.write(`${redact(line)}\n`));
    },
    live: (line) => {
      if (isLive) show(line);
    },
  };
}
