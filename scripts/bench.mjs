// Runs bench/*.bench.mjs one after another, each in a process of its own; `npm run bench -- flow` runs those named so.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';

const folder = resolve(import.meta.dirname, '..', 'bench');
const names = process.argv.slice(2);
const benches = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.mjs'))
  .filter((file) => names.length === 0 || names.some((name) => file.startsWith(name)))
  .sort();

if (benches.length === 0) {
  console.error(`No bench ${names.length === 0 ? 'is there' : `is named ${names.join(' or ')}`}.`);
  process.exitCode = 1;
}

for (const file of benches) {
  console.log(`\n${file}`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', resolve(folder, file)], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
