import { OptionsError } from '../../index.ts';
import { migrate as applyMigrations, removeExpired } from '../../postgres/index.ts';
import { exitComplete, type Command } from '../command.ts';
import { chooseDatabase, databaseAdvice } from '../input/databaseChoice.ts';
import { openDatabase } from '../jobs/openDatabase.ts';

const help = `Makes the library's own tables, or brings them up to date, and removes old requests from them.

Usage: fintrack-pipelines migrate [options]

The tables live in a schema of their own, fintrack_pipelines. The price tables are not touched. To be run before the
first run, and after each update of the package; it may be run again at any time.

Options:
  --database URL         postgres://user:password@host:port/database.
                         Default: DATABASE_URL, else DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD.
  --retention-days DAYS  Removes requests whose last activity is older. Default: 7.
  --help                 Shows this.`;

/** `fintrack-pipelines migrate`. */
export const migrate: Command = {
  name: 'migrate',
  summary: "Makes the library's own tables in PostgreSQL, or brings them up to date.",
  help,
  options: ['database', 'retention-days'],
  positionals: 0,
  async run({ options, environment, writer, signal }) {
    const retentionDays = readRetentionDays(options['retention-days']);
    const choice = chooseDatabase(options['database'], environment);
    if (choice === undefined) throw new OptionsError(`migrate: no database is named: ${databaseAdvice}`);
    if (choice.kind === 'memory') throw new OptionsError('migrate: --database memory needs no tables: name a server');
    await using database = openDatabase(choice);
    const { applied, version } = await applyMigrations({ database });
    const place = `schema "${database.ownSchema}" of database "${database.server.database}" at ${database.server.host}`;
    for (const name of applied) writer.log(`applied ${name}`);
    writer.log(`${place} is at version ${version}${applied.length === 0 ? ': nothing to do' : ''}`);
    signal.throwIfAborted();
    const removed = await removeExpired({ database, retentionDays });
    writer.log(`removed ${removed} ${removed === 1 ? 'request' : 'requests'} older than ${retentionDays} days`);
    return exitComplete;
  },
};

function readRetentionDays(text = '7'): number {
  const days = /^\d{1,5}(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (days >= 0 && days <= 36_500) return days;
  throw new OptionsError(
    `migrate: --retention-days: expected a number of days from 0 to 36500, got ${JSON.stringify(text.slice(0, 40))}`,
  );
}
