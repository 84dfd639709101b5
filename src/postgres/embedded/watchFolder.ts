import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Account } from './run.ts';

/**
 * Waits for a line on its stdin. At the end of the file without one, the process that held the other end is gone, however
 * it went: then it stops the server by its pid file and removes the folder.
 */
const script = `
trap '' INT TERM HUP
read -r answer && exit 0
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -INT "$pid" 2>/dev/null
  tries=0
  while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -QUIT "$pid" 2>/dev/null
fi
rm -rf "$1"
`;

/**
 * Removes the server and its folder when this process ends without having done so itself, even by kill -9.
 *
 * Returns a function that calls the watch off.
 */
export function watchFolder(folder: string, account: Account): () => void {
  // A process group of its own: neither Ctrl-C nor a signal to our group ends the watch.
  const watch = spawn('/bin/sh', ['-c', script, 'sh', folder], {
    ...account,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without the watch everything works, except that a killed process leaves its server behind.
  watch.on('error', () => undefined);
  watch.stdin.on('error', () => undefined);
  unref(watch);
  return () => {
    watch.stdin.end('stopped\n');
  };
}

/** Lets the process end although the child runs. */
export function unref(child: ChildProcess): void {
  child.unref();
  for (const stream of child.stdio) {
    // Pipes of child processes are sockets.
    if (stream !== null && stream !== undefined && 'unref' in stream && typeof stream.unref === 'function') {
      (stream.unref as () => void)();
    }
  }
}
