import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Kills the child when this process ends, by whatever means: also by SIGKILL, after which nothing of ours runs any more.
 *
 * A shell waits for the end of a pipe that this process holds, and kills then. It goes when the child does.
 */
export function killWithUs(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  const watcher = spawn('/bin/sh', ['-c', 'read -r word; [ "$word" = over ] || kill -9 "$0"', String(pid)], {
    // A group of its own: what is sent to ours must not end it first.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.stdin.on('error', () => undefined); // it is gone, and with it the need to tell it
  watcher.unref();
  child.once('exit', () => watcher.stdin.end('over\n'));
}
