import { describe, expect, it } from 'vitest';
import { chooseDatabase } from '../../../src/cli/input/databaseChoice.ts';
import { readConnectionUrl } from '../../../src/postgres/connectionUrl.ts';

const option = 'postgres://option@host/db';
const variables = { DATABASE_HOST: 'host', DATABASE_NAME: 'db', DATABASE_USER: 'user' };

describe('chooseDatabase', () => {
  it('takes the option first, then DATABASE_URL, then the parts', () => {
    const environment = { ...variables, DATABASE_URL: 'postgres://url@host/db', DATABASE_SCHEMA_NAME: 'prices' };
    const { DATABASE_URL: _, ...parts } = environment;

    expect(chooseDatabase(option, environment)).toMatchObject({ url: option, source: '--database', schema: 'prices' });
    expect(chooseDatabase('memory', environment)).toEqual({ kind: 'memory' });
    expect(chooseDatabase(undefined, environment)).toMatchObject({
      url: 'postgres://url@host/db',
      source: 'DATABASE_URL',
      schema: 'prices',
    });
    expect(chooseDatabase(undefined, parts)).toMatchObject({
      url: 'postgres://user:@host:5432/db',
      source: 'DATABASE_HOST',
      schema: 'prices',
    });
    expect(chooseDatabase(undefined, { DATABASE_SCHEMA_NAME: 'prices' })).toBeUndefined();
  });

  // Issue 10, item 17.
  it('reads whether statements are prepared', () => {
    const read = (value?: string) => chooseDatabase(option, { DATABASE_PREPARED_STATEMENTS: value });
    expect(read('off')).toMatchObject({ preparedStatements: false });
    expect(read('on')).toMatchObject({ preparedStatements: true });
    expect(read()).toMatchObject({ preparedStatements: undefined });
    expect(() => read('no')).toThrow('DATABASE_PREPARED_STATEMENTS must be on or off, but is "no"');
  });

  it('encodes what the parts hold', () => {
    const odd = 'odd @:/?#%& text';
    const choice = chooseDatabase(undefined, {
      ...variables,
      DATABASE_PORT: '5433',
      DATABASE_NAME: odd,
      DATABASE_USER: odd,
      DATABASE_PASSWORD: odd,
    });

    const { username, password, pathname, host } = new URL(choice?.kind === 'server' ? choice.url : '');
    expect([username, password, pathname.slice(1)].map(decodeURIComponent)).toEqual([odd, odd, odd]);
    expect(host).toBe('host:5433');
  });

  // Issue 10, 15.
  it.each([
    ['::1', undefined, '[%3A%3A1]:5432'],
    ['[::1]', '5433', '[%3A%3A1]:5433'],
    ['[::1]:5433', undefined, '[%3A%3A1]:5433'],
    ['fe80::1%eth0', undefined, '[fe80%3A%3A1%25eth0]:5432'],
    ['/var/run/postgresql', undefined, '%2Fvar%2Frun%2Fpostgresql:5432'],
    ['db:5433', undefined, 'db:5433'],
    ['db:5433', '5433', 'db:5433'],
    [' "My_DB.example" \r\n', '5433', 'My_DB.example:5433'],
    ['a,b:5434, c', '5434', 'a:5434,b:5434,c:5434'],
  ])('takes the host %j with port %j', (host, port, expected) => {
    const choice = chooseDatabase(undefined, { ...variables, DATABASE_HOST: host, DATABASE_PORT: port });
    expect(choice).toMatchObject({ url: `postgres://user:@${expected}/db` });
    expect(() => readConnectionUrl(`postgres://user:@${expected}/db`, 'test')).not.toThrow();
  });

  it.each([
    ['db:5433', '5432', 'DATABASE_HOST names port 5433, and DATABASE_PORT 5432: leave one of them out'],
    ['db:0', undefined, 'DATABASE_HOST names port 0: expected one from 1 to 65535'],
    ['db:99999', undefined, 'DATABASE_HOST names port 99999: expected one from 1 to 65535'],
    ['postgres://u:canary@db/x', undefined, 'DATABASE_HOST is a URL: that goes into DATABASE_URL'],
    ['user:canary@db', undefined, 'DATABASE_HOST must be a name, an address or the folder of a socket'],
    ['my canary', undefined, 'DATABASE_HOST must be a name'],
    ['db/canary', undefined, 'DATABASE_HOST must be a name'],
    ['[canary]', undefined, 'DATABASE_HOST must be a name'],
    ['db,', undefined, 'DATABASE_HOST must be a name'],
  ])('refuses the host %j with port %j', (host, port, expected) => {
    const choose = () => chooseDatabase(undefined, { ...variables, DATABASE_HOST: host, DATABASE_PORT: port });
    expect(choose).toThrow(expected);
    expect(choose).not.toThrow('canary');
  });
});
