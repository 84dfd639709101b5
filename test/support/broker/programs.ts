import { spawn, spawnSync } from 'node:child_process';

/** Why a program cannot be used, or undefined when it answers to these words. */
export function lacks(program: string, words: readonly string[]): string | undefined {
  const { error, status } = spawnSync(program, words, { timeout: 20_000, stdio: 'ignore' });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') return `${program} is not installed`;
  return status === 0 ? undefined : `${program} is installed and does not work (${program} ${words.join(' ')})`;
}

/** Runs a program to its end; rejects with what it said when it failed. */
export async function run(program: string, words: readonly string[]): Promise<void> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`${program} ended with code ${String(code)}\n${said.slice(-3_000)}`);
}
