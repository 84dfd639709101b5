// Removes the folders named, wherever npm runs: `rm -rf` is no command everywhere.
import { rmSync } from 'node:fs';

for (const folder of process.argv.slice(2)) rmSync(folder, { recursive: true, force: true });
