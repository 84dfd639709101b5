import { sql } from '@databases/pg';
import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { cli } from '../support/cli.ts';

describe('migrate', () => {
  it('makes our tables, finds nothing to do the second time, and leaves the price tables alone', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true }));
    const { host } = database.server;
    const place = `schema "fintrack_pipelines" of database "${database.server.database}" at ${host}`;

    const first = await cli(['migrate', '--database', database.url]);
    const second = await cli(['migrate'], { env: { DATABASE_URL: database.url } });

    expect(first).toMatchObject({ code: 0, stdout: '' });
    expect(first.stderr).toMatch(/^applied 0001-/);
    expect(first.stderr).toContain(`${place} is at version `);
    expect(second).toMatchObject({ code: 0, stdout: '' });
    expect(second.stderr).toMatch(/is at version \d+: nothing to do\nremoved 0 requests older than 7 days\n$/);
    const tables = await database.pool.query(
      sql`select distinct schemaname from pg_tables where schemaname !~ '^(pg_|information)'`,
    );
    expect(tables).toEqual([{ schemaname: 'fintrack_pipelines' }]);
  });

  it('removes requests older than the days given', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true, shape: 'S1', migrated: true }));
    const run = ['run', 'market-data', '--symbols', 'AAPL:STOCK', '--provider', 'recorded', '--database', database.url];
    expect((await cli(run)).code).toBe(0);

    const kept = await cli(['migrate', '--database', database.url, '--retention-days', '1']);
    const removed = await cli(['migrate', '--database', database.url, '--retention-days', '0']);

    expect(kept.stderr).toContain('removed 0 requests older than 1 days');
    expect(removed.stderr).toContain('removed 1 request older than 0 days');
  });

  it('takes the parts of the URL from the environment', async () => {
    await using database = track(await openTestDatabase({ ownDatabase: true }));
    const { hostname, port, username, password, pathname } = new URL(database.url);

    const { code, stderr } = await cli(['migrate'], {
      env: {
        DATABASE_HOST: hostname,
        DATABASE_PORT: port === '' ? '5432' : port,
        DATABASE_NAME: pathname.slice(1),
        DATABASE_USER: decodeURIComponent(username),
        DATABASE_PASSWORD: decodeURIComponent(password),
      },
    });

    expect(stderr).toMatch(/^applied 0001-/);
    expect(code).toBe(0);
  });

  it('says where nobody answers, and what to do', async () => {
    const { code, stdout, stderr } = await cli(['migrate', '--database', 'postgres://me:secret@127.0.0.1:1/db']);

    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /^fintrack-pipelines: cannot reach PostgreSQL at 127\.0\.0\.1:1 \(.*ECONNREFUSED.*\): check that the server runs and that host and port are right\n$/,
    );
    expect(stderr).not.toContain('secret');
  });
});
